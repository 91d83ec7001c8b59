// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "lifecycle/operations.hpp"
#include "vault/self_test/self_test.hpp"

namespace smets1kms::lifecycle {
namespace {

using Verdict = vault::Protection::Verdict;

/// Returns the name under which a token's test is kept. Another token, version, profile, way of
/// enrolment or vault is another first use.
std::string setting_of(const Context& context) {
  const auto& token = context.token->pool().token();
  return std::string(setting::protections) + token.serial + "/" + token.firmware + "/" +
         context.token->token_profile().profile.name + "/" +
         (context.config.token.enrolment == EnrolmentMode::officer ? "officer" : "plain") +
         (context.config.keep == VaultKind::sealed ? "/sealed" : "") +
         (context.config.token.unprotected_for_testing
              ? "/for-testing"
              : "");  // without the option the token is tested again
}

std::string names(const std::vector<vault::Protection>& all,
                  const std::function<bool(const vault::Protection&)>& which) {
  std::string list;
  for (const auto& each : all)
    if (which(each)) list += (list.empty() ? "" : ",") + each.name;
  return list.empty() ? "none" : list;
}

std::string table_of(const std::vector<vault::Protection>& all) {
  std::string text;
  for (const auto& each : all)
    text += each.name + "\t" + (each.needed ? "needed" : "wished") + "\t" +
            to_string(each.verdict) + "\t" + each.seen + "\n";
  return text;
}

}  // namespace

void check_protections(Context& context) {
  const auto setting = setting_of(context);
  if (context.registry.setting(setting)) return;
  const bool officer = context.config.token.enrolment == EnrolmentMode::officer;
  const auto results = vault::with_token([&] {
    return vault::self_test(context.token->pool(), context.token->token_profile().profile.key_wrap,
                            officer, context.config.keep == VaultKind::sealed);
  });
  const auto missing =
      names(results, [](const auto& each) { return each.needed && each.verdict != Verdict::held; });
  const bool refused = missing != "none" && !context.config.token.unprotected_for_testing;
  context.in_transaction({.name = op::token_self_test}, std::nullopt, [&] {
    const auto held = std::ranges::count_if(
        results, [](const auto& each) { return each.verdict == Verdict::held; });
    const std::string detail = std::to_string(held) + " of " + std::to_string(results.size()) +
                               " held; needed and not held: " + missing +
                               "; wished and not held: " + names(results, [](const auto& each) {
                                 return !each.needed && each.verdict != Verdict::held;
                               });
    context.append(context.trail.record(context.act(op::token_self_test), Phase::note), {},
                   {{Field::result, refused             ? "refused"
                                    : missing == "none" ? "ok"
                                                        : "taken-for-testing"},
                    {Field::detail, audit::printable(detail, 3000)}});
    if (refused) return;
    // The document goes to assessors with the log, which vouches for it.
    const std::string document =
        "token\t" + vault::identity_of(context.token->pool().token()) + "\n" + table_of(results);
    context.registry.set_setting(setting, document);
    context.append(context.trail.record(context.act(op::audit_document), Phase::note), {},
                   {{Field::detail,
                     "sha256 " + audit::to_hex(audit::sha256(document)) + " token-protections"}});
  });
  if (refused)
    vault::with_token(
        [&] { vault::require_protections(results, context.token->pool().token().label); });
}

}  // namespace smets1kms::lifecycle
