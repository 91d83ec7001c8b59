// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "pkcs11/secret.hpp"

struct stat;

namespace pkcs11 {

/// Result of checking the owner and mode of a PIN file.
struct PinFileState {
  enum class Verdict {
    good,     ///< owned by this user or root, closed to all others
    shared,   ///< accepted with a warning: readable by a group that is this process's alone
    refused,  ///< somebody else can read or change it
  } verdict;
  std::string what;    ///< "can be used by others than its owner"; empty where it is good
  std::string remedy;  ///< "chmod 600 …"
};
/// Judges a PIN file by its status. `path` is the name to show.
[[nodiscard]] PinFileState judge_pin_file(const std::string& path, const struct stat& status);

using Prompt = std::function<Secret(const std::string& what)>;

/// Source of a PIN: `file:/path` or `/path` (a regular file that `judge_pin_file` accepts), `fd:N`
/// (read to its end, once), or nothing: the prompt. A PIN from a descriptor or a prompt is kept,
/// for every copy of the source: neither can be read twice.
struct PinSource {
  enum class Kind { file, descriptor, prompt } kind = Kind::prompt;
  std::string path;
  int descriptor = -1;
  struct Kept {
    std::shared_ptr<const Secret> pin = std::make_shared<const Secret>();
    int process = 0;  ///< the one that read it: a Secret is wiped in a child
  };
  std::shared_ptr<Kept> kept = std::make_shared<Kept>();
  /// Reads a pin-source attribute. Throws BadConfiguration for any other form. A relative path is
  /// taken from `base_directory`.
  static PinSource parse(const std::optional<std::string>& pin_source,
                         const std::string& base_directory);
  /// Returns the PIN, without one trailing newline and a byte-order mark. Throws TokenUnavailable
  /// with what is wrong and what to do.
  [[nodiscard]] std::shared_ptr<const Secret> read(const Prompt& prompt,
                                                   const std::string& token_label) const;
  /// Returns what an operator should know of a file that is read all the same; empty: nothing.
  [[nodiscard]] std::string warning() const;
  /// Forgets the kept PIN, after the token has refused it.
  void forget() const { *kept = Kept(); }
};

}  // namespace pkcs11
