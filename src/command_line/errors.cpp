// SPDX-License-Identifier: Apache-2.0
#include "command_line/errors.hpp"

#include <new>

namespace smets1kms::command_line {
namespace {

template <class E>
const E* as(const std::exception& error) {
  return dynamic_cast<const E*>(&error);
}

}  // namespace

const Fields<Failure>& failure_fields() {
  static const Fields<Failure> fields(
      "smets1-error-1", "Why a command ended with an exit code other than 0, on standard error",
      {{"error", "says what, why and what to do, for people", &Failure::text},
       {"reason", "a stable word for programs", &Failure::reason},
       {"exit_code", "the exit code",
        [](const Failure& f) { return static_cast<unsigned>(f.code); }},
       {"operation_id", "the operation that it is about",
        [](const Failure& f) { return unless_empty(f.operation_id); }},
       {"remedy", "what ends it, where that is known",
        [](const Failure& f) { return unless_empty(f.remedy); }}});
  return fields;
}

Failure failure_of(const std::exception& error) {
  if (const auto* ended = as<Unsuccessful>(error)) return ended->failure;
  Failure failure{.reason = "failed", .text = error.what()};
  if (as<std::bad_alloc>(error) != nullptr) failure.text = "there is not enough memory";
  if (const auto* known = as<Error>(error)) {
    failure.reason = known->reason();
    failure.operation_id = known->operation_id();
    failure.remedy = known->remedy();
  }
  failure.code = as<Usage>(error) != nullptr              ? Exit::wrong_usage
                 : as<TokenUnavailable>(error) != nullptr ? Exit::token_unavailable
                 : as<StorageError>(error) != nullptr     ? Exit::registry_unavailable
                                                          : Exit::failed;
  return failure;
}

Failure failure_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& known) {
    return failure_of(known);
  }
}

}  // namespace smets1kms::command_line
