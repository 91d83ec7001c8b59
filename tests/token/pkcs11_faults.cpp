// SPDX-License-Identifier: Apache-2.0
// What SoftHSM never does: lock a PIN, run out of sessions, stumble and recover.
#include <dlfcn.h>

#include <deque>

#include "token/pkcs11_support.hpp"

namespace {

/// SoftHSM's functions with some replaced. The real module stays initialised by TestToken; here its
/// initialisations are only counted.
struct Fake {
  CK_FUNCTION_LIST functions{};
  static inline CK_FUNCTION_LIST* real = nullptr;
  static inline CK_FLAGS token_flags = 0;
  static inline int initialised = 0, finalised = 0, logins = 0, generated = 0;
  static inline CK_FLAGS initialise_flags = 0;
  static inline std::string initialise_reserved;
  static inline std::deque<CK_RV> generate_answers;  ///< given out first, then the real answer
  static inline CK_RV template_answer =
      CKR_OK;  ///< to a question for a CKA_WRAP_TEMPLATE; CKR_OK: the real one

  Fake() {
    void* library = dlopen(TestToken::module_path, RTLD_NOW | RTLD_NOLOAD);
    REQUIRE(library != nullptr);
    const auto get = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
    REQUIRE(get(&real) == CKR_OK);
    functions = *real;
    functions.C_Initialize = initialise;
    functions.C_Finalize = [](void*) { return ++finalised, CK_RV{CKR_OK}; };
    functions.C_GetTokenInfo = token_info;
    functions.C_Login = login;
    functions.C_GenerateKey = generate;
    functions.C_GetAttributeValue = [](CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                       CK_ATTRIBUTE* asked, CK_ULONG count) {
      const bool is_meant =
          template_answer != CKR_OK && count == 1 && asked->type == CKA_WRAP_TEMPLATE;
      return is_meant ? template_answer : real->C_GetAttributeValue(session, object, asked, count);
    };
    template_answer = CKR_OK;
    token_flags = initialise_flags = 0;
    initialised = finalised = logins = generated = 0;
    generate_answers.clear();
  }
  static CK_RV initialise(void* arguments) {
    ++initialised;
    const auto& given = *static_cast<CK_C_INITIALIZE_ARGS*>(arguments);
    initialise_flags = given.flags;
    initialise_reserved =
        given.pReserved != nullptr ? static_cast<const char*>(given.pReserved) : "";
    return CKR_OK;
  }
  static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO* info) {
    const CK_RV rv = real->C_GetTokenInfo(slot, info);
    info->flags |= token_flags;
    return rv;
  }
  static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_BYTE* pin, CK_ULONG size) {
    ++logins;
    return real->C_Login(session, user, pin, size);
  }
  static CK_RV generate(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_ATTRIBUTE* wanted,
                        CK_ULONG count, CK_OBJECT_HANDLE* key) {
    ++generated;
    if (generate_answers.empty())
      return real->C_GenerateKey(session, mechanism, wanted, count, key);
    const CK_RV rv = generate_answers.front();
    if (generate_answers.size() > 1) generate_answers.pop_front();  // the last one stays
    if (rv == CKR_OK) return real->C_GenerateKey(session, mechanism, wanted, count, key);
    return rv;
  }
};

std::unique_ptr<Pool> pool_over(Fake& fake,
                                std::vector<std::chrono::milliseconds>* waits = nullptr) {
  const PinSource pin = PinSource::parse(TestToken::current().pin_file(), "");
  return std::make_unique<Pool>(Module::adopt(fake.functions, "reserved"),
                                Uri::parse(TestToken::uri()), pin, Prompt{},
                                PoolOptions{4, [waits](std::chrono::milliseconds wait) {
                                              if (waits != nullptr) waits->push_back(wait);
                                            }});
}

void generate(Session& session) {
  session.destroy_object(
      session.generate_key(Mechanism(CKM_AES_KEY_GEN), aes_key().add(attr::value_len, 16)));
}

}  // namespace

TEST_CASE("a module is initialised with locks and its reserved words") {
  Fake fake;
  const auto module = Module::adopt(fake.functions, "configdir='sql:x'");
  CHECK(Fake::initialise_flags == CKF_OS_LOCKING_OK);
  CHECK(Fake::initialise_reserved == "configdir='sql:x'");
  module->finalize();
  module->finalize();
  CHECK(Fake::finalised == 1);
  CHECK_THROWS_AS((void)module->info(), Error);
  CHECK_THROWS_AS(module->reinitialize(module->generation()), Error);
  CHECK(Fake::initialised == 1);
}

TEST_CASE("no PIN is tried where one more could lock it") {
  Fake fake;
  const std::pair<CK_FLAGS, const char*> flags[] = {
      {CKF_USER_PIN_FINAL_TRY, "one more wrong PIN would lock it"},
      {CKF_USER_PIN_LOCKED, "locked"},
      {CKF_USER_PIN_TO_BE_CHANGED, "changed"}};
  for (const auto& [flag, says] : flags) {
    Fake::token_flags = flag;
    CHECK(contains(message_of<LoginRefused>([&] { (void)pool_over(fake); }), says));
  }
  CHECK(Fake::logins == 0);
  Fake::token_flags = CKF_USER_PIN_COUNT_LOW;
  const auto pool = pool_over(fake);
  CHECK(Fake::logins == 1);
  // The flags are looked at anew before a later login.
  Fake::token_flags = CKF_USER_PIN_FINAL_TRY;
  pool->lease()->logout();
  CHECK_THROWS_AS(pool->run(generate), LoginRefused);
  CHECK(Fake::logins == 1);
}

TEST_CASE("a token that fails when it is asked for a template has not hidden it") {
  Fake fake;
  const auto pool = pool_over(fake);
  auto lease = pool->lease();
  const auto wrapping = Template().add(attr::sensitive, true);
  const Handle key =
      lease->generate_key(Mechanism(CKM_AES_KEY_GEN),
                          aes_key().add(attr::value_len, 16).add(attr::wrap_template, wrapping));
  const auto expected = Template().add(attr::wrap_template, wrapping);
  CHECK(lease->differences(key, expected).empty());
  Fake::template_answer = CKR_ATTRIBUTE_TYPE_INVALID;
  CHECK(lease->differences(key, expected).empty());  // it has its reasons, and hides no weaker one
  Fake::template_answer = CKR_DEVICE_ERROR;
  CHECK_THROWS_AS((void)lease->differences(key, expected), Error);
  Fake::template_answer = CKR_OK;
  lease->destroy_object(key);
}

TEST_CASE("a passing fault is ridden out with growing waits") {
  Fake fake;
  std::vector<std::chrono::milliseconds> waits;
  const auto pool = pool_over(fake, &waits);
  const std::uint64_t epoch = pool->epoch();
  for (const CK_RV rv : {CKR_DEVICE_ERROR, CKR_FUNCTION_FAILED, CKR_DEVICE_REMOVED}) {
    waits.clear();
    Fake::generate_answers = {rv, rv, CKR_OK};
    CHECK_NOTHROW(pool->run(generate));
    REQUIRE(waits.size() == 2);
    CHECK(waits[0] >= std::chrono::milliseconds(25));
    CHECK(waits[0] <= std::chrono::milliseconds(75));
    CHECK(waits[1] >= std::chrono::milliseconds(75));
    CHECK(waits[1] <= std::chrono::milliseconds(225));
  }
  CHECK(pool->epoch() == epoch);
  CHECK(Fake::initialised == 1);
}

TEST_CASE("what is no passing fault is not waited for") {
  struct {
    CK_RV rv;
    int calls;
  } const cases[] = {{CKR_DEVICE_MEMORY, 1},         {CKR_SESSION_COUNT, 1},
                     {CKR_PIN_EXPIRED, 1},           {CKR_KEY_SIZE_RANGE, 1},
                     {CKR_OBJECT_HANDLE_INVALID, 2}, {CKR_SESSION_CLOSED, 2},
                     {CKR_OPERATION_ACTIVE, 2}};
  Fake fake;
  std::vector<std::chrono::milliseconds> waits;
  const auto pool = pool_over(fake, &waits);
  for (const auto& [rv, calls] : cases) {
    Fake::generated = 0;
    Fake::generate_answers = {rv};
    CHECK(contains(message_of<Error>([&] { pool->run(generate); }), rv_name(rv)));
    CHECK(Fake::generated == calls);
    Fake::generated = 0;
    CHECK(contains(message_of<Error>([&] { pool->run(generate, Repeat::never); }), rv_name(rv)));
    CHECK(Fake::generated == 1);
    Fake::generate_answers.clear();
    CHECK_NOTHROW(pool->run(generate));
  }
  CHECK(waits.empty());
}

TEST_CASE("a fault that stays while the token answers is the call's own") {
  Fake fake;
  std::vector<std::chrono::milliseconds> waits;
  const auto pool = pool_over(fake, &waits);
  Fake::generate_answers = {CKR_FUNCTION_FAILED};
  CHECK(contains(message_of<Error>([&] { pool->run(generate); }),
                 "C_GenerateKey: CKR_FUNCTION_FAILED"));
  CHECK(waits.size() == 3);
  CHECK(Fake::generated == 4);
  CHECK(Fake::initialised == 1);
}

TEST_CASE("a token that no longer answers is initialised again, then reported lost") {
  Fake fake;
  const auto pool = pool_over(fake);
  fake.functions.C_OpenSession = [](CK_SLOT_ID, CK_FLAGS, void*, CK_NOTIFY, CK_SESSION_HANDLE*) {
    return CK_RV{CKR_DEVICE_ERROR};
  };
  const std::string message = message_of<TokenUnavailable>([&] { pool->run(generate); });
  CAPTURE(message);
  for (const char* part : {"\"test\"", "is lost", "CKR_DEVICE_ERROR"})
    CHECK(contains(message, part));
  CHECK(Fake::initialised == 2);
  fake.functions.C_OpenSession = Fake::real->C_OpenSession;
  CHECK_NOTHROW(pool->run(generate));
}

TEST_CASE("a module that was finalised under it is initialised again") {
  Fake fake;
  const auto pool = pool_over(fake);
  Fake::generate_answers = {CKR_CRYPTOKI_NOT_INITIALIZED, CKR_OK};
  CHECK_NOTHROW(pool->run(generate));
  CHECK(Fake::initialised == 2);
  CHECK(Fake::finalised == 1);
}
