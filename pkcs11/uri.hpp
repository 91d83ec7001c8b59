// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <p11-kit/pkcs11.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "pkcs11/secret.hpp"

namespace pkcs11 {

struct TokenInfo;

/// An RFC 7512 URI that names a token. Parsed by p11-kit, then checked for what p11-kit lets pass:
/// a mistyped attribute (it would match nothing), an empty URI (it would match every token), and
/// pin-value (a PIN has no place in a configuration file). Each throws BadConfiguration.
class Uri {
 public:
  static Uri parse(const std::string& text);
  [[nodiscard]] bool matches(const CK_TOKEN_INFO& info) const;
  /// Without any PIN attribute: safe to print.
  [[nodiscard]] const std::string& printable() const { return printable_; }
  /// The raw pin-source attribute, percent-decoded.
  [[nodiscard]] const std::optional<std::string>& pin_source() const { return pin_source_; }

 private:
  std::shared_ptr<void> uri_;
  std::string printable_;
  std::optional<std::string> pin_source_;
};

using Prompt = std::function<Secret(const std::string& what)>;

/// Where a PIN comes from: `file:/path` or `/path` (a regular file owned by this user or root, mode
/// 0600 or stricter), `fd:N` (read to its end, once), or nothing: the prompt. What a descriptor or
/// a prompt gave is kept, for every copy of the source: neither can be read twice.
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
  /// Throws TokenUnavailable with what is wrong and what to do; one trailing newline is dropped.
  [[nodiscard]] std::shared_ptr<const Secret> read(const Prompt& prompt,
                                                   const std::string& token_label) const;
  /// The token refused it.
  void forget() const { *kept = Kept(); }
};

/// Asks on the terminal (/dev/tty) with echo off. Throws TokenUnavailable where there is none.
[[nodiscard]] Secret prompt_on_terminal(const std::string& what);

}  // namespace pkcs11
