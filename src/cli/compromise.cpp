// SPDX-License-Identifier: Apache-2.0
#include "cli/common.hpp"

namespace smets1kms::cli {
namespace {

const Fields<CompromiseResult> compromise_fields(
    "smets1-kms-compromise-1", "What 'compromise --device' marked",
    {nested("compromised", "the keys that are suspected now", key_ref_fields(),
            &CompromiseResult::compromised)});
const Fields<TokenCompromiseResult> token_fields(
    "smets1-kms-compromise-token-1", "What 'compromise --token' marked",
    {{"operation_id", "its name", &TokenCompromiseResult::operation_id},
     {"devices", "of how many devices", &TokenCompromiseResult::devices},
     {"keys", "how many keys", &TokenCompromiseResult::keys}});

const Fields<TargetCompromiseResult> marked_fields(
    "smets1-kms-compromise-target-1", "What 'compromise --target' marked",
    {{"operation_id", "its name", &TargetCompromiseResult::operation_id},
     {"keys", "how many keys", &TargetCompromiseResult::keys}});

void run_compromise(const Invocation& in) {
  if (in.values.count({"token", "target"}) > 1) throw Usage("either --token or --target");
  const bool many = in.values.count({"token", "target"}) != 0;
  const auto which = key_unless(in, many, "--token, or --target NAME");
  const auto who = authority_of(in);
  const auto suspicion = in.values.needed("suspicion"), id = in.values.text("operation-id");
  auto kms = open_key_manager(in);
  if (in.values.has("target")) {
    const auto result = kms.compromise_target(in.values.text("target"), suspicion, who, id);
    return show(in, marked_fields, result, [&](std::ostream& out) {
      out << result.keys << " keys marked that the target was handed (operation "
          << result.operation_id << "); nothing is wrapped for it any more\n";
    });
  }
  if (!which) {
    const auto result = kms.compromise_token(suspicion, who, id);
    return show(in, token_fields, result, [&](std::ostream& out) {
      out << result.keys << " keys of " << result.devices << " devices marked (operation "
          << result.operation_id << ")\n";
    });
  }
  const auto result = kms.compromise(*which, suspicion, who, id);
  show(in, compromise_fields, result,
       [&](std::ostream& out) { print_table(out, key_ref_fields(), result.compromised); });
}

}  // namespace

Command compromise() {
  return {"compromise",
          "mark a key, a KEK with all it wrapped, a handover target or the token as suspected",
          "--device ID --role R --generation N|--token|--target NAME --suspicion TEXT "
          "--requested-by ID "
          "--authorised-by ID --reference REF",
          R"(
Marks a key as suspected of compromise (a project rule; SP 800-57 calls the state compromised). Of a
KEK, wrapping under it stops at once and every key ever wrapped under it is marked too; of the token
(--token) every KEK and key that it ever had, device by device: an interrupted one goes on at the
next command; of a handover target (--target) every key that it was ever handed, and nothing is
wrapped for it any more. Then: notify the SMKI PMA and the SSC (the record names them); rotate
--due, or with --reason suspected-compromise; in the place of a KEK its manufacturer provides
another, and the import of its fleet file brings it. A suspected KEK is a trusted object until it is
destroyed ('destroy', once its own transfer is settled): whoever knows it, and the PIN, can learn
what he wraps under it.)",
          joined({key_options(),
                  {flag("token",
                        "every key of every device that the token ever had, in the place of one "
                        "key"),
                   text("target", "NAME", "every key that this handover target was handed"),
                   text("suspicion", "TEXT", "what happened, in a sentence")},
                  change_options()}),
          run_compromise,
          {compromise_fields, token_fields, marked_fields}};
}

}  // namespace smets1kms::cli
