// SPDX-License-Identifier: Apache-2.0
/// @file
/// What can go wrong, told apart by type. Every message says what, why and what to do; none holds
/// key bytes, wrapped or clear, or a PIN.
#pragma once
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

namespace smets1kms {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Input that can't be taken: malformed, out of range, contradictory. Nothing was changed.
class BadInput : public Error {
 public:
  using Error::Error;
};

/// BadInput in a file: "fleet.csv:12:7: …", line and column counted from 1.
class BadFile : public BadInput {
 public:
  BadFile(const std::string& file, std::size_t line, std::size_t column, const std::string& what)
      : BadInput(file + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + what),
        line_(line),
        column_(column) {}
  [[nodiscard]] std::size_t line() const { return line_; }
  [[nodiscard]] std::size_t column() const { return column_; }

 private:
  std::size_t line_, column_;
};

/// Refused by the rules: policy, dual control, a key's state, a device's capabilities. The refusal
/// is in the audit trail; nothing else was changed. `rule` is a short stable word ("in-doubt").
class Refused : public Error {
 public:
  Refused(std::string rule, const std::string& what) : Error(what), rule_(std::move(rule)) {}
  [[nodiscard]] const std::string& rule() const { return rule_; }

 private:
  std::string rule_;
};

/// The token answered a call with an error that is its last word. What was begun is recorded: its
/// failure, or an operation that stays open until the next opening settles it.
class RefusedByToken : public Error {
 public:
  RefusedByToken(std::string function, std::string code, const std::string& what)
      : Error(what), function_(std::move(function)), code_(std::move(code)) {}
  [[nodiscard]] const std::string& function() const { return function_; }  ///< "C_WrapKey"
  [[nodiscard]] const std::string& code() const { return code_; }  ///< "CKR_KEY_NOT_WRAPPABLE"

 private:
  std::string function_, code_;
};

/// No token, no login, or a token that lacks what is needed.
class TokenUnavailable : public Error {
 public:
  using Error::Error;
};

/// The registry or the trail can't be read or written (full disk, another writer, damage). What was
/// not recorded was not done, or its result was withheld.
class StorageError : public Error {
 public:
  using Error::Error;
};

}  // namespace smets1kms
