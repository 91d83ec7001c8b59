// SPDX-License-Identifier: Apache-2.0
#include "cli/common.hpp"
#include "command_line/input.hpp"
#include "command_line/text.hpp"

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

struct Evidence {
  Resolved resolved;
  std::string evidence;
};
struct ManyResolved {
  std::size_t resolved = 0, already = 0, refused = 0;
};
const Fields<ManyResolved> many_fields(
    "smets1-kms-resolve-many-1", "What a file of evidence led to",
    {{"resolved", "doubts that it ended", &ManyResolved::resolved},
     {"already", "doubts that had ended in the same way before", &ManyResolved::already},
     {"refused", "lines that were refused", &ManyResolved::refused}});

/// Reads the whole file before anything is recorded: a bad line refuses it.
std::vector<Evidence> read_evidence(const std::string& file) {
  std::vector<Evidence> all;
  for_each_json_line(file, [&](const JsonObject& line) {
    const auto key = key_of(line);
    const auto& holds = line.text("holds");
    if (holds != "new" && holds != "old") line.refuse("holds", "is not new or old");
    all.push_back({{key, holds}, line.text("evidence")});
  });
  return all;
}

bool is_resolved_so(const KeyManager& kms, const Resolved& resolved) {
  for (const auto& key : kms.fleet().keys(resolved.key.device))
    if (key.ref() == resolved.key)
      return key.delivery == (resolved.holds == "new" ? Delivery::confirmed : Delivery::not_held);
  return false;
}

void resolve_file(const Invocation& in) {
  if (in.values.count({"device", "role", "generation", "holds", "evidence", "operation-id"}) != 0)
    throw Usage("--evidence-file has a key, what the device holds and the evidence in each line");
  const auto who = authority_of(in);
  const auto all = read_evidence(in.values.text("evidence-file"));
  auto kms = open_key_manager(in);
  Grouped refused(in.console);
  ManyResolved done;
  for (const auto& [resolved, evidence] : all) try {
      if (is_resolved_so(kms, resolved)) {
        ++done.already;
        continue;
      }
      kms.resolve(resolved.key,
                  resolved.holds == "new" ? ProbeResult::new_key : ProbeResult::old_key, evidence,
                  who);
      ++done.resolved;
    } catch (const Refused&) {
      const auto failure = failure_of(std::current_exception());
      refused.add(resolved.key.device.to_string(), failure.reason, failure.text);
    }
  done.refused = refused.count();
  show(in, many_fields, done, [&](std::ostream& out) {
    out << done.resolved << " doubts ended";
    if (done.already != 0) out << "; " << done.already << " had ended before";
    if (done.refused != 0) out << "; " << done.refused << " refused";
    out << '\n';
  });
  refused.finish();
  if (refused.count() != 0)
    throw Unsuccessful(
        Exit::failed, "partly-failed",
        counted(refused.count(), "line") + " of " + std::to_string(all.size()) + " refused");
}

void run_resolve(const Invocation& in) {
  if (in.values.has("evidence-file")) return resolve_file(in);
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
      "--device ID --role R --generation N --holds new|old --evidence TEXT|--evidence-file FILE "
      "--requested-by ID --authorised-by ID --reference REF",
      R"(
Ends the doubt about a transfer without a good answer, by what a probe of the device showed (an
association with the old key, or with the new one). Role by role: after a transfer of two keys the
device may hold any of the four combinations. A KEK can't be probed: rotate the GAK instead.
--evidence-file: many doubts at once, JSON lines with device_id, role, generation, holds and
evidence, as a head end writes them that probed its meters.)",
      joined(
          {key_options(),
           {text("holds", "new|old", "new: the device holds this key; old: it kept the one before"),
            text("evidence", "TEXT", "how it was seen: which probe, which message it accepted"),
            text("evidence-file", "FILE",
                 "file of JSON lines: device_id, role, generation, holds, evidence")},
           change_options()}),
      run_resolve,
      {resolve_fields, many_fields}};
}

}  // namespace smets1kms::cli
