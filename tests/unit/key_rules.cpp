// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/key_rules.hpp"

#include <doctest/doctest.h>

#include "smets1kms/errors.hpp"
#include "support/expect.hpp"

using namespace smets1kms;
using namespace smets1kms::lifecycle;
using test::message_of;
using test::rule_of;

namespace {

constexpr Authority good{};

Authority authority(std::string requested_by, std::string authorised_by,
                    std::string reference = "CHG-1") {
  return {std::move(requested_by), std::move(authorised_by), std::move(reference)};
}

Key key(KeyRole role, std::uint32_t generation, Delivery delivery,
        KeyState state = KeyState::active) {
  return {.device = DeviceId::from_number(1),
          .role = role,
          .generation = generation,
          .id = KeyId::random(),
          .state = state,
          .delivery = delivery,
          .predecessor = {},
          .kek = {},
          .transfer = generation,
          .operation = "op",
          .created_at = {}};
}

}  // namespace

TEST_CASE("the table of key states is closed: all 64 pairs") {
  using enum KeyState;
  constexpr KeyState states[] = {none,        pre_active,  active,    suspended,
                                 deactivated, compromised, destroyed, destroyed_compromised};
  // Row: from. Column: to. x: legal. SP 800-57 Part 1, key states and transitions; `none`: the key
  // is planned.
  //                                none
  //                                |pre-active
  //                                ||active
  //                                |||suspended
  //                                ||||deactivated
  //                                |||||compromised
  //                                ||||||destroyed
  //                                |||||||destroyed-compromised
  constexpr const char* legal[] = {".xx.....",   // none: made, or (a KEK) arrived in use
                                   "..x..xx.",   // pre-active
                                   "...xxx..",   // active
                                   "..x.xx..",   // suspended
                                   ".....xx.",   // deactivated
                                   ".......x",   // compromised
                                   ".......x",   // destroyed
                                   "........"};  // destroyed-compromised: the end
  int count = 0;
  for (std::size_t from = 0; from < 8; ++from)
    for (std::size_t to = 0; to < 8; ++to) {
      CAPTURE(std::string(to_string(states[from])));
      CAPTURE(std::string(to_string(states[to])));
      CHECK(is_legal(states[from], states[to]) == (legal[from][to] == 'x'));
      ++count;
    }
  CHECK(count == 64);
}

TEST_CASE("two distinct identities and a reference") {
  const std::string longest(64, 'a');
  for (const auto& each :
       {authority("s1sp:ops-1", "dco:ops-7", "CHG-1234"), authority("a", "b", "c"),
        authority(longest, "b", longest), authority("a@x.example", "A@y.example", "INC/7_8.9")})
    CHECK_NOTHROW(check_authority(each));
  for (const auto& each :
       {authority("a", "a"), authority("ops-1", "OPS-1"), authority("S1SP:Ops-1", "s1sp:oPS-1")}) {
    CHECK(rule_of([&] { check_authority(each); }) == "dual-control");
    CHECK(test::contains(message_of<Refused>([&] { check_authority(each); }), each.requested_by));
  }
  struct {
    Authority authority;
    const char* says;
  } const bad[] = {{good, "requested-by"},
                   {authority("", "b"), "requested-by"},
                   {authority("a", ""), "authorised-by"},
                   {authority("a", "b", ""), "reference"},
                   {authority(longest + "a", "b"), "requested-by"},
                   {authority("a", longest + "a"), "authorised-by"},
                   {authority("a", "b", longest + "a"), "reference"},
                   {authority("a ", "b"), "requested-by"},
                   {authority("a", " a"), "authorised-by"},
                   {authority("a\n", "b"), "requested-by"},
                   {authority("a", "b\""), "authorised-by"},
                   {authority("a", "b", "CHG 1"), "reference"},
                   {authority("a", "b", "\xC3\xA9"), "reference"},
                   {authority(std::string("a\0", 2), "b"), "requested-by"}};
  for (const auto& [each, says] : bad)
    CHECK(test::contains(message_of<BadInput>([&] { check_authority(each); }), says));
}

TEST_CASE("an operation id is 1 to 64 of its characters") {
  for (const std::string& id :
       {std::string("a"), std::string("CHG-1234.7:b_c"), std::string(64, '9'),
        std::string("01993f2e-7b39-7d02-9b0a-6a2f0c1d2e3f")})
    CHECK_NOTHROW(check_operation_id(id));
  for (const std::string& id :
       {std::string(), std::string(65, 'a'), std::string("a b"), std::string("a/b"),
        std::string("a@b"), std::string("a\n"), std::string("a\""), std::string("\xC3\xA9")})
    CHECK_THROWS_AS(check_operation_id(id), BadInput);
}

TEST_CASE("a key is pending until its way to the device has ended") {
  const std::pair<Delivery, bool> table[] = {
      {Delivery::planned, true},  {Delivery::released, true},   {Delivery::in_doubt, true},
      {Delivery::unproven, true}, {Delivery::confirmed, false}, {Delivery::not_held, false}};
  for (const auto& [delivery, pending] : table)
    CHECK(is_pending(key(KeyRole::guek, 1, delivery)) == pending);
}

TEST_CASE("which key a device may use") {
  // The GUEK of generation 1, with what else there is.
  struct {
    const char* what;
    Delivery first;
    std::vector<Key> others;
    bool may;
  } const table[] = {
      {"planned: nothing was released", Delivery::planned, {}, false},
      {"released: it may have it", Delivery::released, {}, true},
      {"in doubt: it may have it", Delivery::in_doubt, {}, true},
      {"unproven", Delivery::unproven, {}, true},
      {"confirmed", Delivery::confirmed, {}, true},
      {"shown not to be held", Delivery::not_held, {}, false},
      {"a newer one was planned",
       Delivery::confirmed,
       {key(KeyRole::guek, 2, Delivery::planned)},
       true},
      {"a newer one was released",
       Delivery::confirmed,
       {key(KeyRole::guek, 2, Delivery::released)},
       true},
      {"a newer one is in doubt",
       Delivery::confirmed,
       {key(KeyRole::guek, 2, Delivery::in_doubt)},
       true},
      {"a newer one is unproven",
       Delivery::confirmed,
       {key(KeyRole::guek, 2, Delivery::unproven)},
       true},
      {"a newer one was not taken",
       Delivery::confirmed,
       {key(KeyRole::guek, 2, Delivery::not_held)},
       true},
      {"a newer one is confirmed",
       Delivery::confirmed,
       {key(KeyRole::guek, 2, Delivery::confirmed)},
       false},
      {"two newer ones, the last in doubt",
       Delivery::confirmed,
       {key(KeyRole::guek, 2, Delivery::confirmed), key(KeyRole::guek, 3, Delivery::in_doubt)},
       false},
      {"in doubt, and a newer one confirmed",
       Delivery::in_doubt,
       {key(KeyRole::guek, 2, Delivery::confirmed)},
       false},
      {"a newer GAK is confirmed",
       Delivery::confirmed,
       {key(KeyRole::gak, 2, Delivery::confirmed)},
       true},
  };
  for (const auto& [what, first, others, may] : table) {
    CAPTURE(std::string(what));
    const auto mine = key(KeyRole::guek, 1, first);
    auto all = others;
    all.insert(all.begin(), mine);
    CHECK(device_may_use(mine, all) == may);
  }
  // An older confirmed key takes nothing from a newer one.
  const auto newer = key(KeyRole::guek, 2, Delivery::confirmed);
  CHECK(device_may_use(newer, std::vector{key(KeyRole::guek, 1, Delivery::confirmed), newer}));
}

TEST_CASE("the newest key of a role in a state") {
  const std::vector keys{key(KeyRole::guek, 1, Delivery::confirmed),
                         key(KeyRole::guek, 3, Delivery::confirmed),
                         key(KeyRole::guek, 2, Delivery::confirmed),
                         key(KeyRole::guek, 4, Delivery::released, KeyState::pre_active),
                         key(KeyRole::gak, 9, Delivery::confirmed)};
  CHECK(newest(keys, KeyRole::guek, KeyState::active)->generation == 3);
  CHECK(newest(keys, KeyRole::guek, KeyState::pre_active)->generation == 4);
  CHECK(newest(keys, KeyRole::guek, KeyState::compromised) == nullptr);
  CHECK(newest(keys, KeyRole::kek, KeyState::active) == nullptr);
  CHECK(newest({}, KeyRole::guek, KeyState::active) == nullptr);
}

TEST_CASE("a new KEK waits for its proof") {
  const auto old = key(KeyRole::kek, 1, Delivery::confirmed);
  const std::pair<Delivery, bool> table[] = {
      {Delivery::planned, true},  {Delivery::released, true},   {Delivery::in_doubt, true},
      {Delivery::unproven, true}, {Delivery::confirmed, false}, {Delivery::not_held, false}};
  for (const auto& [delivery, waits] : table) {
    const std::vector keys{old, key(KeyRole::kek, 2, delivery, KeyState::pre_active)};
    CHECK((kek_candidate(keys) != nullptr) == waits);
    if (waits) CHECK(kek_candidate(keys)->generation == 2);
  }
  CHECK(kek_candidate(std::vector{key(KeyRole::gak, 2, Delivery::in_doubt)}) == nullptr);
}
