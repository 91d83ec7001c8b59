// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>

#include <new>

#include "audit_cli/log_options.hpp"
#include "registry/database_log.hpp"

namespace smets1kms::audit_cli {

Command verify();
Command prove();
Command report();
Command show();

namespace {

constexpr const char* epilogue =
    R"(
A first visit: get the public audit key from the token's owner, by another way than the log,
compare its fingerprint, then 'smets1-audit verify DIR --key audit.pem --keep-head head.note'; on
each later visit '--since head.note --keep-head' and a new name.
Exit: 0 verified, done; 1 refused; 2 wrong usage; 4 FAILED; 5 INCONCLUSIVE.)";

/// Bounds the memory of this process, whatever it is given to read: one that needs more is ended
/// with a reason. Sanitizers reserve more than that.
void limit_memory() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  constexpr rlim_t data = rlim_t{232} << 20;  // bytes; with code and libraries below 256 MiB
  const rlimit limit{.rlim_cur = data, .rlim_max = data};
  (void)::setrlimit(RLIMIT_DATA, &limit);
#endif
  sqlite3_hard_heap_limit64(std::int64_t{64} << 20);
}

std::optional<Failure> failure_of_log(const std::exception& error) {
  const auto failure = [&](Exit code, const char* reason, const char* verdict) {
    return Failure{.code = code, .reason = reason, .text = std::string(verdict) + error.what()};
  };
  if (dynamic_cast<const audit::VerificationFailed*>(&error) != nullptr)
    return failure(Exit::not_verified, "not-verified", "FAILED: ");
  if (dynamic_cast<const sqlite::Damaged*>(&error) != nullptr)
    return failure(Exit::not_verified, "not-verified", "FAILED: the database is damaged: ");
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr)
    return Failure{.code = Exit::inconclusive,
                   .reason = "inconclusive",
                   .text =
                       "INCONCLUSIVE: it takes more than 256 MiB of memory, which no log of this "
                       "product does"};
  if (dynamic_cast<const audit::VerificationInconclusive*>(&error) != nullptr)
    return failure(Exit::inconclusive, "inconclusive", "INCONCLUSIVE: missing: ");
  return std::nullopt;
}

}  // namespace
}  // namespace smets1kms::audit_cli

int main(int count, char** arguments) {
  using namespace smets1kms::audit_cli;
  limit_memory();
  return run(
      {.name = "smets1-audit",
       .summary = "checks the audit trail of smets1-kms. Needs no token and no trust in its host",
       .epilogue = epilogue,
       .has_config = false,
       .commands = {verify(), prove(), report(), show()},
       .failure_of = failure_of_log},
      count, arguments);
}
