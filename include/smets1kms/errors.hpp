// SPDX-License-Identifier: Apache-2.0
/// @file
/// Errors, told apart by type. Every message says what failed, why and what to do; none holds key
/// bytes, wrapped or clear, or a PIN.
#pragma once
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "smets1kms/refusal_reason.hpp"

namespace smets1kms {

/// The base of all errors of the library.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  /// Returns a stable word for scripts: "failed", "bad-input", "in-doubt", "token-unavailable".
  [[nodiscard]] virtual std::string_view reason() const { return "failed"; }
  /// Returns what to do about errors of this reason; empty where only the message says it.
  [[nodiscard]] virtual std::string_view remedy() const { return {}; }
  /// Returns the id of the operation that failed; every exception of an operation has it. Empty
  /// where no operation was begun.
  [[nodiscard]] const std::string& operation_id() const { return operation_id_; }
  /// Sets the operation's id unless there is one.
  void set_operation_id(const std::string& id) {
    if (operation_id_.empty()) operation_id_ = id;
  }

 private:
  std::string operation_id_;
};

/// Input that can't be used: malformed, out of range, contradictory. Nothing was changed.
class BadInput : public Error {
 public:
  using Error::Error;
  [[nodiscard]] std::string_view reason() const override { return "bad-input"; }
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

/// A refusal by the rules: policy, dual control, a key's state, a device's capabilities. It is in
/// the audit trail; nothing else was changed.
class Refused : public Error {
 public:
  Refused(RefusalReason refusal, const std::string& what) : Error(what), refusal_(refusal) {}
  [[nodiscard]] RefusalReason refusal() const { return refusal_; }
  /// Returns the word of `refusal`: "in-doubt".
  [[nodiscard]] std::string_view reason() const override { return to_string(refusal_); }
  [[nodiscard]] std::string_view remedy() const override { return smets1kms::remedy(refusal_); }

 private:
  RefusalReason refusal_;
};

/// A final error of the token. What was begun is recorded: its failure, or an operation that stays
/// open until the next opening recovers it.
class RefusedByToken : public Error {
 public:
  RefusedByToken(std::string function, std::string code, const std::string& what)
      : Error(what), function_(std::move(function)), code_(std::move(code)) {}
  [[nodiscard]] std::string_view reason() const override { return "refused-by-token"; }
  [[nodiscard]] const std::string& function() const { return function_; }  ///< "C_WrapKey"
  [[nodiscard]] const std::string& code() const { return code_; }  ///< "CKR_KEY_NOT_WRAPPABLE"

 private:
  std::string function_, code_;
};

/// No token, no login, or a token that lacks what is needed.
class TokenUnavailable : public Error {
 public:
  using Error::Error;
  [[nodiscard]] std::string_view reason() const override { return "token-unavailable"; }
};

/// A registry or an audit trail that can't be read or written (full disk, another writer, damage).
/// An operation that was not recorded was not done, or its result was withheld.
class StorageError : public Error {
 public:
  using Error::Error;
  [[nodiscard]] std::string_view reason() const override { return "storage-unavailable"; }
};

}  // namespace smets1kms
