// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/types.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"

namespace sim_headend {

/// The private keys of a handover target: one, or for a time two, when its certificate was renewed.
class TargetKeys {
 public:
  /// Reads unencrypted RSA private keys in PEM. Throws InputError.
  explicit TargetKeys(const std::vector<std::filesystem::path>& files);

  /// Returns the key that was wrapped by RSA-OAEP without label, MGF1 of the same hash ("SHA-1" or
  /// "SHA-256"); nothing where none of the private keys opens it.
  std::optional<support::Secret> open(support::ByteView wrapped, const std::string& hash) const;

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const;
  };
  std::vector<std::unique_ptr<EVP_PKEY, Free>> keys_;
};

}  // namespace sim_headend
