// SPDX-License-Identifier: Apache-2.0
// Which keys a rotation may make, under which KEK, and which keys may end.
#include <doctest/doctest.h>

#include "lifecycle/key_rules.hpp"
#include "lifecycle/named_batch.hpp"
#include "smets1kms/errors.hpp"
#include "support/expect.hpp"

using namespace smets1kms;
using namespace smets1kms::lifecycle;
using test::rule_of;

namespace {

using enum KeyRole;
using enum Delivery;

Key key(KeyRole role, std::uint32_t generation, Delivery delivery,
        KeyState state = KeyState::active, std::uint32_t transfer = 0) {
  return {.device = DeviceId::from_number(1),
          .role = role,
          .generation = generation,
          .id = KeyId::random(),
          .state = state,
          .delivery = delivery,
          .predecessor = {},
          .kek = {},
          .transfer = transfer,
          .operation = "op",
          .created_at = {}};
}

Device device(std::vector<KeyRole> supports, DeviceStatus status = DeviceStatus::commissioned) {
  return {.id = DeviceId::from_number(1),
          .kind = DeviceKind::esme,
          .model = "M",
          .system_title = {},
          .suite = SecuritySuite::suite_0,
          .supports = std::move(supports),
          .commissioned_at = {},
          .status = status};
}

RotationRequest request(std::vector<KeyRole> roles, WrapUnder under = WrapUnder::automatic) {
  return {.device = DeviceId::from_number(1),
          .roles = std::move(roles),
          .reason = Reason::operational,
          .authority = {},
          .wrap_under = under};
}

const std::vector all{guek, gbek, gak, kek};

}  // namespace

TEST_CASE("without roles: every role that the device supports, but the KEK") {
  const std::pair<std::vector<KeyRole>, std::vector<KeyRole>> table[] = {
      {all, {guek, gbek, gak}}, {{gak, kek}, {gak}}, {{kek}, {}}, {{}, {}}};
  for (const auto& [supports, expected] : table) {
    auto wanted = request({});
    add_default_roles(wanted, device(supports));
    CHECK(wanted.roles == expected);
  }
  auto chosen = request({gak});
  add_default_roles(chosen, device(all));
  CHECK(chosen.roles == std::vector{gak});
}

TEST_CASE("which roles may be rotated together") {
  struct {
    std::vector<KeyRole> roles, supports;
    DeviceStatus status;
    const char* rule;
  } const table[] = {
      {{guek, gbek, gak}, all, DeviceStatus::commissioned, ""},
      {{gak, guek}, all, DeviceStatus::suspended, ""},
      {{kek}, all, DeviceStatus::commissioned, ""},
      {{}, {kek}, DeviceStatus::commissioned, "role-not-supported"},
      {{kek, gak}, all, DeviceStatus::commissioned, "kek-alone"},
      {{guek, gbek}, {guek, gak, kek}, DeviceStatus::commissioned, "role-not-supported"},
      {{kek}, {guek}, DeviceStatus::commissioned, "role-not-supported"},
      {{guek}, all, DeviceStatus::decommissioned, "decommissioned"},
  };
  for (const auto& [roles, supports, status, rule] : table)
    CHECK(rule_of([&, &roles = roles, &supports = supports, status = status] {
            check_roles(request(roles), device(supports, status));
          }) == rule);
  CHECK_THROWS_AS(check_roles(request({guek, guek}), device(all)), BadInput);
  auto without_kek = device(all);
  without_kek.no_kek_reason = "lost by its maker";
  const auto refusal =
      test::message_of<Refused>([&] { check_roles(request({guek}), without_kek); });
  CHECK(test::contains(refusal, "has no usable KEK: lost by its maker"));
  CHECK(rule_of([&] { check_roles(request({kek}), without_kek); }) == "no-usable-kek");
}

TEST_CASE("no third key while two may be in use") {
  using enum KeyState;
  struct {
    const char* what;
    std::vector<KeyRole> roles;
    std::vector<Key> keys;
    const char* rule;
  } const table[] = {
      {"no key yet", {guek}, {}, ""},
      {"a confirmed one", {guek}, {key(guek, 1, confirmed)}, ""},
      {"shown not to be held", {guek}, {key(guek, 2, not_held, pre_active)}, ""},
      {"planned", {guek}, {key(guek, 1, planned, none)}, "in-doubt"},
      {"released", {guek}, {key(guek, 1, released, pre_active)}, "in-doubt"},
      {"in doubt", {guek}, {key(guek, 1, in_doubt, pre_active)}, "in-doubt"},
      {"of a device that was decommissioned", {guek}, {key(guek, 1, in_doubt, destroyed)}, ""},
      {"suspected, and in doubt", {guek}, {key(guek, 1, in_doubt, compromised)}, "in-doubt"},
      {"of another role", {guek}, {key(gak, 1, in_doubt, pre_active)}, ""},
      {"any, before a KEK", {kek}, {key(gak, 1, in_doubt, pre_active)}, "in-doubt"},
      {"a new KEK, planned", {guek}, {key(kek, 2, planned, none)}, "kek-unproven"},
      {"a new KEK, released", {gak}, {key(kek, 2, released, pre_active)}, "kek-unproven"},
      {"a new KEK, in doubt", {gak}, {key(kek, 2, in_doubt, pre_active)}, ""},
      {"a new KEK, unproven", {gak}, {key(kek, 2, unproven, pre_active)}, ""},
      {"a new KEK, and not the GAK alone",
       {guek, gak},
       {key(kek, 2, unproven, pre_active)},
       "kek-unproven"},
      {"a new KEK, and another", {kek}, {key(kek, 2, unproven, pre_active)}, "kek-unproven"},
      {"a new KEK, suspected", {guek}, {key(kek, 2, unproven, compromised)}, "no-usable-kek"},
      {"a new KEK, suspected before it was answered",
       {gak},
       {key(kek, 2, released, compromised)},
       "kek-unproven"},
  };
  for (const auto& [what, roles, keys, rule] : table) {
    CAPTURE(std::string(what));
    CHECK(rule_of([&, &roles = roles, &keys = keys] { check_doubts(request(roles), keys); }) ==
          rule);
  }
}

TEST_CASE("the KEK that wraps") {
  using enum KeyState;
  auto awaits = key(kek, 2, unproven, pre_active);
  awaits.awaits_enrolment = true;
  const auto old = key(kek, 1, confirmed), fresh = key(kek, 2, unproven, pre_active);
  struct {
    const char* what;
    std::vector<Key> keys;
    WrapUnder under;
    std::uint32_t generation;  ///< 0: refused
    const char* rule;
  } const table[] = {
      {"the only one", {old}, WrapUnder::automatic, 1, ""},
      {"the new one, to prove it", {old, fresh}, WrapUnder::automatic, 2, ""},
      {"the old one, asked for", {old, fresh}, WrapUnder::proven, 1, ""},
      {"the newest of the proven", {old, key(kek, 3, confirmed)}, WrapUnder::proven, 3, ""},
      {"none", {}, WrapUnder::automatic, 0, "no-usable-kek"},
      {"a suspected one",
       {key(kek, 1, confirmed, compromised)},
       WrapUnder::automatic,
       0,
       "no-usable-kek"},
      {"a suspected new one",
       {old, key(kek, 2, unproven, compromised)},
       WrapUnder::automatic,
       0,
       "no-usable-kek"},
      {"the old one beside it",
       {old, key(kek, 2, unproven, compromised)},
       WrapUnder::proven,
       1,
       ""},
      {"one that waits for the officer",
       {old, awaits},
       WrapUnder::automatic,
       0,
       "kek-not-enrolled"},
      {"the old one meanwhile", {old, awaits}, WrapUnder::proven, 1, ""},
  };
  for (const auto& [what, keys, under, generation, rule] : table) {
    CAPTURE(std::string(what));
    std::uint32_t chosen = 0;
    CHECK(rule_of([&, &keys = keys, under = under] {
            chosen = choose_kek(request({gak}, under), keys).generation;
          }) == rule);
    CHECK(chosen == generation);
  }
}

TEST_CASE("the keys that a rotation plans") {
  const auto wraps = key(kek, 1, confirmed);
  const std::vector existing{wraps, key(guek, 4, confirmed, KeyState::active, 7),
                             key(guek, 5, not_held, KeyState::pre_active, 9)};
  CHECK(next_generation(existing, guek) == 6);
  CHECK(next_generation(existing, gak) == 1);
  auto wanted = request({gak, guek});
  for (const bool together : {false, true}) {
    wanted.single_action = together;
    const auto keys = plan_keys(wanted, wraps, existing, "op-1");
    REQUIRE(keys.size() == 2);
    CHECK(keys[0].role == gak);
    CHECK(keys[0].generation == 1);
    CHECK(keys[0].transfer == 10);
    CHECK_FALSE(keys[0].predecessor);
    CHECK(keys[1].role == guek);
    CHECK(keys[1].generation == 6);
    CHECK(keys[1].transfer == (together ? 10 : 11));
    CHECK(keys[1].predecessor == existing[1].id);
    CHECK(keys[0].id != keys[1].id);
    for (const auto& each : keys) {
      CHECK(each.kek == wraps.id);
      CHECK(each.state == KeyState::none);
      CHECK(each.delivery == planned);
      CHECK(each.operation == "op-1");
    }
  }
}

TEST_CASE("which keys are superseded, spent, and may end") {
  using enum KeyState;
  using Kind = Selection::Kind;
  const std::vector keys{key(guek, 1, confirmed), key(guek, 2, confirmed), key(gak, 1, confirmed),
                         key(guek, 3, released, pre_active)};
  CHECK(is_superseded(keys[0], keys));
  for (const auto i : {1, 2, 3})
    CHECK_FALSE(is_superseded(keys[static_cast<std::size_t>(i)], keys));
  CHECK_FALSE(is_superseded(key(guek, 1, confirmed, deactivated), {}));

  struct {
    Key key;
    bool deactivated, not_held;
  } const table[] = {{key(guek, 1, confirmed, deactivated), true, false},
                     {key(guek, 1, not_held, pre_active), false, true},
                     {key(guek, 1, not_held, deactivated), true, false},
                     {key(guek, 1, not_held, compromised), false, false},
                     {key(guek, 1, confirmed), false, false},
                     {key(guek, 1, in_doubt, pre_active), false, false},
                     {key(guek, 1, confirmed, destroyed), false, false}};
  for (const auto& [each, is_deactivated, is_not_held] : table) {
    CHECK(is_spent(each, Kind::deactivated) == is_deactivated);
    CHECK(is_spent(each, Kind::not_held) == is_not_held);
    CHECK(is_spent(each, Kind::devices) == (is_deactivated || is_not_held));
  }

  const auto in_service = DeviceStatus::commissioned;
  CHECK(may_end(keys[0], in_service, keys));
  CHECK_FALSE(may_end(keys[1], in_service, keys));
  CHECK_FALSE(may_end(keys[1], DeviceStatus::suspended, keys));
  CHECK(may_end(keys[1], DeviceStatus::decommissioned, keys));
  CHECK(may_end(key(kek, 1, confirmed, compromised), in_service, {}));
  CHECK_FALSE(may_end(key(kek, 1, in_doubt, compromised), in_service, {}));
  CHECK_FALSE(may_end(key(guek, 1, confirmed, compromised), in_service, {}));
  CHECK(destroyed_from(compromised) == destroyed_compromised);
  CHECK(destroyed_from(deactivated) == destroyed);
}

TEST_CASE("names of batches, and of their rotations") {
  const Time at = parse_time("2026-11-22T12:00:00Z");
  const auto name = new_batch_name(at);
  CHECK(name.size() == 26);
  CHECK(name != new_batch_name(at));
  CHECK(name < new_batch_name(at + std::chrono::milliseconds(1)));
  const auto id = DeviceId::from_number(0x00DB1234567890A0);
  const auto longest = operation_of(std::string(26, 'b'), id, Reason::suspected_compromise);
  CHECK(longest.size() == 64);
  CHECK_NOTHROW(check_operation_id(longest));
  CHECK(operation_of("night:1", id, Reason::operational) == "night:1:00DB1234567890A0:operational");
  const auto parsed = parse_operation("night:1", "night:1:00DB1234567890A0:operational");
  REQUIRE(parsed);
  CHECK(parsed->first == id);
  CHECK(parsed->second == Reason::operational);
  for (const char* other :
       {"night:1", "night:1:", "night:1:00DB1234567890A0",
        "night:1:00DB1234567890A0:", "night:1:00DB1234567890A0:other",
        "night:1:00DB1234567890AX:operational", "night:1:00DB1234567890A0operational",
        "night:10:00DB1234567890A0:operational", "night:2:00DB1234567890A0:operational"})
    CHECK_FALSE(parse_operation("night:1", other));
  // Another batch, whose name begins so.
  CHECK_FALSE(parse_operation("night", "night:1:00DB1234567890A0:operational"));
}
