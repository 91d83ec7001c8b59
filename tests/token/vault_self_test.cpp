// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>

#include <deque>
#include <filesystem>
#include <map>

#include "token/pkcs11_support.hpp"
#include "vault/self_test/self_test.hpp"

#ifndef SOFTOKN_MODULE
#define SOFTOKN_MODULE "/usr/lib/x86_64-linux-gnu/libsoftokn3.so"
#endif

using namespace smets1kms::vault;
using Verdict = Protection::Verdict;

namespace {

/// The names go into the audit trail, so they stay. need: 'a'lways, with the 'o'fficer, 'w'ished.
/// Then, as measured:
/// '+' held, '-' not held, '?' could not be set up by SoftHSM 2.6.1 and by NSS softokn 3.87.
struct Expected {
  const char* name;
  char need, softhsm, softokn;
};
constexpr Expected expected[] = {
    {"trusted-by-generation", 'o', '+', '-'},
    {"trusted-by-creation", 'o', '+', '-'},
    {"trusted-by-unwrap", 'o', '+', '-'},
    {"trusted-by-set", 'o', '+', '+'},
    {"trusted-by-copy", 'o', '+', '-'},
    {"wrap-under-untrusted", 'o', '+', '-'},
    {"wrap-under-untrusted-rsa", 'o', '+', '-'},
    {"lower-wrap-with-trusted-by-set", 'o', '+', '-'},
    {"lower-wrap-with-trusted-by-copy", 'o', '+', '-'},
    {"raise-wrap-with-trusted-by-set", 'w', '+', '-'},
    {"raise-wrap-with-trusted-by-copy", 'w', '+', '-'},
    {"raise-extractable-by-set", 'a', '+', '+'},
    {"raise-extractable-by-copy", 'a', '+', '-'},
    {"lower-sensitive-by-set", 'a', '+', '+'},
    {"lower-sensitive-by-copy", 'a', '+', '+'},
    {"read-sensitive-value", 'a', '+', '+'},
    {"change-unmodifiable", 'a', '+', '+'},
    {"copy-unmodifiable-changed", 'a', '+', '-'},
    {"copy-unmodifiable-modifiable", 'a', '+', '-'},
    {"copy-uncopyable", 'w', '+', '-'},
    {"destroy-undestroyable", 'w', '+', '-'},
    {"claim-local-by-creation", 'a', '+', '-'},
    {"claim-local-by-unwrap", 'a', '+', '-'},
    {"claim-always-sensitive-by-creation", 'a', '+', '+'},
    {"check-value-suppressed", 'w', '+', '+'},
    {"encrypt-with-kek", 'a', '+', '+'},
    {"sign-with-kek", 'a', '+', '+'},
    {"decrypt-blob-by-ecb", 'a', '+', '+'},
    {"decrypt-blob-by-key-wrap", 'a', '+', '+'},
    {"wrap-without-wrap", 'a', '+', '+'},
    {"unwrap-without-unwrap", 'a', '+', '+'},
    {"encrypt-outside-allowed-mechanisms", 'a', '+', '-'},
    {"wrap-outside-allowed-mechanisms", 'a', '+', '-'},
    {"digest-state", 'a', '+', '-'},
    {"digest-key", 'w', '-', '-'},
    {"derive-aes-ecb-encrypt-data", 'a', '+', '-'},
    {"derive-aes-cbc-encrypt-data", 'a', '+', '-'},
    {"derive-concatenate-base-and-key", 'a', '+', '-'},
    {"derive-concatenate-own-base-and-key", 'a', '+', '-'},
    {"derive-concatenate-base-and-data", 'a', '+', '-'},
    {"derive-concatenate-data-and-base", 'a', '+', '-'},
    {"derive-xor-base-and-data", 'a', '+', '-'},
    {"derive-extract-key-from-key", 'a', '+', '-'},
    {"derive-sha1", 'a', '+', '-'},
    {"derive-sha224", 'a', '+', '-'},
    {"derive-sha256", 'a', '+', '-'},
    {"derive-sha384", 'a', '+', '-'},
    {"derive-sha512", 'a', '+', '-'},
    {"derive-hkdf", 'a', '+', '-'},
    {"derive-sp800-108-counter", 'a', '+', '-'},
    {"wrap-unextractable", 'a', '+', '-'},
    {"wrap-template-local-created", 'a', '+', '-'},
    {"wrap-template-local-unwrapped", 'a', '+', '-'},
    {"wrap-template-always-sensitive", 'a', '+', '-'},
    {"wrap-template-value-len", 'a', '+', '-'},
    {"wrap-template-usage", 'a', '+', '-'},
    {"wrap-template-wrap-with-trusted", 'o', '+', '-'},
    {"unwrap-template-others", 'a', '+', '-'},
    {"unwrap-template-left-out", 'a', '+', '-'},
    {"unwrap-template-doubled", 'a', '+', '-'},
    {"unwrap-template-generic-secret", 'a', '+', '-'},
    {"unwrap-one-byte", 'a', '+', '-'},
    {"unwrap-template-unsatisfiable", 'w', '+', '-'},
    {"rsa-otherwise-than-oaep", 'a', '+', '-'},
    {"unwrap-template-mechanisms", 's', '+', '-'},
    {"wrap-template-other-class", 's', '+', '-'},
    {"opened-under-untrusted", 't', '+', '-'},
    {"mac-of-another-row", 's', '+', '?'},
};

void check_against_table(const std::vector<Protection>& protections, char Expected::*token,
                         bool officer_mode, bool sealed = false) {
  REQUIRE(protections.size() == std::size(expected));
  for (std::size_t i = 0; i < protections.size(); ++i) {
    const Protection& is = protections[i];
    CAPTURE(is.name);
    CAPTURE(is.seen);
    CHECK(is.name == expected[i].name);
    CHECK(is.needed == (expected[i].need == 'a' || (expected[i].need == 'o' && officer_mode) ||
                        (expected[i].need == 's' && sealed) ||
                        (expected[i].need == 't' && officer_mode && sealed)));
    CHECK(to_string(is.verdict) == (expected[i].*token == '+'   ? "held"
                                    : expected[i].*token == '-' ? "not held"
                                                                : "not tried"));
    CHECK_FALSE(is.what.empty());
    CHECK_FALSE(is.seen.empty());
  }
}

std::map<std::string, Protection> by_name(const std::vector<Protection>& protections) {
  std::map<std::string, Protection> result;
  for (const Protection& each : protections) result.emplace(each.name, each);
  return result;
}

/// Everything in the token and in this process's sessions; `watcher` stays open meanwhile.
std::size_t objects(Session& watcher) { return watcher.find_objects({}).size(); }

/// SoftHSM with one function of another mind. The real module stays initialised by TestToken.
struct Fake {
  static inline CK_FUNCTION_LIST* real = nullptr;
  static inline std::deque<CK_RV> wrap_answers;  ///< given out first, then `wrap_always`
  static inline CK_RV wrap_always = CKR_OK;      ///< CKR_OK: the real answer
  CK_FUNCTION_LIST functions{};

  Fake() {
    void* library = dlopen(TestToken::module_path, RTLD_NOW | RTLD_NOLOAD);
    REQUIRE(library != nullptr);
    const auto get = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
    REQUIRE(get(&real) == CKR_OK);
    functions = *real;
    functions.C_Initialize = [](void*) { return CK_RV{CKR_OK}; };
    functions.C_Finalize = [](void*) { return CK_RV{CKR_OK}; };
    functions.C_WrapKey = wrap;
    wrap_answers.clear();
    wrap_always = CKR_OK;
  }
  static CK_RV wrap(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE kek,
                    CK_OBJECT_HANDLE key, CK_BYTE* out, CK_ULONG* size) {
    CK_RV answer = wrap_always;
    if (!wrap_answers.empty()) {
      answer = wrap_answers.front();
      wrap_answers.pop_front();
    }
    return answer == CKR_OK ? real->C_WrapKey(session, mechanism, kek, key, out, size) : answer;
  }

  /// And nothing is left behind.
  std::vector<Protection> run_self_test() {
    const auto outside = TestToken::current().pool();
    Pool::Lease watcher = outside->lease();
    const std::size_t before = objects(*watcher);
    PoolOptions options;
    options.sleep = [](std::chrono::milliseconds) {};
    Pool pool(Module::adopt(functions), Uri::parse(TestToken::uri()),
              PinSource::parse("file:" + TestToken::current().pin_file(), ""), {}, options);
    auto result = self_test(pool, CKM_AES_KEY_WRAP, false);
    CHECK(objects(*watcher) == before);
    return result;
  }
};

}  // namespace

TEST_CASE("SoftHSM has every protection that is needed, and nothing is left behind") {
  const auto pool = TestToken::current().pool();
  Pool::Lease watcher = pool->lease();
  const std::size_t before = objects(*watcher);
  for (const bool officer_mode : {false, true}) {
    CAPTURE(officer_mode);
    const bool sealed = officer_mode;
    const auto protections = self_test(*pool, CKM_AES_KEY_WRAP, officer_mode, sealed);
    check_against_table(protections, &Expected::softhsm, officer_mode, sealed);
    CHECK_NOTHROW(require_protections(protections, "test"));
    CHECK(objects(*watcher) == before);
  }
}

TEST_CASE("NSS softokn is refused, by the names of what it lacks") {
  if (!std::filesystem::exists(SOFTOKN_MODULE)) {
    WARN_MESSAGE(false, "no " SOFTOKN_MODULE ": not tested (package libnss3)");
    return;
  }
  const std::string directory = TestToken::current().directory + "/nss";
  std::filesystem::create_directory(directory);
  const auto module =
      Module::load({SOFTOKN_MODULE, "configdir='sql:" + directory +
                                        "' certPrefix='' keyPrefix='' secmod='secmod.db' flags="});
  const Uri uri =
      Uri::parse("pkcs11:token=NSS%20Certificate%20DB");  // the other slot keeps no keys
  for (const TokenInfo& token : module->tokens()) {
    if (token.label != "NSS Certificate DB") continue;
    Session session(module, token.slot);
    session.login(CKU_SO, Secret());  // a fresh database has no SO PIN
    std::string pin = TestToken::user_pin;
    module->call("C_InitPIN", &CK_FUNCTION_LIST::C_InitPIN, session.raw(),
                 reinterpret_cast<unsigned char*>(pin.data()), CK_ULONG{pin.size()});
    session.logout();
  }
  {
    Pool pool(module, uri, PinSource::parse("file:" + TestToken::current().pin_file(), ""),
              Prompt{});
    Pool::Lease watcher = pool.lease();
    const std::size_t before = objects(*watcher);
    const auto protections = self_test(pool, CKM_AES_KEY_WRAP, false);
    check_against_table(protections, &Expected::softokn, false);
    CHECK(objects(*watcher) == before);

    const std::string message =
        message_of<TokenUnavailable>([&] { require_protections(protections, pool.token().label); });
    CHECK(contains(message, "token \"NSS Certificate DB\" is refused"));
    CHECK(contains(message, "wrap-unextractable (C_WrapKey: CKR_OK)"));
    CHECK(contains(message,
                   "raise-extractable-by-copy (C_CopyObject: CKR_OK, CKA_EXTRACTABLE=true)"));
    CHECK(contains(message, "digest-state (C_GetOperationState: CKR_OK, with the key in clear)"));
    for (const Expected& each : expected) {
      CAPTURE(each.name);
      CHECK(contains(message, std::string(each.name) + " (") ==
            (each.need == 'a' && each.softokn == '-'));
    }
  }
  module->finalize();
}

TEST_CASE("a token that takes no key in clear, and has no ECB, lacks nothing by that") {
  Fake fake;
  fake.functions.C_CreateObject = [](CK_SESSION_HANDLE session, CK_ATTRIBUTE* attributes,
                                     CK_ULONG count, CK_OBJECT_HANDLE* object) {
    for (CK_ULONG i = 0; i < count; ++i)
      if (attributes[i].type == CKA_CLASS &&
          *static_cast<CK_ULONG*>(attributes[i].pValue) == CKO_SECRET_KEY)
        return CK_RV{CKR_TEMPLATE_INCONSISTENT};
    return Fake::real->C_CreateObject(session, attributes, count, object);
  };
  fake.functions.C_EncryptInit = [](CK_SESSION_HANDLE session, CK_MECHANISM* mechanism,
                                    CK_OBJECT_HANDLE key) {
    return mechanism->mechanism == CKM_AES_ECB ? CK_RV{CKR_MECHANISM_INVALID}
                                               : Fake::real->C_EncryptInit(session, mechanism, key);
  };
  const auto protections = fake.run_self_test();
  CHECK_NOTHROW(require_protections(protections, "test"));
  const auto all = by_name(protections);
  for (const char* name :
       {"digest-state", "wrap-template-local-created", "encrypt-outside-allowed-mechanisms"}) {
    CAPTURE(name);
    CHECK(to_string(all.at(name).verdict) == "held");
  }
  CHECK(contains(all.at("wrap-template-local-created").seen,
                 "C_CreateObject: CKR_TEMPLATE_INCONSISTENT"));
}

TEST_CASE("a fault that passes changes no verdict") {
  Fake fake;
  for (const CK_RV fault : {CKR_DEVICE_ERROR, CKR_FUNCTION_FAILED, CKR_GENERAL_ERROR,
                            CKR_SESSION_HANDLE_INVALID, CKR_DEVICE_MEMORY}) {
    CAPTURE(rv_name(fault));
    Fake::wrap_answers = {fault, CKR_OK, CKR_OK, fault, fault};
    check_against_table(fake.run_self_test(), &Expected::softhsm, false);
    CHECK(Fake::wrap_answers.empty());
  }
}

TEST_CASE("a fault that stays is no refusal: a needed protection then counts as not held") {
  Fake fake;
  Fake::wrap_always = CKR_FUNCTION_FAILED;  // what AWS CloudHSM says when it throttles
  const auto protections = fake.run_self_test();
  const Protection wrap = by_name(protections).at("wrap-unextractable");
  CHECK(wrap.verdict == Verdict::not_tried);
  CHECK(wrap.seen == "C_WrapKey: CKR_FUNCTION_FAILED");
  CHECK(contains(message_of<TokenUnavailable>([&] { require_protections(protections, "test"); }),
                 "wrap-unextractable (not tried: C_WrapKey: CKR_FUNCTION_FAILED)"));
}

TEST_CASE("a wrap that never works proves nothing of what must not be wrapped") {
  Fake fake;
  Fake::wrap_always = CKR_MECHANISM_INVALID;
  const auto found = by_name(fake.run_self_test());
  for (const char* name :
       {"wrap-unextractable", "wrap-under-untrusted", "wrap-template-local-created",
        "unwrap-template-others", "wrap-without-wrap"}) {
    CAPTURE(name);
    CHECK(found.at(name).verdict == Verdict::not_tried);
    CHECK(found.at(name).seen == "C_WrapKey: CKR_MECHANISM_INVALID");
  }
  CHECK(found.at("raise-extractable-by-set").verdict == Verdict::held);
}

TEST_CASE("what the token can't do at all, or does without effect, is no hole") {
  Fake fake;
  fake.functions.C_CopyObject = [](CK_SESSION_HANDLE, CK_OBJECT_HANDLE, CK_ATTRIBUTE*, CK_ULONG,
                                   CK_OBJECT_HANDLE*) { return CK_RV{CKR_FUNCTION_NOT_SUPPORTED}; };
  fake.functions.C_SetAttributeValue = [](CK_SESSION_HANDLE, CK_OBJECT_HANDLE, CK_ATTRIBUTE*,
                                          CK_ULONG) { return CK_RV{CKR_OK}; };
  const auto found = by_name(fake.run_self_test());
  CHECK(found.at("raise-extractable-by-copy").verdict == Verdict::held);
  CHECK(found.at("raise-extractable-by-copy").seen == "C_CopyObject: CKR_FUNCTION_NOT_SUPPORTED");
  CHECK(found.at("raise-extractable-by-set").verdict == Verdict::held);
  CHECK(found.at("raise-extractable-by-set").seen ==
        "C_SetAttributeValue: CKR_OK, without effect: CKA_EXTRACTABLE: expected true, is false");
}

TEST_CASE("one needed protection missing refuses the token; a wished one does not") {
  Protection one{"some-name", "Something must fail.", true, Verdict::not_held, "C_WrapKey: CKR_OK"};
  CHECK(message_of<TokenUnavailable>([&] { require_protections({one}, "t"); }) ==
        "token \"t\" is refused, as it does not protect keys: some-name (C_WrapKey: CKR_OK). Use "
        "another token, or, for tests alone, protection = "
        "\"none-for-testing\".");
  one.needed = false;
  CHECK_NOTHROW(require_protections({one}, "t"));
  one.needed = true;
  one.verdict = Verdict::held;
  CHECK_NOTHROW(require_protections({one}, "t"));
  CHECK(contains(message_of<TokenUnavailable>([] { require_protections({}, "t"); }),
                 "no protection was tried"));
}
