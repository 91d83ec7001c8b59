// SPDX-License-Identifier: Apache-2.0
#include "test_token.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>

#ifndef SOFTHSM_MODULE
#define SOFTHSM_MODULE "/usr/lib/softhsm/libsofthsm2.so"
#endif
#ifndef SOFTOKN_MODULE
#define SOFTOKN_MODULE "/usr/lib/x86_64-linux-gnu/libsoftokn3.so"
#endif

namespace {

namespace fs = std::filesystem;

TestToken* the_token = nullptr;

bool softokn_is_wanted() {
  const char* wanted = std::getenv("TEST_TOKEN");
  if (wanted == nullptr || std::string(wanted) == "softhsm") return false;
  if (std::string(wanted) == "softokn") return true;
  throw std::runtime_error("TEST_TOKEN is " + std::string(wanted) + ": softhsm or softokn");
}

/// NSS softokn's only token, under each name that was asked for.
std::set<std::string> softokn_names;

/// dbTokenDescription is the label of the token; without configdir there is no store.
std::string softokn_init_string(const std::string& directory) {
  return "configdir='sql:" + directory +
         "/nssdb' certPrefix='' keyPrefix='' secmod='secmod.db' flags= dbTokenDescription='test'";
}

std::string private_directory() {
  const bool in_memory = access("/dev/shm", W_OK) == 0;
  std::string path =
      (in_memory ? fs::path("/dev/shm") : fs::temp_directory_path()) / "smets1-token-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp failed for " + path);
  return path;
}

void write_private(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  if (chmod(path.c_str(), 0600) != 0) throw std::runtime_error("chmod failed for " + path);
}

CK_SLOT_ID blank_slot(pkcs11::Module& module) {
  for (const pkcs11::TokenInfo& token : module.tokens())
    if ((token.flags & CKF_TOKEN_INITIALIZED) == 0) return token.slot;
  throw std::runtime_error("SoftHSM offers no slot for a new token");
}

/// C_InitToken and C_InitPIN are the security officer's: the layer under test has no words for
/// them.
void initialise(std::shared_ptr<pkcs11::Module> module, const std::string& label) {
  const CK_SLOT_ID slot = blank_slot(*module);
  std::array<unsigned char, 32> padded;
  padded.fill(' ');
  std::copy(label.begin(), label.end(), padded.begin());
  std::string so_pin = TestToken::so_pin, user_pin = TestToken::user_pin;
  auto* const so = reinterpret_cast<unsigned char*>(so_pin.data());
  auto* const user = reinterpret_cast<unsigned char*>(user_pin.data());
  module->call("C_InitToken", &CK_FUNCTION_LIST::C_InitToken, slot, so, CK_ULONG{so_pin.size()},
               padded.data());
  pkcs11::Session session(module, slot);
  session.login(CKU_SO, TestToken::secret(so_pin));
  module->call("C_InitPIN", &CK_FUNCTION_LIST::C_InitPIN, session.raw(), user,
               CK_ULONG{user_pin.size()});
  session.logout();
}

/// A fresh database has no PIN of the security officer, and takes the user's from him once.
void initialise_softokn(std::shared_ptr<pkcs11::Module> module) {
  const auto tokens =
      module->tokens();  // not by URI: until there is a PIN it does not count as initialised
  const auto ours = std::ranges::find(tokens, "test", &pkcs11::TokenInfo::label);
  if (ours == tokens.end())
    throw std::runtime_error("NSS softokn shows no token of the name that it was given");
  pkcs11::Session session(module, ours->slot);
  session.login(CKU_SO, pkcs11::Secret());
  std::string pin = TestToken::user_pin;
  module->call("C_InitPIN", &CK_FUNCTION_LIST::C_InitPIN, session.raw(),
               reinterpret_cast<unsigned char*>(pin.data()), CK_ULONG{pin.size()});
  session.logout();
}

}  // namespace

const bool TestToken::is_softokn = softokn_is_wanted();
const char* const TestToken::module_path = is_softokn ? SOFTOKN_MODULE : SOFTHSM_MODULE;

TestToken::TestToken() : directory(private_directory()) {
  if (the_token != nullptr) throw std::logic_error("a process has one TestToken");
  the_token = this;
  write_private(pin_file(), std::string(user_pin) + "\n");
  if (is_softokn) {
    fs::create_directory(directory + "/nssdb");
    module = pkcs11::Module::load({module_path, softokn_init_string(directory)});
    initialise_softokn(module);
    return;
  }
  fs::create_directory(token_directory());
  write_private(directory + "/softhsm2.conf",
                "directories.tokendir = " + token_directory() +
                    "\nobjectstore.backend = file\nlog.level = ERROR\n");
  if (setenv("SOFTHSM2_CONF", (directory + "/softhsm2.conf").c_str(), 1) != 0)
    throw std::runtime_error("setenv failed");
  module = pkcs11::Module::load({module_path, {}});
  initialise(module, "test");
}

TestToken::~TestToken() {
  the_token = nullptr;
  try {
    module->finalize();
  } catch (const std::exception&) {  // the tests have said what there is to say
  }
  std::error_code ignored;
  fs::remove_all(directory, ignored);
}

TestToken& TestToken::current() {
  if (the_token == nullptr) throw std::logic_error("main has made no TestToken");
  return *the_token;
}

void TestToken::add_token(const std::string& label) {
  if (is_softokn)
    softokn_names.insert(label);
  else
    initialise(module, label);
}

std::string TestToken::uri(const std::string& label) {
  return "pkcs11:token=" + (softokn_names.contains(label) ? "test" : label);
}

std::string TestToken::settings() const {
  return is_softokn ? "init_reserved = \"" + softokn_init_string(directory) +
                          "\"\nprotection = \"none-for-testing\"\n"
                    : "";
}

std::string TestToken::uri_with_pin(const std::string& label) const {
  return uri(label) + "?pin-source=file:" + pin_file();
}

std::unique_ptr<pkcs11::Pool> TestToken::pool(const std::string& label,
                                              pkcs11::PoolOptions options) const {
  const pkcs11::Uri uri = pkcs11::Uri::parse(uri_with_pin(label));
  return std::make_unique<pkcs11::Pool>(module, uri, pkcs11::PinSource::parse(uri.pin_source(), ""),
                                        pkcs11::Prompt{}, std::move(options));
}

pkcs11::Secret TestToken::secret(std::string text) {
  return pkcs11::Secret({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
}

pkcs11::Bytes from_hex(const std::string& text) {
  pkcs11::Bytes bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::string to_hex(pkcs11::ByteView bytes) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string text;
  for (const std::uint8_t byte : bytes) (text += digits[byte >> 4]) += digits[byte & 15];
  return text;
}
