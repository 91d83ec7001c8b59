// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "pkcs11/pool.hpp"

/// A token of this process alone, in a directory of its own (in memory where there is /dev/shm),
/// with the label "test": SoftHSM's, or, with TEST_TOKEN=softokn in the environment, NSS softokn's.
/// Make one in main, before any other use of PKCS#11: SoftHSM reads SOFTHSM2_CONF once. The
/// destructor finalises the module and removes the directory.
class TestToken {
 public:
  static constexpr const char* user_pin = "test-user-pin";
  static constexpr const char* so_pin = "test-so-pin";

  static const char* const module_path;
  /// NSS softokn has no security officer to speak of: plain enrolment only, and no protection that
  /// is worth testing.
  static const bool is_softokn;

  TestToken();
  ~TestToken();
  TestToken(const TestToken&) = delete;
  TestToken& operator=(const TestToken&) = delete;
  /// The one of this process.
  static TestToken& current();

  /// A further token with the same PINs. (NSS softokn has but one: another name for it.)
  void add_token(const std::string& label);
  /// Without pin-source.
  [[nodiscard]] static std::string uri(const std::string& label = "test");
  /// With the pin-source of `pin_file()`: what a configuration file says.
  [[nodiscard]] std::string uri_with_pin(const std::string& label = "test") const;
  /// Mode 0600, holds the user PIN.
  [[nodiscard]] std::string pin_file() const { return directory + "/user.pin"; }
  [[nodiscard]] std::string token_directory() const { return directory + "/tokens"; }
  /// What else a configuration file says of it, under [token]: lines of TOML.
  [[nodiscard]] std::string settings() const;
  /// A pool logged in as the user.
  [[nodiscard]] std::unique_ptr<pkcs11::Pool> pool(const std::string& label = "test",
                                                   pkcs11::PoolOptions options = {}) const;
  [[nodiscard]] static pkcs11::Secret secret(std::string text);

  std::shared_ptr<pkcs11::Module> module;
  std::string directory;
};

/// "00112233" as bytes.
[[nodiscard]] pkcs11::Bytes from_hex(const std::string& text);
[[nodiscard]] std::string to_hex(pkcs11::ByteView bytes);
