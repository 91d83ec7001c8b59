// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "token/pkcs11_support.hpp"

namespace {

/// What `work` returns in a forked child.
template <class Work>
int in_child(Work work) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(work());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a module that can't be loaded says why") {
  CHECK(contains(message_of<BadConfiguration>([] {
                   (void)Module::load({"/nowhere/module.so", {}});
                 }),
                 "/nowhere/module.so"));
  CHECK(contains(message_of<BadConfiguration>([] {
                   (void)Module::load({"no-such-module", {}});
                 }),
                 "no-such-module"));
  CHECK_THROWS_AS((void)Module::load({"", {}}), BadConfiguration);
}

TEST_CASE("a module is loaded by the name that p11-kit has for it") {
  const std::string known = message_of<BadConfiguration>([] {
    (void)Module::load({"no-such-module", {}});
  });
  if (!contains(known, "softhsm2")) return;  // where the distribution has not registered it
  const auto named = Module::load({"softhsm2", {}});
  CHECK(named->info().manufacturer == "SoftHSM");
  CHECK_FALSE(named->logs_calls());
  named->finalize();
  CHECK(TestToken::current().module->info().manufacturer == "SoftHSM");  // p11-kit counts
}

TEST_CASE("the module and its token describe themselves") {
  Module& module = *TestToken::current().module;
  CHECK(module.info().manufacturer == "SoftHSM");
  CHECK(module.info().cryptoki_version == "2.40");
  CHECK_FALSE(module.logs_calls());
  const TokenInfo token = module.find_token(Uri::parse(TestToken::uri()));
  CHECK(token.label == "test");
  CHECK(token.model == "SoftHSM v2");
  CHECK(token.firmware == "2.6");
  CHECK_FALSE(token.max_sessions.has_value());
  CHECK(module.find_token(Uri::parse("pkcs11:serial=" + token.serial)).slot == token.slot);
}

TEST_CASE("a token that is not there, or there twice, is told with what there is") {
  TestToken& tests = TestToken::current();
  tests.add_token("twin");
  tests.add_token("twin");
  const std::string none = message_of<TokenUnavailable>(
      [&] { (void)tests.module->find_token(Uri::parse("pkcs11:token=other")); });
  CAPTURE(none);
  for (const char* part : {"pkcs11:token=other", "\"test\"", "\"twin\"", "SoftHSM v2"})
    CHECK(contains(none, part));
  const std::string both = message_of<TokenUnavailable>(
      [&] { (void)tests.module->find_token(Uri::parse("pkcs11:token=twin")); });
  CHECK(contains(both, "2 tokens match"));
  CHECK(contains(both, "serial="));
  CHECK_FALSE(contains(both, "\"test\""));
}

TEST_CASE("a mechanism is asked for with its flags") {
  Module& module = *TestToken::current().module;
  const TokenInfo token = module.find_token(Uri::parse(TestToken::uri()));
  CHECK_NOTHROW(module.require(token, CKM_AES_KEY_WRAP, CKF_WRAP | CKF_UNWRAP));
  CHECK(contains(message_of<TokenUnavailable>(
                     [&] { module.require(token, CKM_AES_KEY_WRAP, CKF_WRAP | CKF_SIGN); }),
                 "without CKF_SIGN"));
  CHECK(contains(message_of<TokenUnavailable>([&] { module.require(token, 0x210B, CKF_WRAP); }),
                 "has no CKM_AES_KEY_WRAP_KWP"));
  CHECK_NOTHROW(module.require(token, CKM_AES_GCM, CKF_ENCRYPT));
}

TEST_CASE("a forked child is refused the parent's module, and its login") {
  TestToken& tests = TestToken::current();
  const auto pool = tests.pool();
  auto lease = pool->lease();
  CHECK(in_child([&] {
          int refused = 0;
          try {
            (void)tests.module->info();
          } catch (const Forked&) {
            ++refused;
          }
          try {
            (void)lease->state();
          } catch (const Forked&) {
            ++refused;
          }
          try {
            (void)pool->run([](Session& session) { return session.state(); });
          } catch (const Forked&) {
            ++refused;
          }
          return refused;
        }) == 3);
  // Loaded anew it works there, and begins without a login.
  CHECK(in_child([&] {
          const auto own = Module::load({TestToken::module_path, {}});
          Session session(own, own->find_token(Uri::parse(TestToken::uri())).slot);
          const bool fresh = session.state() == CKS_RW_PUBLIC_SESSION;
          own->finalize();
          return fresh ? 0 : 1;
        }) == 0);
  CHECK(lease->state() == CKS_RW_USER_FUNCTIONS);
}

TEST_CASE("a session of an earlier initialisation never reaches the module") {
  TestToken& tests = TestToken::current();
  const CK_SLOT_ID slot = tests.module->find_token(Uri::parse(TestToken::uri())).slot;
  auto before = std::make_unique<Session>(tests.module, slot);
  tests.module->reinitialize(tests.module->generation());
  const CK_SLOT_ID moved = tests.module->find_token(Uri::parse(TestToken::uri())).slot;
  Session after(tests.module, moved);
  // SoftHSM gives out the same numbers again.
  CHECK(contains(message_of<Error>([&] { (void)before->state(); }), "CKR_SESSION_HANDLE_INVALID"));
  before.reset();
  CHECK(after.state() == CKS_RW_PUBLIC_SESSION);
  CHECK_THROWS_AS(Session(tests.module, moved, tests.module->generation() - 1), Error);
}

TEST_CASE("initialising again is done once for those who saw the same") {
  Module& module = *TestToken::current().module;
  const std::uint64_t seen = module.generation();
  module.reinitialize(seen);
  module.reinitialize(seen);
  CHECK(module.generation() == seen + 1);
}
