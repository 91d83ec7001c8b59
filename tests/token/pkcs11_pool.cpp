// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <thread>

#include "token/pkcs11_support.hpp"

namespace {

const Mechanism key_gen(CKM_AES_KEY_GEN);

void make_and_destroy(Session& session) {
  session.destroy_object(session.generate_key(key_gen, aes_key().add(attr::value_len, 16)));
}

PoolOptions impatient(std::size_t sessions = 8) {
  return {sessions, [](std::chrono::milliseconds) {}};
}

void close_all_sessions() {
  Module& module = *TestToken::current().module;
  module.call("C_CloseAllSessions", &CK_FUNCTION_LIST::C_CloseAllSessions,
              module.find_token(Uri::parse(TestToken::uri())).slot);
}

std::string private_file(const std::string& name, const std::string& content) {
  const std::string path = TestToken::current().directory + "/" + name;
  std::ofstream(path) << content;
  REQUIRE(chmod(path.c_str(), 0600) == 0);
  return path;
}

}  // namespace

TEST_CASE("a pool is logged in and keeps within its sessions") {
  const auto pool = TestToken::current().pool("test", impatient(3));
  CHECK(pool->capacity() == 2);
  CHECK(pool->token().label == "test");
  CHECK(pool->run([](Session& session) { return session.state(); }) == CKS_RW_USER_FUNCTIONS);
  CHECK(pool->answers());
  auto first = pool->lease();
  CK_SESSION_HANDLE number = 0;
  {
    auto second = pool->lease();
    number = second->raw();
    CHECK(first->raw() != number);
  }
  CHECK(pool->lease()->raw() == number);  // given back, used again
  {
    auto broken = pool->lease();
    broken.mark_broken();
  }
  CHECK(pool->lease()->raw() != number);
}

TEST_CASE("what goes wrong in the work itself is passed on untouched") {
  const auto pool = TestToken::current().pool();
  int calls = 0;
  CHECK_THROWS_AS(pool->run([&](Session&) {
    ++calls;
    throw std::range_error("mine");
  }),
                  std::range_error);
  CHECK(message_of<Error>([&] {
          pool->run([&](Session& session) {
            ++calls;
            session.generate_key(Mechanism(CKM_AES_KEY_GEN), aes_key().add(attr::value_len, 17));
          });
        }) != "");
  CHECK(calls == 2);
}

TEST_CASE("a wrong PIN is tried once, and not again") {
  TestToken& tests = TestToken::current();
  tests.add_token("pin-test");
  const std::string path = private_file("wrong.pin", "not-the-pin");
  const Uri uri = Uri::parse(TestToken::uri("pin-test"));
  const std::string message =
      message_of<LoginRefused>([&] { Pool(tests.module, uri, PinSource::parse(path, ""), {}); });
  CAPTURE(message);
  for (const char* part : {"pin-test", "C_Login: CKR_PIN_INCORRECT", "not tried again"})
    CHECK(contains(message, part));
  CHECK_FALSE(contains(message, "not-the-pin"));

  // Right at first, changed for the worse, then the login is lost: one try, then refusals at once.
  std::ofstream(path) << TestToken::user_pin;
  Pool pool(tests.module, uri, PinSource::parse(path, ""), {}, impatient());
  std::ofstream(path) << "not-the-pin";
  pool.lease()->logout();
  CHECK(
      contains(message_of<LoginRefused>([&] { pool.run(make_and_destroy); }), "CKR_PIN_INCORRECT"));
  std::ofstream(path) << TestToken::user_pin;
  CHECK(contains(message_of<LoginRefused>([&] { pool.run(make_and_destroy); }), "not tried again"));
}

TEST_CASE("a PIN that can be read once only is kept for a later login") {
  TestToken& tests = TestToken::current();
  int asked = 0;
  const Prompt prompt = [&](const std::string&) {
    ++asked;
    return TestToken::secret(TestToken::user_pin);
  };
  Pool pool(tests.module, Uri::parse(TestToken::uri()), {}, prompt, impatient());
  close_all_sessions();
  CHECK_NOTHROW(pool.run(make_and_destroy));
  CHECK(asked == 1);
}

TEST_CASE("another pool of the process that is logged in already is used as it is") {
  TestToken& tests = TestToken::current();
  const auto first = tests.pool();
  const std::string path = private_file("wrong.pin", "not-the-pin");
  Pool second(tests.module, Uri::parse(TestToken::uri()), PinSource::parse(path, ""), {},
              impatient());
  CHECK_NOTHROW(second.run(make_and_destroy));
  CHECK_NOTHROW(first->run(make_and_destroy));
}

TEST_CASE("sessions, login and handles lost behind its back are mended") {
  const auto pool = TestToken::current().pool("test", impatient());
  const std::uint64_t before = pool->epoch();
  { const auto warm = pool->lease(); }
  SUBCASE("all sessions closed") { close_all_sessions(); }
  SUBCASE("logged out") { pool->lease()->logout(); }
  SUBCASE("initialised again by somebody else") {
    pool->module().reinitialize(pool->module().generation());
  }
  SUBCASE("initialised again, while a session was leased") {
    auto lease = pool->lease();
    pool->module().reinitialize(pool->module().generation());
    CHECK_THROWS_AS((void)lease->state(), Error);
  }
  int calls = 0;
  pool->run([&](Session& session) {
    ++calls;
    make_and_destroy(session);
  });
  CHECK(calls <= 2);
  CHECK(pool->epoch() > before);
  CHECK_NOTHROW(pool->run(make_and_destroy, Repeat::never));
}

TEST_CASE("work that may not be repeated fails once, and the next call works") {
  const auto pool = TestToken::current().pool("test", impatient());
  { const auto warm = pool->lease(); }
  int calls = 0;
  const auto work = [&](Session& session) {
    ++calls;
    make_and_destroy(session);
  };
  close_all_sessions();
  CHECK(contains(message_of<Error>([&] { pool->run(work, Repeat::never); }),
                 "CKR_SESSION_HANDLE_INVALID"));
  CHECK(calls == 1);
  CHECK_NOTHROW(pool->run(work, Repeat::never));
  CHECK(calls == 2);
}

TEST_CASE("a stale handle is resolved again, once") {
  const auto pool = TestToken::current().pool("test", impatient());
  std::set<std::uint64_t> epochs;
  const std::string message = message_of<Error>([&] {
    pool->run([&](Session& session) {
      epochs.insert(pool->epoch());
      session.destroy_object(Handle{0xFFFF});
    });
  });
  CHECK(contains(message, "CKR_OBJECT_HANDLE_INVALID"));
  CHECK(epochs.size() == 2);
}

TEST_CASE("a fault that is the call's own does not pass for a lost token") {
  const auto pool = TestToken::current().pool("test", impatient());
  const std::uint64_t generation = pool->module().generation();
  const std::string message = message_of<Error>([&] {
    pool->run([](Session& session) {
      const Handle key =
          session.generate_key(key_gen, aes_key().add(attr::value_len, 16).add(attr::unwrap, true));
      session.unwrap_key(Mechanism(CKM_AES_KEY_WRAP), key, Bytes(24), aes_key());
    });
  });
  CHECK(contains(message, "C_UnwrapKey: CKR_GENERAL_ERROR"));
  CHECK(pool->module().generation() == generation);
}

TEST_CASE("an operation left open spoils no later call") {
  const auto pool = TestToken::current().pool("test", impatient(2));
  pool->run([](Session& session) {
    const Handle key =
        session.generate_key(key_gen, aes_key().add(attr::value_len, 16).add(attr::sign, true));
    CK_MECHANISM raw{CKM_AES_CMAC, nullptr, 0};
    session.call("C_SignInit", &CK_FUNCTION_LIST::C_SignInit, &raw, number(key));
  });
  const Bytes mac = pool->run([](Session& session) {
    const Handle key =
        session.generate_key(key_gen, aes_key().add(attr::value_len, 16).add(attr::sign, true));
    return session.sign(Mechanism(CKM_AES_CMAC), key, Bytes(3));
  });
  CHECK(mac.size() == 16);
}

TEST_CASE("a token directory that vanishes is reported, and taken up again when it is back") {
  TestToken& tests = TestToken::current();
  const auto pool = tests.pool("test", impatient());
  const std::string here = tests.token_directory(), gone = tests.directory + "/gone";
  const Bytes id{0x61, 0x62};
  pool->run([&](Session& session) {
    session.generate_key(
        key_gen, aes_key().set(attr::token, true).add(attr::value_len, 16).add(attr::id, id));
  });
  const auto find = [&](Session& session) {
    const auto found = session.find_objects(Template().add(attr::id, id));
    if (found.empty() && !pool->answers()) throw Error("C_FindObjects", CKR_TOKEN_NOT_PRESENT);
    return found;
  };
  const std::uint64_t before = pool->epoch();
  std::filesystem::rename(here, gone);
  SUBCASE("for good, at first") {
    const std::string message = message_of<TokenUnavailable>([&] { (void)pool->run(find); });
    CAPTURE(message);
    for (const char* part : {"\"test\"", "is lost", "CKR_TOKEN_NOT_PRESENT"})
      CHECK(contains(message, part));
    CHECK_THROWS_AS(pool->run(make_and_destroy), TokenUnavailable);
  }
  SUBCASE("for a moment, in which it was looked at") { CHECK_FALSE(pool->answers()); }
  SUBCASE("for a moment, in which it was searched") {
    CHECK(pool->lease()->find_objects({}).empty());
  }
  std::filesystem::rename(gone, here);
  // Found, or found void in its half-dead state, then found again under a new epoch.
  CHECK_NOTHROW(pool->run([&](Session& session) { session.destroy_object(find(session).at(0)); }));
  CHECK(pool->epoch() > before);
  CHECK(pool->run(find).empty());
}

namespace {

/// 8 threads, 100 calls each, `disturb` called three times meanwhile. Returns what failed.
std::vector<std::string> run_disturbed(const std::function<void()>& call,
                                       const std::function<void()>& disturb) {
  std::atomic<int> done{0};
  std::mutex collecting;
  std::vector<std::string> failures;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 100; ++j, ++done) try {
          call();
        } catch (const std::exception& error) {
          const std::lock_guard lock(collecting);
          failures.emplace_back(error.what());
        }
    });
  for (int expected = 200; expected < 800; expected += 200) {
    while (done < expected) std::this_thread::yield();
    disturb();
  }
  for (std::thread& thread : threads) thread.join();
  return failures;
}

void log_out() {
  const auto& module = TestToken::current().module;
  Session(module, module->find_token(Uri::parse(TestToken::uri())).slot).logout();
}

}  // namespace

TEST_CASE("many threads through one pool") {
  const auto pool = TestToken::current().pool("test", impatient(5));
  // SoftHSM crashes when a session is closed while another thread is in a call on it.
  std::shared_mutex calm;
  const auto call = [&] {
    const std::shared_lock calling(calm);
    pool->run(make_and_destroy);
  };
  std::function<void()> disturb;
  SUBCASE("in peace") {
    disturb = [] {};
  }
  SUBCASE("with sessions lost under them") { disturb = close_all_sessions; }
  SUBCASE("with the login lost under them") { disturb = log_out; }
  CHECK(run_disturbed(call, [&] {
          const std::unique_lock alone(calm);
          disturb();
        }) == std::vector<std::string>{});
}

TEST_CASE("many threads in calls while the module is initialised again") {
  const auto pool = TestToken::current().pool("test", impatient(5));
  CHECK(run_disturbed([&] { pool->run(make_and_destroy); },
                      [&] { pool->module().reinitialize(pool->module().generation()); }) ==
        std::vector<std::string>{});
}
