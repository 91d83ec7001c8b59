// SPDX-License-Identifier: Apache-2.0
#include "vault/self_test/self_test.hpp"

#include "base/enum_names.hpp"
#include "vault/self_test/attempt.hpp"

namespace smets1kms::vault {
namespace {

using attempts::Attempt;
using attempts::AttemptContext;
using attempts::Outcome;

constexpr EnumNames<Protection::Verdict, 3> verdicts{{"held", "not held", "not tried"}};

/// Runs an attempt. A fault is tried again: the token may have throttled, or another thread's
/// recovery have voided the session.
Outcome try_out(pkcs11::Pool& pool, CK_MECHANISM_TYPE key_wrap, const Attempt& attempt) {
  constexpr int times = 3;
  for (int time = 1;; ++time) {
    try {
      pkcs11::Pool::Lease session = pool.lease();
      session.mark_broken();  // closed afterwards: nothing is left in it, and no operation active
      AttemptContext trial(*session, key_wrap);
      return attempt.run(trial);
    } catch (const pkcs11::Error& error) {
      if (!attempts::is_fault(error) || time == times) return {attempts::not_tried, error.what()};
    }
    try {
      (void)pool.run([](pkcs11::Session& session) {
        return session.random(1);
      });  // the pool recovers from the fault in its own way
    } catch (const pkcs11::Error& error) {
      return {attempts::not_tried, error.what()};
    }
  }
}

bool is_needed(attempts::Need need, bool officer_mode, bool sealed) {
  using enum attempts::Need;
  return need == always || (need == with_officer && officer_mode) ||
         (need == when_sealed && sealed) ||
         (need == when_sealed_by_officer && sealed && officer_mode);
}

}  // namespace

std::string to_string(Protection::Verdict verdict) { return std::string(verdicts.name(verdict)); }

std::vector<Protection> self_test(pkcs11::Pool& pool, CK_MECHANISM_TYPE key_wrap, bool officer_mode,
                                  bool sealed) {
  std::vector<Protection> result;
  for (const Attempt& attempt : attempts::table()) {
    auto [verdict, seen] = try_out(pool, key_wrap, attempt);
    result.push_back({attempt.name, attempt.what, is_needed(attempt.need, officer_mode, sealed),
                      verdict, std::move(seen)});
  }
  return result;
}

void require_protections(const std::vector<Protection>& protections, const std::string& token) {
  std::string missing;
  for (const Protection& each : protections) {
    if (!each.needed || each.verdict == Protection::Verdict::held) continue;
    missing += (missing.empty() ? "" : ", ") + each.name + " (" +
               (each.verdict == Protection::Verdict::not_tried ? "not tried: " : "") + each.seen +
               ")";
  }
  if (protections.empty()) missing = "no protection was tried";
  if (missing.empty()) return;
  throw pkcs11::TokenUnavailable(
      "token \"" + token + "\" is refused, as it does not protect keys: " + missing +
      ". Use another token, or, for tests alone, protection = \"none-for-testing\".");
}

}  // namespace smets1kms::vault
