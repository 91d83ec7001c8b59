// SPDX-License-Identifier: Apache-2.0
#include "cli/common.hpp"

namespace smets1kms::cli {
namespace {

struct Resolved {
  KeyRef key;
  std::string holds;
};
const Fields<Resolved> resolve_fields(
    "smets1-kms-resolve-1", "A doubt that was ended",
    {spread(key_ref_fields(), &Resolved::key),
     {"holds", "new: the device holds this key; old: the one before", &Resolved::holds}});

void run_resolve(const Invocation& in) {
  const auto holds = in.values.needed("holds");
  if (holds != "new" && holds != "old") throw Usage("--holds is new or old");
  const Resolved resolved{key_of(in), holds};
  const auto who = authority_of(in);
  const auto evidence = in.values.needed("evidence");
  const bool is_new = holds == "new";
  open_key_manager(in).resolve(resolved.key, is_new ? ProbeResult::new_key : ProbeResult::old_key,
                               evidence, who, in.values.text("operation-id"));
  show(in, resolve_fields, resolved, [&](std::ostream& out) {
    const auto& [device, role, generation] = resolved.key;
    out << "resolved: " << device.to_string() << (is_new ? " holds " : " does not hold ")
        << to_string(role) << " " << generation << '\n';
  });
}

}  // namespace

Command resolve() {
  return {
      "resolve",
      "end a doubt: which key did a probe show the device to hold",
      "--device ID --role R --generation N --holds new|old --evidence TEXT --requested-by ID "
      "--authorised-by ID --reference REF",
      R"(
Ends the doubt about a transfer without a good answer, by what a probe of the device showed (an
association with the old key, or with the new one). Role by role: after a transfer of two keys the
device may hold any of the four combinations. A KEK can't be probed: rotate the GAK instead.)",
      joined(
          {key_options(),
           {text("holds", "new|old", "new: the device holds this key; old: it kept the one before"),
            text("evidence", "TEXT", "how it was seen: which probe, which message it accepted")},
           change_options()}),
      run_resolve,
      {resolve_fields}};
}

}  // namespace smets1kms::cli
