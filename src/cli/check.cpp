// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/check.hpp"

#include "cli/common.hpp"
#include "command_line/text.hpp"

namespace smets1kms::cli {
namespace {

const Fields<Contradiction> contradiction_fields(
    {{"what", "the row or token object", &Contradiction::what},
     {"finding", "how it differs from the trail", &Contradiction::finding},
     {"record", "index of the record that says otherwise", &Contradiction::record},
     {"remedy", "what to do", &Contradiction::remedy}});
const Fields<CheckResult> check_result_fields(
    "smets1-kms-check-1", "How registry and token agree with the audit trail",
    {{"agrees", "true if nothing was found",
      [](const CheckResult& r) { return r.contradictions == 0; }},
     {"records", "how many the trail has", &CheckResult::records},
     {"devices", "how many were compared", &CheckResult::devices},
     {"keys", "how many rows of keys were compared", &CheckResult::keys},
     {"token_objects", "key objects of this product in the token", &CheckResult::token_objects},
     {"contradictions", "how many were found", &CheckResult::contradictions},
     nested("listed", "the first thousand of them", contradiction_fields, &CheckResult::listed),
     {"not_checked", "what could not be compared, and why", &CheckResult::not_checked}});

void run_check(const Invocation& in) {
  const auto result = check_registry(config_of(in), callbacks_of(in), !in.values.has("no-token"));
  show(in, check_result_fields, result, [&](std::ostream& out) {
    for (const auto& each : result.listed)
      out << printable(each.what)
          << (each.record ? " (record " + std::to_string(*each.record) + ")" : "") << ": "
          << printable(each.finding) << "\n  -> " << each.remedy << '\n';
    if (result.contradictions > result.listed.size())
      out << "and " << result.contradictions - result.listed.size() << " more\n";
    out << (result.contradictions == 0 ? "agreement: " : "CONTRADICTION: ")
        << counted(result.devices, "device") << ", " << counted(result.keys, "key") << ", "
        << counted(result.records, "record") << ", "
        << counted(result.token_objects, "token object") << " compared; "
        << counted(result.contradictions, "contradiction") << '\n';
    for (const auto& each : result.not_checked) out << "not compared: " << printable(each) << '\n';
  });
  if (result.contradictions != 0)
    throw Unsuccessful(Exit::not_verified, "contradicts-trail",
                       counted(result.contradictions, "contradiction") + " to the audit trail");
}

}  // namespace

Command check() {
  return {"check",
          "compare every row of the registry, and the token, with the audit trail",
          "[--no-token]",
          R"(
Verifies the audit trail, replays it, and compares every row of the registry with the state that it
leads to: devices, keys, events, operations, handovers, targets, the log's own tables, settings.
Then the token, both ways: each key that should be there is there with its attributes, and no
other. Changes nothing, and can run beside the service. Exits with 4 where anything differs: the
row, what the trail says of it, what to do. Who has no PIN gives --no-token.
What the trail does not have is not compared: system titles, named batches.)",
          {flag("no-token", "leave the token out: needs no PIN")},
          run_check,
          {check_result_fields}};
}

}  // namespace smets1kms::cli
