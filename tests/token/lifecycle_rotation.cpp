// SPDX-License-Identifier: Apache-2.0
// The way of a rotation: from the request to a confirmed key, and who may not.
#include <algorithm>
#include <set>
#include <thread>

#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;

TEST_CASE("a rotation from end to end, for each suite") {
  Service service;
  for (const char* suite : {"0", "1", "2"}) {
    CAPTURE(std::string(suite));
    auto meter = service.commission({.suite = suite});
    const std::size_t wrapped = std::string(suite) == "2" ? 40 : 24;
    for (std::uint32_t generation = 1; generation <= 2; ++generation) {
      const auto rotation =
          service.kms->rotate(request(meter, {KeyRole::guek, KeyRole::gbek, KeyRole::gak}));
      REQUIRE(rotation.transfers().size() == 3);  // one key per ACTION
      for (const auto& transfer : rotation.transfers()) {
        REQUIRE(transfer.keys().size() == 1);
        const auto& key = transfer.keys().front();
        CHECK(transfer.device() == meter.id());
        CHECK(key.generation == generation);
        CHECK(transfer.kek() == service.key(meter.id(), KeyRole::kek, 1).id);
        CHECK_FALSE(transfer.released_before());
        CHECK(transfer.activation() == Activation::immediate);
        CHECK(transfer.resets_unicast_counter() == (key.role == KeyRole::guek));
        CHECK(transfer.resets_broadcast_counter() == (key.role == KeyRole::gbek));
        CHECK(wrapped_in(transfer).size() == wrapped);
        CHECK(transfer.id() == meter.id().to_string() + "/" + std::to_string(transfer.number()));
        CHECK(service.standing(meter.id(), key.role, generation) == "pre-active released");

        // The wrapped key opens under the meter's KEK, and is the one in the token.
        CHECK(meter.receive(transfer.action_request()) == success);
        CHECK(service.same_key(meter, key.role, generation));
        const auto result = service.kms->record_reply(transfer, success);
        CHECK(result.delivery == Delivery::confirmed);
        REQUIRE(result.keys.size() == 1);
        CHECK(result.keys.front().id == key.id);
        CHECK(service.standing(meter.id(), key.role, generation) == "active confirmed");
        CHECK(service.objects(key.id) == 1);
        if (generation == 2) {
          CHECK(service.standing(meter.id(), key.role, 1) == "deactivated confirmed");
          CHECK(service.key(meter.id(), key.role, 2).predecessor ==
                service.key(meter.id(), key.role, 1).id);
          CHECK_FALSE(service.same_key(meter, key.role, 1));
        }
      }
    }
  }
}

TEST_CASE("several keys in one ACTION, where asked for") {
  Service service;
  auto meter = service.commission();
  auto wanted = request(meter, {KeyRole::guek, KeyRole::gak});
  wanted.single_action = true;
  const auto rotation = service.kms->rotate(wanted);
  REQUIRE(rotation.transfers().size() == 1);
  const auto& transfer = rotation.transfers().front();
  CHECK(transfer.keys().size() == 2);
  CHECK(transfer.resets_unicast_counter());
  CHECK(meter.receive(transfer.action_request()) == success);
  CHECK(service.kms->record_reply(transfer, success).keys.size() == 2);
  CHECK(service.same_key(meter, KeyRole::guek, 1));
  CHECK(service.same_key(meter, KeyRole::gak, 1));
}

TEST_CASE("no role named: every one but the KEK that the device supports") {
  Service service;
  const auto meters = service.commission_fleet(
      {{}, {.supports = "kek+gak+guek"}, {.supports = "gbek"}, {.supports = "kek"}});
  const std::vector<KeyRole> expected[] = {
      {KeyRole::guek, KeyRole::gbek, KeyRole::gak}, {KeyRole::guek, KeyRole::gak}, {KeyRole::gbek}};
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    const auto wanted = request(meters[i], {}, meters[i].id().to_string() + ".all");
    const auto rotation = service.kms->rotate(wanted);
    std::vector<KeyRole> roles;
    for (const auto& transfer : rotation.transfers()) roles.push_back(transfer.keys().front().role);
    CHECK(roles == expected[i]);
    CHECK(service.kms->rotate(wanted).transfers().size() == roles.size());
  }
  CHECK_THROWS_AS((void)service.kms->rotate(request(meters[3], {})),
                  Error);  // it supports a KEK only: nothing to replace
  CHECK(service.count(meters[3].id(), KeyRole::kek) == 1);
}

TEST_CASE("the request goes to the logical name of the model") {
  Service service;
  const auto meters = service.commission_fleet({{.model = "NOW"}, {.model = "LATER"}});
  CHECK(to_hex(service.release_one(meters[0], KeyRole::gak).action_request())
            .starts_with("C301C1004000002B0000FF0201"));
  const auto later = service.release_one(meters[1], KeyRole::gak);
  CHECK(to_hex(later.action_request()).starts_with("C301C1004000002B0003FF0201"));
  CHECK(later.activation() == Activation::next_association);
}

TEST_CASE("an operation id gives the same result again, and nothing new") {
  Service service;
  const auto meter = service.commission();
  struct {
    const char* id;
    std::vector<KeyRole> roles;
    bool single_action;
  } const cases[] = {{"again-1", {KeyRole::guek, KeyRole::gbek}, false},
                     {"again-2", {KeyRole::gak}, false}};
  for (const auto& [name, roles, single_action] : cases) {
    auto wanted = request(meter, roles, meter.id().to_string() + "." + name);
    wanted.single_action = single_action;
    const auto first = service.kms->rotate(wanted);
    CHECK(first.operation_id() == wanted.operation_id);
    const auto records = service.trail(meter.id()).size();
    const auto again = service.kms->rotate(wanted);
    CHECK(again.operation_id() == first.operation_id());
    REQUIRE(again.transfers().size() == first.transfers().size());
    for (std::size_t i = 0; i < first.transfers().size(); ++i) {
      const auto &a = first.transfers()[i], &b = again.transfers()[i];
      CHECK(a.action_request() == b.action_request());
      CHECK(a.id() == b.id());
      CHECK(a.kek() == b.kek());
      CHECK(a.keys().front().id == b.keys().front().id);
      CHECK_FALSE(a.released_before());
      CHECK(b.released_before());
    }
    CHECK(service.trail(meter.id()).size() ==
          records + roles.size());  // that they were handed out again
    CHECK(service.trail(meter.id()).back().text(audit_field::result) == "handed-out-again");
  }
  CHECK(service.count(meter.id(), KeyRole::guek) == 1);
}

TEST_CASE(
    "an operation id gives the same bytes again for several keys in one ACTION, whatever their "
    "order") {
  Service service;
  for (const auto& roles :
       {std::vector{KeyRole::guek, KeyRole::gak}, std::vector{KeyRole::gak, KeyRole::guek}}) {
    const auto meter = service.commission();
    auto wanted = request(meter, roles, meter.id().to_string() + ".together");
    wanted.single_action = true;
    const auto first = service.kms->rotate(wanted);
    CHECK(service.kms->rotate(wanted).transfers().front().action_request() ==
          first.transfers().front().action_request());
  }
}

TEST_CASE("an operation id outlives the process") {
  auto wanted = request(Meter(DeviceId::from_number(0), {}), {KeyRole::guek});
  Bytes bytes;
  {
    Service service;
    const auto meter = service.commission();
    wanted.device = meter.id();
    wanted.operation_id = meter.id().to_string() + ".kept";
    bytes = service.kms->rotate(wanted).transfers().front().action_request();
  }
  Service service;
  const auto again = service.kms->rotate(wanted);
  CHECK(again.transfers().front().action_request() == bytes);
  CHECK(again.transfers().front().released_before());
}

TEST_CASE("an operation id belongs to one request") {
  Service service;
  const auto meters = service.commission_fleet({{}, {}});
  const auto good = request(meters[0], {KeyRole::guek}, meters[0].id().to_string() + ".mine");
  (void)service.kms->rotate(good);
  struct {
    const char* what;
    std::function<void(RotationRequest&)> change;
  } const others[] = {
      {"device", [&](RotationRequest& r) { r.device = meters[1].id(); }},
      {"roles", [](RotationRequest& r) { r.roles = {KeyRole::gak}; }},
      {"more roles",
       [](RotationRequest& r) {
         r.roles = {KeyRole::guek, KeyRole::gak};
       }},
      {"reason", [](RotationRequest& r) { r.reason = Reason::periodic; }},
      {"requester", [](RotationRequest& r) { r.authority.requested_by = "s1sp:ops-2"; }},
      {"authoriser", [](RotationRequest& r) { r.authority.authorised_by = "dco:ops-8"; }},
      {"reference", [](RotationRequest& r) { r.authority.reference = "CHG-9"; }},
      {"together", [](RotationRequest& r) { r.single_action = true; }},
      {"KEK", [](RotationRequest& r) { r.wrap_under = WrapUnder::proven; }},
  };
  for (const auto& [what, change] : others) {
    CAPTURE(std::string(what));
    auto other = good;
    change(other);
    CHECK(rule_of([&] { (void)service.kms->rotate(other); }) == "operation-id-reused");
  }
  // Nor does another kind of operation get it.
  CHECK(rule_of([&] {
          service.kms->retire({.device = meters[0].id(), .role = KeyRole::guek, .generation = 1},
                              both, good.operation_id);
        }) == "operation-id-reused");
  CHECK(service.count(meters[0].id(), KeyRole::guek) == 1);
  CHECK(service.count(meters[1].id(), KeyRole::guek) == 0);
}

TEST_CASE("who may not, and what may not be asked for") {
  Service service;
  const auto meter = service.commission({.supports = "guek+gak"});
  const auto good = request(meter, {KeyRole::guek});
  struct {
    const char *what, *rule;  // no rule: bad input
    std::function<void(RotationRequest&)> change;
  } const bad[] = {
      {"one identity", "dual-control",
       [](RotationRequest& r) { r.authority.authorised_by = r.authority.requested_by; }},
      {"one identity, another case", "dual-control",
       [](RotationRequest& r) {
         r.authority = {"dco:ops", "DCO:Ops", "CHG-1"};
       }},
      {"unknown device", "unknown-device",
       [](RotationRequest& r) { r.device = DeviceId::from_number(0xFFFF); }},
      {"role not supported", "role-not-supported",
       [](RotationRequest& r) { r.roles = {KeyRole::gbek}; }},
      {"one of two roles not supported", "role-not-supported",
       [](RotationRequest& r) {
         r.roles = {KeyRole::gak, KeyRole::gbek};
       }},
      {"KEK not supported", "role-not-supported",
       [](RotationRequest& r) { r.roles = {KeyRole::kek}; }},
      {"KEK with another", "kek-alone",
       [](RotationRequest& r) {
         r.roles = {KeyRole::kek, KeyRole::gak};
       }},
      {"another with the KEK", "kek-alone",
       [](RotationRequest& r) {
         r.roles = {KeyRole::guek, KeyRole::kek};
       }},
      {"no requester", nullptr, [](RotationRequest& r) { r.authority.requested_by.clear(); }},
      {"no authoriser", nullptr, [](RotationRequest& r) { r.authority.authorised_by.clear(); }},
      {"no reference", nullptr, [](RotationRequest& r) { r.authority.reference.clear(); }},
      {"a role twice", nullptr,
       [](RotationRequest& r) {
         r.roles = {KeyRole::guek, KeyRole::guek};
       }},
      {"a bad operation id", nullptr, [](RotationRequest& r) { r.operation_id = "a b"; }},
      {"a long operation id", nullptr,
       [](RotationRequest& r) { r.operation_id = std::string(65, 'a'); }},
  };
  for (const auto& [what, rule, change] : bad) {
    CAPTURE(std::string(what));
    auto wanted = good;
    change(wanted);
    const auto before = service.trail(wanted.device).size();
    if (rule == nullptr) {
      CHECK_THROWS_AS((void)service.kms->rotate(wanted), BadInput);
      CHECK(service.trail(wanted.device).size() == before);
      continue;
    }
    CHECK(rule_of([&] { (void)service.kms->rotate(wanted); }) == rule);
    const auto trail = service.trail(
        wanted.device);  // the refusal is recorded, also of a device that is not known
    REQUIRE(trail.size() == before + 1);
    CHECK(trail.back().text(audit_field::result) == "refused");
    CHECK(trail.back().text(audit_field::detail) == rule);
    CHECK(trail.back().text(audit_field::phase) == "note");
    CHECK(trail.back().text(audit_field::requested_by) == wanted.authority.requested_by);
  }
  CHECK(service.kms->fleet().keys(meter.id()).size() == 1);  // its KEK
}

TEST_CASE("many threads, many devices, and all of them at one device") {
  Service service;
  auto meters = service.commission_fleet(std::vector<Order>(9));
  const auto& shared = meters.back();
  std::atomic<int> own{0}, won{0}, refused{0}, other{0};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i + 1 < meters.size(); ++i)
    threads.emplace_back([&, i] {
      try {
        service.rotate_one(meters[i], KeyRole::guek);
        if (service.same_key(meters[i], KeyRole::guek, 1)) ++own;
        (void)service.kms->rotate(request(shared, {KeyRole::guek}));
        ++won;
      } catch (const Refused& refusal) {
        ++(std::string(refusal.reason()) == "in-doubt" ? refused : other);
      } catch (...) {
        ++other;
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(own == 8);
  CHECK(won == 1);
  CHECK(refused == 7);
  CHECK(other == 0);
  CHECK(service.count(shared.id(), KeyRole::guek) == 1);
}

TEST_CASE("many threads under one operation id get one rotation") {
  Service service;
  const auto meter = service.commission();
  const auto wanted = request(meter, {KeyRole::guek}, meter.id().to_string() + ".one");
  std::mutex collecting;
  std::set<Bytes> bytes;
  std::vector<std::string> others;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      try {
        const auto rotation = service.kms->rotate(wanted);
        const std::lock_guard lock(collecting);
        bytes.insert(rotation.transfers().front().action_request());
      } catch (const Refused& refusal) {
        const std::lock_guard lock(collecting);
        if (std::string(refusal.reason()) != "operation-open") others.push_back(std::string(refusal.reason()));
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(bytes.size() == 1);
  CHECK(others.empty());
  CHECK(service.count(meter.id(), KeyRole::guek) == 1);
}
