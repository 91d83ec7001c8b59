// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <p11-kit/pkcs11.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "pkcs11/error.hpp"
#include "pkcs11/uri.hpp"

namespace pkcs11 {

struct ModuleOptions {
  std::string module;  ///< a path (it has a '/') or the name p11-kit knows it by ("softhsm2")
  std::string init_reserved;  ///< handed over as CK_C_INITIALIZE_ARGS.pReserved; empty for none
                              ///< (NSS softokn needs it)
};

/// Values of CK_TOKEN_INFO as C++ types: padding stripped, 0 and ~0 limits made nullopt.
struct TokenInfo {
  CK_SLOT_ID slot;
  std::string label, manufacturer, model, serial;
  CK_FLAGS flags;
  std::optional<std::size_t> max_sessions, max_rw_sessions;
  std::string firmware;  ///< "2.6"
};

struct ModuleInfo {
  std::string manufacturer, description, library_version, cryptoki_version;
};

/// A loaded PKCS#11 module, always initialised with CKF_OS_LOCKING_OK (without it SoftHSM uses no
/// locks at all). Owned in main's scope; `finalize` is explicit, because from a static destructor
/// SoftHSM with OpenSSL 3 crashes. Safe to use from many threads.
class Module {
 public:
  /// Loads a module. Throws BadConfiguration if it can't be loaded, Error if C_Initialize fails. A
  /// module may be loaded once in a process: p11-kit counts C_Initialize per library, so that a
  /// second Module over the same library would make `reinitialize` do nothing.
  static std::shared_ptr<Module> load(const ModuleOptions& options);
  /// Does the same with a function list that is loaded already: a fake that fails on command, in
  /// tests.
  static std::shared_ptr<Module> adopt(CK_FUNCTION_LIST& functions,
                                       const std::string& init_reserved = {});
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  [[nodiscard]] ModuleInfo info();
  /// True if p11-kit's `log-calls` is on for this module, which prints PINs and wrapped keys in
  /// clear.
  [[nodiscard]] bool logs_calls() const;
  [[nodiscard]] std::vector<TokenInfo> tokens();
  /// Returns the one token that matches. Throws TokenUnavailable that names what was looked for and
  /// what there is (none, or more than one).
  [[nodiscard]] TokenInfo find_token(const Uri& uri);
  /// Throws TokenUnavailable unless the token has the mechanism with every one of `flags`.
  void require(const TokenInfo& token, CK_MECHANISM_TYPE type, CK_FLAGS flags);

  /// Calls C_Finalize, once; before main returns, and when no session is in use. Does nothing in a
  /// forked child.
  void finalize();
  /// Calls C_Finalize and C_Initialize, when no call is under way: the last remedy for a lost
  /// token. Every session and handle is void afterwards. Does nothing if another caller has done so
  /// since `seen_generation`.
  void reinitialize(std::uint64_t seen_generation);
  /// Returns the number of initialisations. A session belongs to the one it was opened under.
  [[nodiscard]] std::uint64_t generation() const { return generation_.load(); }
  /// Throws Forked in a child of the process that loaded the module.
  void check_process() const;

  /// Calls the module; every call goes through here. `member` is the function's slot in
  /// CK_FUNCTION_LIST. Refuses to call from a forked child (Forked).
  template <class Function, class... Arguments>
  [[nodiscard]] CK_RV invoke(Function CK_FUNCTION_LIST::*member, Arguments... arguments) {
    return invoke_in(std::nullopt, member, arguments...);
  }
  /// Does the same for a session opened under `generation`. A later initialisation may have given
  /// its number to another session: CKR_SESSION_HANDLE_INVALID is then returned without a call.
  template <class Function, class... Arguments>
  [[nodiscard]] CK_RV invoke_in(std::optional<std::uint64_t> generation,
                                Function CK_FUNCTION_LIST::*member, Arguments... arguments) {
    check_process();
    const std::shared_lock calling(gate_);
    if (!initialized_) return CKR_CRYPTOKI_NOT_INITIALIZED;
    if (generation && *generation != generation_) return CKR_SESSION_HANDLE_INVALID;
    return (functions_->*member)(arguments...);
  }
  /// Calls the module and throws Error unless CKR_OK. `name` is the function's in the
  /// specification.
  template <class Function, class... Arguments>
  void call(const char* name, Function CK_FUNCTION_LIST::*member, Arguments... arguments) {
    if (const CK_RV rv = invoke(member, arguments...); rv != CKR_OK) throw Error(name, rv);
  }

 private:
  Module(CK_FUNCTION_LIST& functions, std::string name, std::string init_reserved,
         bool from_p11_kit);
  struct RawToken {
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
  };
  void initialize();
  [[nodiscard]] std::vector<CK_SLOT_ID> slots_with_token();
  /// Returns the tokens of the slots that answer; `unanswered` names the other slots and why.
  [[nodiscard]] std::vector<RawToken> raw_tokens(std::string& unanswered);
  std::string name_, init_reserved_;
  CK_FUNCTION_LIST* functions_;
  bool from_p11_kit_;
  unsigned fork_count_;
  std::shared_mutex gate_;  ///< held shared by every call, alone by C_Initialize and C_Finalize
  std::atomic<std::uint64_t> generation_{1};
  std::atomic<bool> initialized_{false}, finalized_{false};
};

}  // namespace pkcs11
