// SPDX-License-Identifier: Apache-2.0
/// @file
/// Ends of commands: the exit code, and the report of a failure, as a line for people and with
/// --json as an object.
#pragma once
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>

#include "base/fields.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::command_line {

using namespace output;  // NOLINT: commands write outputs all over

enum class Exit : std::uint8_t {
  done = 0,
  failed = 1,       ///< refused, or failed
  wrong_usage = 2,  ///< nothing was begun
  token_unavailable = 3,
  not_verified = 4,          ///< an audit trail failed verification; the text has the reason
  inconclusive = 5,          ///< an audit trail could not be judged; the text says what is missing
  registry_unavailable = 6,  ///< busy, can't be read or written, or another writer took over
  fail_on = 7,               ///< what --fail-on names was found
};

/// A failure as it is reported.
struct Failure {
  Exit code = Exit::failed;
  std::string reason;  ///< a stable word
  std::string text;    ///< says what, why and what to do
  std::string operation_id{};
  std::string remedy{};
};
[[nodiscard]] const Fields<Failure>& failure_fields();

/// Wrong usage: exit code 2.
class Usage : public Error {
 public:
  using Error::Error;
  [[nodiscard]] std::string_view reason() const override { return "wrong-usage"; }
};

/// End of a command that has told people already how it went: only --json reports it once more.
class Unsuccessful : public std::runtime_error {
 public:
  Unsuccessful(Exit code, std::string reason, const std::string& text)
      : runtime_error(text), failure{.code = code, .reason = std::move(reason), .text = text} {}
  Failure failure;
};

/// Returns the exit code and what else is known of an exception: the errors of
/// include/smets1kms/errors.hpp by their type, and the classes above.
[[nodiscard]] Failure failure_of(const std::exception& error);
[[nodiscard]] Failure failure_of(const std::exception_ptr& error);

}  // namespace smets1kms::command_line
