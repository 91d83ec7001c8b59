// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <p11-kit/pkcs11.h>

#include <memory>
#include <optional>
#include <string>

struct p11_kit_uri;

namespace pkcs11 {

/// An RFC 7512 URI that names a token. Parsed by p11-kit, then checked for what p11-kit lets pass:
/// a mistyped attribute (it would match nothing), an empty URI (it would match every token), and
/// pin-value (a PIN has no place in a configuration file). Each throws BadConfiguration.
class Uri {
 public:
  static Uri parse(const std::string& text);
  [[nodiscard]] bool matches(const CK_TOKEN_INFO& info) const;
  /// Returns the URI without any PIN attribute: safe to print.
  [[nodiscard]] const std::string& printable() const { return printable_; }
  /// Returns the raw pin-source attribute, percent-decoded.
  [[nodiscard]] const std::optional<std::string>& pin_source() const { return pin_source_; }

 private:
  std::shared_ptr<p11_kit_uri> uri_;
  std::string printable_;
  std::optional<std::string> pin_source_;
};

}  // namespace pkcs11
