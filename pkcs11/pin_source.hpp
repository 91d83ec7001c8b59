// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "pkcs11/secret.hpp"

struct stat;

namespace pkcs11 {

/// Whether a PIN file is taken, by its owner and mode.
struct PinFileState {
  enum class Verdict {
    good,     ///< of this user or root, closed to all others
    shared,   ///< taken with a warning: readable by a group that is this process's alone
    refused,  ///< somebody else can read or change it
  } verdict;
  std::string what;    ///< "can be used by others than its owner"; empty where it is good
  std::string remedy;  ///< "chmod 600 …"
};
/// `path` is the name to show.
[[nodiscard]] PinFileState judge_pin_file(const std::string& path, const struct stat& status);

using Prompt = std::function<Secret(const std::string& what)>;

/// Where a PIN comes from: `file:/path` or `/path` (a regular file that
/// `judge_pin_file` takes), `fd:N` (read to its end, once), or nothing: the prompt. What a
/// descriptor or a prompt gave is kept, for every copy of the source: neither can be read twice.
struct PinSource {
  enum class Kind { file, descriptor, prompt } kind = Kind::prompt;
  std::string path;
  int descriptor = -1;
  struct Kept {
    std::shared_ptr<const Secret> pin = std::make_shared<const Secret>();
    int process = 0;  ///< a Secret is wiped in a child
  };
  std::shared_ptr<Kept> kept = std::make_shared<Kept>();
  /// Throws BadConfiguration for any other form. A relative path is taken from `base_directory`.
  static PinSource parse(const std::optional<std::string>& pin_source,
                         const std::string& base_directory);
  /// Throws TokenUnavailable with what is wrong and what to do; one trailing newline and a
  /// byte-order mark are dropped.
  [[nodiscard]] std::shared_ptr<const Secret> read(const Prompt& prompt,
                                                   const std::string& token_label) const;
  /// Returns what an operator should know of a file that is read all the same; empty: nothing.
  [[nodiscard]] std::string warning() const;
  /// The token refused it.
  void forget() const { *kept = Kept(); }
};

}  // namespace pkcs11
