// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include "audit/checkpoint.hpp"

namespace test {

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(path + " can't be read");
  std::stringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}
/// A file of tests/data/vectors.
inline std::string vector_file(const std::string& name) {
  return read_file(std::string(TEST_DATA) + "/vectors/" + name);
}

/// An audit key in memory, for the tests' own logs; what the token does is sign() here.
class TestKey {
 public:
  TestKey();
  [[nodiscard]] smets1kms::audit::AuditKey audit_key() const;
  [[nodiscard]] smets1kms::audit::RawSignature sign(
      const smets1kms::audit::Checkpoint& head) const {
    return sign(head.body());
  }
  [[nodiscard]] smets1kms::audit::RawSignature sign(const std::string& body) const;
  [[nodiscard]] smets1kms::audit::Issuer::Signer signer() const;

 private:
  std::shared_ptr<EVP_PKEY> key_;
};

}  // namespace test
