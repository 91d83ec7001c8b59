// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/module.hpp"

#include <p11-kit/p11-kit.h>
#include <pthread.h>

#include <cstdlib>
#include <mutex>
#include <string_view>
#include <utility>

namespace pkcs11 {

namespace {

std::atomic<unsigned> forks{0};

/// Counts forks from now on: a child may only do what is safe in a signal handler.
void count_forks() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { ++forks; });
  if (registered != 0) throw BadConfiguration("pthread_atfork failed: forks could not be noticed");
}

std::string own(char* text) {
  if (text == nullptr) return {};
  std::string copy = text;
  std::free(text);
  return copy;
}

std::string reason() {
  const char* message = p11_kit_message();
  return message != nullptr ? message : "no reason given";
}

/// Strips a field's padding: blanks without a terminator (PKCS#11 2.40 section 3); some modules use
/// NUL.
template <std::size_t N>
std::string unpad(const unsigned char (&field)[N]) {
  std::string_view text(reinterpret_cast<const char*>(field), N);
  text = text.substr(0, text.find('\0'));
  return std::string(text.substr(0, text.find_last_not_of(" ") + 1));
}

std::string to_string(CK_VERSION version) {
  return std::to_string(version.major) + "." + std::to_string(version.minor);
}

std::optional<std::size_t> limit(CK_ULONG count) {
  if (count == CK_EFFECTIVELY_INFINITE || count == CK_UNAVAILABLE_INFORMATION) return std::nullopt;
  return count;
}

TokenInfo readable(CK_SLOT_ID slot, const CK_TOKEN_INFO& raw) {
  return {slot,
          unpad(raw.label),
          unpad(raw.manufacturerID),
          unpad(raw.model),
          unpad(raw.serialNumber),
          raw.flags,
          limit(raw.ulMaxSessionCount),
          limit(raw.ulMaxRwSessionCount),
          to_string(raw.firmwareVersion)};
}

std::string list(const std::vector<TokenInfo>& tokens) {
  std::string text;
  for (const TokenInfo& token : tokens)
    text += (text.empty() ? "\"" : ", \"") + token.label + "\" (" + token.model + ", serial " +
            token.serial + ")";
  return text;
}

CK_FUNCTION_LIST* load_by_path(const std::string& path) {
  CK_FUNCTION_LIST* functions = p11_kit_module_load(path.c_str(), 0);
  if (functions == nullptr)
    throw BadConfiguration("PKCS#11 module " + path + " can't be loaded: " + reason());
  return functions;
}

CK_FUNCTION_LIST* load_by_name(const std::string& name) {
  CK_FUNCTION_LIST** all = p11_kit_modules_load(nullptr, 0);
  if (all == nullptr) throw BadConfiguration("p11-kit can't load its modules: " + reason());
  CK_FUNCTION_LIST* const wanted = p11_kit_module_for_name(all, name.c_str());
  std::string others;
  for (CK_FUNCTION_LIST** each = all; *each != nullptr; ++each) {
    if (*each == wanted) continue;
    others += (others.empty() ? "" : ", ") + own(p11_kit_module_get_name(*each));
    p11_kit_module_release(*each);
  }
  std::free(all);
  if (wanted == nullptr)
    throw BadConfiguration("p11-kit knows no module named \"" + name +
                           "\"; it knows: " + (others.empty() ? "none" : others) +
                           ". Name one of these, or give a path.");
  return wanted;
}

/// Finalises what a forked child has of its parent, so that it begins anew (PKCS#11 2.40 section
/// 5.4). SoftHSM lets the child use its parent's login, and p11-kit does not finalise what the
/// parent initialised.
void drop_inheritance(CK_FUNCTION_LIST* functions) {
  const std::string path = own(p11_kit_module_get_filename(functions));
  if (path.empty()) return;
  CK_FUNCTION_LIST* const unmanaged = p11_kit_module_load(path.c_str(), P11_KIT_MODULE_UNMANAGED);
  if (unmanaged == nullptr) return;
  (void)unmanaged->C_Finalize(
      nullptr);  // CKR_CRYPTOKI_NOT_INITIALIZED where there is nothing to drop
  p11_kit_module_release(unmanaged);
}

}  // namespace

Module::Module(CK_FUNCTION_LIST& functions, std::string name, std::string init_reserved,
               bool from_p11_kit)
    : name_(std::move(name)),
      init_reserved_(std::move(init_reserved)),
      functions_(&functions),
      from_p11_kit_(from_p11_kit),
      fork_count_(forks) {}

std::shared_ptr<Module> Module::load(const ModuleOptions& options) {
  count_forks();
  p11_kit_be_quiet();  // a library does not print
  const bool by_path = options.module.find('/') != std::string::npos;
  if (options.module.empty()) throw BadConfiguration("no PKCS#11 module is named");

  CK_FUNCTION_LIST* const functions =
      by_path ? load_by_path(options.module) : load_by_name(options.module);
  std::string init_reserved = options.init_reserved;
  // p11-kit passes this string only where it chooses the C_Initialize arguments itself.
  if (init_reserved.empty() && !by_path)
    init_reserved = own(p11_kit_config_option(functions, "x-init-reserved"));
  std::shared_ptr<Module> module(
      new Module(*functions, options.module, std::move(init_reserved), true));
  if (forks != 0) drop_inheritance(functions);
  try {
    module->initialize();
  } catch (const Error& error) {
    throw TokenUnavailable(error.what() +
                           std::string(". Look at what the module reads: its configuration (of "
                                       "SoftHSM the file that SOFTHSM2_CONF names), whether this "
                                       "user may read it and the token's files, HOME"));
  }
  return module;
}

std::shared_ptr<Module> Module::adopt(CK_FUNCTION_LIST& functions,
                                      const std::string& init_reserved) {
  count_forks();
  std::shared_ptr<Module> module(new Module(functions, "adopted", init_reserved, false));
  module->initialize();
  return module;
}

/// Releases the module without finalising it, which crashes in SoftHSM from a static destructor. A
/// module that is still initialised, or that a parent process initialised, stays in memory.
Module::~Module() {
  if (from_p11_kit_ && !initialized_ && fork_count_ == forks) p11_kit_module_release(functions_);
}

void Module::check_process() const {
  if (fork_count_ != forks)
    throw Forked(
        "the PKCS#11 module was initialised before a fork: load it again in the child process");
}

void Module::initialize() {
  CK_C_INITIALIZE_ARGS arguments{};
  arguments.flags = CKF_OS_LOCKING_OK;  // without it SoftHSM uses no locks
  if (!init_reserved_.empty()) arguments.pReserved = init_reserved_.data();
  if (const CK_RV rv = functions_->C_Initialize(&arguments); rv != CKR_OK)
    throw Error("C_Initialize", rv, "module " + name_);
  initialized_ = true;
}

void Module::finalize() {
  if (fork_count_ != forks) return;
  const std::unique_lock alone(gate_);
  finalized_ = true;
  ++generation_;
  if (!initialized_.exchange(false)) return;
  if (const CK_RV rv = functions_->C_Finalize(nullptr); rv != CKR_OK)
    throw Error("C_Finalize", rv, "module " + name_);
}

void Module::reinitialize(std::uint64_t seen_generation) {
  check_process();
  const std::unique_lock alone(gate_);
  if (generation_ != seen_generation && initialized_) return;
  if (finalized_)
    throw Error("C_Initialize", CKR_CRYPTOKI_NOT_INITIALIZED,
                "module " + name_ + ", finalised for good");
  ++generation_;
  if (initialized_.exchange(false))
    (void)functions_->C_Finalize(nullptr);  // the module is in a bad way already
  initialize();
}

bool Module::logs_calls() const {
  if (!from_p11_kit_) return false;
  const std::string value = own(p11_kit_config_option(functions_, "log-calls"));
  return value == "yes" || own(p11_kit_config_option(nullptr, "log-calls")) == "yes";
}

ModuleInfo Module::info() {
  CK_INFO raw{};
  call("C_GetInfo", &CK_FUNCTION_LIST::C_GetInfo, &raw);
  return {unpad(raw.manufacturerID), unpad(raw.libraryDescription), to_string(raw.libraryVersion),
          to_string(raw.cryptokiVersion)};
}

std::vector<CK_SLOT_ID> Module::slots_with_token() {
  for (;;) {  // a token may be plugged in between the two calls
    CK_ULONG count = 0;
    call("C_GetSlotList", &CK_FUNCTION_LIST::C_GetSlotList, CK_BBOOL{CK_TRUE}, nullptr, &count);
    std::vector<CK_SLOT_ID> slots(count);
    const CK_RV rv =
        invoke(&CK_FUNCTION_LIST::C_GetSlotList, CK_BBOOL{CK_TRUE}, slots.data(), &count);
    if (rv == CKR_BUFFER_TOO_SMALL) continue;
    if (rv != CKR_OK) throw Error("C_GetSlotList", rv);
    slots.resize(count);
    return slots;
  }
}

std::vector<Module::RawToken> Module::raw_tokens(std::string& unanswered) {
  std::vector<RawToken> found;
  for (const CK_SLOT_ID slot : slots_with_token()) {
    RawToken token{slot, {}};
    const CK_RV rv = invoke(&CK_FUNCTION_LIST::C_GetTokenInfo, slot, &token.info);
    if (rv == CKR_OK)
      found.push_back(token);
    else
      unanswered +=
          "; " + std::string(Error("C_GetTokenInfo", rv, "slot " + std::to_string(slot)).what());
  }
  return found;
}

std::vector<TokenInfo> Module::tokens() {
  std::string unanswered;
  std::vector<TokenInfo> tokens;
  for (const RawToken& token : raw_tokens(unanswered))
    tokens.push_back(readable(token.slot, token.info));
  return tokens;
}

TokenInfo Module::find_token(const Uri& uri) {
  std::string unanswered;
  std::vector<TokenInfo> matching, present;
  for (const RawToken& token : raw_tokens(unanswered)) {
    // SoftHSM always offers one slot whose token has yet to be initialised.
    if ((token.info.flags & CKF_TOKEN_INITIALIZED) == 0) continue;
    present.push_back(readable(token.slot, token.info));
    if (uri.matches(token.info)) matching.push_back(present.back());
  }
  if (matching.size() == 1) return matching.front();
  if (matching.size() > 1)
    throw TokenUnavailable(std::to_string(matching.size()) + " tokens match " + uri.printable() +
                           ": " + list(matching) + ". Add serial=… to the URI.");
  throw TokenUnavailable("no token matches " + uri.printable() + "; module " + name_ + " has " +
                         (present.empty() ? "no token" : list(present)) + unanswered +
                         ". Correct the URI, or connect the token.");
}

void Module::require(const TokenInfo& token, CK_MECHANISM_TYPE type, CK_FLAGS flags) {
  static constexpr std::pair<CK_FLAGS, const char*> uses[] = {
      {CKF_ENCRYPT, "CKF_ENCRYPT"},
      {CKF_DECRYPT, "CKF_DECRYPT"},
      {CKF_SIGN, "CKF_SIGN"},
      {CKF_VERIFY, "CKF_VERIFY"},
      {CKF_GENERATE, "CKF_GENERATE"},
      {CKF_GENERATE_KEY_PAIR, "CKF_GENERATE_KEY_PAIR"},
      {CKF_WRAP, "CKF_WRAP"},
      {CKF_UNWRAP, "CKF_UNWRAP"},
      {CKF_DERIVE, "CKF_DERIVE"},
      {CKF_DIGEST, "CKF_DIGEST"},
      {CKF_HW, "CKF_HW"}};
  const std::string who =
      "token \"" + token.label + "\" (" + token.manufacturer + " " + token.model + ")";
  CK_MECHANISM_INFO info{};
  const CK_RV rv = invoke(&CK_FUNCTION_LIST::C_GetMechanismInfo, token.slot, type, &info);
  if (rv == CKR_MECHANISM_INVALID)
    throw TokenUnavailable(who + " has no " + mechanism_name(type) + ": it can't be used here");
  if (rv != CKR_OK) throw Error("C_GetMechanismInfo", rv, mechanism_name(type));
  const CK_FLAGS missing = flags & ~info.flags;
  if (missing == 0) return;
  std::string text;
  for (const auto& [flag, name] : uses)
    if ((missing & flag) != 0) text += std::string(" ") + name;
  throw TokenUnavailable(who + " has " + mechanism_name(type) + " without" +
                         (text.empty() ? " a flag asked for" : text) + ": it can't be used here");
}

}  // namespace pkcs11
