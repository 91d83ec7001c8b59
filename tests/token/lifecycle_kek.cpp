// SPDX-License-Identifier: Apache-2.0
// domain.md, "What makes this hard", point 4: a KEK is proved by a GAK that its device accepts
// under it.
#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;

namespace {

/// GUEK and GAK of generation 1 in use, and a KEK of generation 2 that the device took.
struct NewKek {
  Service service;
  Meter meter;
  KeyTransfer transfer;

  explicit NewKek(const Order& order = {}, std::optional<Bytes> answer = success,
                  bool applied = true)
      : meter(service.commission(order)),
        transfer((service.rotate_one(meter, KeyRole::guek), service.rotate_one(meter, KeyRole::gak),
                  service.release_one(meter, KeyRole::kek))) {
    if (applied) (void)meter.receive(transfer.action_request());
    service.kms->record_reply(transfer, answer);
  }
  std::string kek(std::uint32_t generation) const {
    return service.standing(meter.id(), KeyRole::kek, generation);
  }
  KeyTransfer release_gak(WrapUnder under) {
    auto wanted = request(meter, {KeyRole::gak});
    wanted.wrap_under = under;
    return service.kms->rotate(wanted).transfers().front();
  }
  KeyRef ref(KeyRole role, std::uint32_t generation) const {
    return {.device = meter.id(), .role = role, .generation = generation};
  }
};

}  // namespace

TEST_CASE("a KEK is replaced, and proved by the next GAK, in each suite") {
  for (const char* suite : {"0", "1", "2"}) {
    CAPTURE(std::string(suite));
    NewKek world({.suite = suite});
    auto& [service, meter, transfer] = world;
    CHECK(transfer.keys().front().role == KeyRole::kek);
    CHECK_FALSE(transfer.resets_unicast_counter());
    CHECK_FALSE(transfer.resets_broadcast_counter());
    CHECK(transfer.kek() == service.key(meter.id(), KeyRole::kek, 1).id);
    // Success says little of a KEK.
    CHECK(world.kek(2) == "pre-active unproven");
    CHECK(world.kek(1) == "active confirmed");
    // Meanwhile nothing else is wrapped, and no second successor made.
    for (const auto& roles : {std::vector{KeyRole::guek}, std::vector{KeyRole::gbek},
                              std::vector{KeyRole::kek}, std::vector{KeyRole::guek, KeyRole::gak}})
      CHECK(rule_of([&] { (void)service.kms->rotate(request(meter, roles)); }) == "kek-unproven");
    CHECK(service.count(meter.id(), KeyRole::kek) == 2);

    const auto gak = service.release_one(meter, KeyRole::gak);
    CHECK(gak.kek() == service.key(meter.id(), KeyRole::kek, 2).id);
    CHECK(meter.receive(gak.action_request()) == success);  // the meter's new KEK opens it
    service.kms->record_reply(gak, success);
    CHECK(world.kek(2) == "active confirmed");
    CHECK(world.kek(1) == "deactivated confirmed");
    CHECK(service.standing(meter.id(), KeyRole::gak, 2) == "active confirmed");
    CHECK(service.same_key(meter, KeyRole::gak, 2));

    // From now on everything goes under the new one, its own successor too.
    const auto guek = service.rotate_one(meter, KeyRole::guek);
    CHECK(guek.kek() == gak.kek());
    CHECK(service.same_key(meter, KeyRole::guek, 2));
    const auto third = service.release_one(meter, KeyRole::kek);
    CHECK(third.kek() == gak.kek());
    CHECK(meter.receive(third.action_request()) == success);
    service.kms->record_reply(third, success);
    service.rotate_one(meter, KeyRole::gak);
    CHECK(world.kek(3) == "active confirmed");
    CHECK(world.kek(2) == "deactivated confirmed");
  }
}

TEST_CASE("until a KEK is proved the old one stays usable") {
  NewKek world({}, std::nullopt, false);  // lost on its way
  auto& [service, meter, transfer] = world;
  CHECK(world.kek(2) == "pre-active in-doubt");
  CHECK(world.kek(1) == "active confirmed");
  const auto gak = world.release_gak(WrapUnder::proven);
  CHECK(gak.kek() == service.key(meter.id(), KeyRole::kek, 1).id);
  CHECK(meter.receive(gak.action_request()) == success);
  service.kms->record_reply(gak, success);
  // Accepted under the old KEK: the device never took the new one.
  CHECK(world.kek(2) == "pre-active not-held");
  CHECK(world.kek(1) == "active confirmed");
  CHECK(service.same_key(meter, KeyRole::gak, 2));
  CHECK(rule_of([&] { service.kms->record_reply(transfer, success); }) == "already-resolved");
  CHECK(service.rotate_one(meter, KeyRole::guek).kek() == gak.kek());
  // The next successor is a new key.
  CHECK(service.release_one(meter, KeyRole::kek).keys().front().generation == 3);
}

TEST_CASE("a KEK whose answer was lost is proved all the same") {
  NewKek world({}, not_ok, true);
  auto& [service, meter, transfer] = world;
  CHECK(world.kek(2) == "pre-active in-doubt");
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::guek); }) == "kek-unproven");
  service.rotate_one(meter, KeyRole::gak);
  CHECK(world.kek(2) == "active confirmed");
  CHECK(world.kek(1) == "deactivated confirmed");
}

TEST_CASE("a KEK's late success, and the same answer again") {
  NewKek world({}, std::nullopt, true);
  auto& [service, meter, transfer] = world;
  CHECK(service.kms->record_reply(transfer, success).delivery == Delivery::unproven);
  CHECK(world.kek(2) == "pre-active unproven");
  CHECK(service.kms->record_reply(transfer, success).delivery == Delivery::unproven);
  CHECK(rule_of([&] { service.kms->record_reply(transfer, not_ok); }) == "already-confirmed");
  CHECK(rule_of([&] {
          service.kms->resolve(world.ref(KeyRole::kek, 2), ProbeResult::new_key, "probe", both);
        }) == "kek-not-probable");
  CHECK(world.kek(2) == "pre-active unproven");
}

TEST_CASE("a GAK that was not accepted says nothing of the KEK; both ways stay open") {
  NewKek world({}, std::nullopt, false);  // the meter has the old KEK
  auto& [service, meter, transfer] = world;
  const auto under_new = service.release_one(meter, KeyRole::gak);
  CHECK(meter.receive(under_new.action_request()) == not_ok);
  service.kms->record_reply(under_new, not_ok);
  CHECK(world.kek(2) == "pre-active in-doubt");
  CHECK(world.kek(1) == "active confirmed");
  CHECK(rule_of([&] { (void)world.release_gak(WrapUnder::proven); }) ==
        "in-doubt");  // the GAK first
  service.kms->resolve(world.ref(KeyRole::gak, 2), ProbeResult::old_key,
                       "association under the old GAK", both);
  CHECK(world.kek(2) == "pre-active in-doubt");
  const auto under_old = world.release_gak(WrapUnder::proven);
  CHECK(meter.receive(under_old.action_request()) == success);
  service.kms->record_reply(under_old, success);
  CHECK(world.kek(2) == "pre-active not-held");
  CHECK(service.same_key(meter, KeyRole::gak, 3));
}

TEST_CASE("a probe that shows the new GAK proves the KEK that wrapped it") {
  NewKek world;
  auto& [service, meter, transfer] = world;
  const auto gak = service.release_one(meter, KeyRole::gak);
  CHECK(meter.receive(gak.action_request()) == success);
  service.kms->record_reply(gak, std::nullopt);
  CHECK(world.kek(2) == "pre-active unproven");
  service.kms->resolve(world.ref(KeyRole::gak, 2), ProbeResult::new_key,
                       "association under the new GAK", both);
  CHECK(world.kek(2) == "active confirmed");
  CHECK(world.kek(1) == "deactivated confirmed");
}

TEST_CASE("a GAK waits until the KEK's own answer is recorded") {
  Service service;
  auto meter = service.commission();
  const auto kek = service.release_one(meter, KeyRole::kek);
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::gak); }) == "kek-unproven");
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::kek); }) == "kek-unproven");
  service.kms->record_reply(kek, std::nullopt);
  CHECK_NOTHROW((void)service.release_one(meter, KeyRole::gak));
}

TEST_CASE("a KEK is not replaced while another key is on its way") {
  Service service;
  auto meter = service.commission();
  const auto gak = service.release_one(meter, KeyRole::gak);
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::kek); }) == "in-doubt");
  service.kms->record_reply(gak, not_ok);
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::kek); }) == "in-doubt");
  service.kms->resolve({.device = meter.id(), .role = KeyRole::gak, .generation = 1},
                       ProbeResult::old_key, "probe", both);
  CHECK_NOTHROW((void)service.release_one(meter, KeyRole::kek));
}

TEST_CASE("the models that switch at the next association change their KEK at its proof") {
  NewKek world({.model = "LATER"});
  auto& [service, meter, transfer] = world;
  service.rotate_one(meter, KeyRole::gak);
  CHECK(world.kek(2) == "active confirmed");
  CHECK(world.kek(1) == "deactivated confirmed");
  CHECK(service.standing(meter.id(), KeyRole::gak, 1) == "active confirmed");
}

TEST_CASE("under the officer's enrolment a new KEK waits for him") {
  Service service(EnrolmentMode::officer);
  for (const char* suite : {"0", "2"}) {
    CAPTURE(std::string(suite));
    auto meter = service.commission({.suite = suite});
    service.rotate_one(meter, KeyRole::gak);
    service.rotate_one(meter, KeyRole::kek);
    auto kek = service.key(meter.id(), KeyRole::kek, 2);
    CHECK(kek.awaits_enrolment);
    CHECK(service.objects(kek.id) == 0);  // not in the token: sealed, in the registry
    CHECK(service.kms->fleet().summary().awaiting_enrolment == 1);
    CHECK(service.standing(meter.id(), KeyRole::kek, 2) == "pre-active unproven");
    CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::gak); }) == "kek-not-enrolled");

    CHECK(service.admit_waiting() == 1);
    kek = service.key(meter.id(), KeyRole::kek, 2);
    CHECK_FALSE(kek.awaits_enrolment);
    CHECK(service.objects(kek.id) == 1);
    CHECK(service.kms->fleet().summary().awaiting_enrolment == 0);
    CHECK(service.admit_waiting() == 0);
    const auto gak = service.rotate_one(meter, KeyRole::gak);
    CHECK(gak.kek() == kek.id);
    CHECK(service.same_key(meter, KeyRole::gak, 2));
    CHECK(service.standing(meter.id(), KeyRole::kek, 2) == "active confirmed");
    CHECK(service.standing(meter.id(), KeyRole::kek, 1) == "deactivated confirmed");
    service.rotate_one(meter, KeyRole::guek);
    CHECK(service.same_key(meter, KeyRole::guek, 1));
  }
}

TEST_CASE("a new KEK that waits for the officer leaves the old one usable") {
  Service service(EnrolmentMode::officer);
  auto meter = service.commission();
  const auto lost = service.release_one(meter, KeyRole::kek);  // the meter never saw it
  service.kms->record_reply(lost, std::nullopt);
  auto wanted = request(meter, {KeyRole::gak});
  wanted.wrap_under = WrapUnder::proven;
  const auto gak = service.kms->rotate(wanted).transfers().front();
  CHECK(meter.receive(gak.action_request()) == success);
  service.kms->record_reply(gak, success);
  CHECK(service.standing(meter.id(), KeyRole::kek, 2) == "pre-active not-held");
  // It is of no use any more: destroyed without ever having been in the token.
  const KeyRef key{.device = meter.id(), .role = KeyRole::kek, .generation = 2};
  service.kms->destroy(std::vector{key}, both);
  CHECK(service.standing(meter.id(), KeyRole::kek, 2) == "destroyed not-held");
  CHECK(service.kms->fleet().summary().awaiting_enrolment == 0);
  CHECK_FALSE(service.registry_holds(wrapped_in(lost)));
  CHECK(service.admit_waiting() == 0);
}

TEST_CASE("the officer admits no KEK that is compromised, and none that the device does not hold") {
  Service service(EnrolmentMode::officer);
  auto with_lost_kek = [&] {
    auto meter = service.commission();
    service.kms->record_reply(service.release_one(meter, KeyRole::kek),
                              std::nullopt);  // the meter never saw it
    return meter;
  };
  const auto good = with_lost_kek(), compromised = with_lost_kek();
  auto kept_old = with_lost_kek();
  const auto ref = [](const Meter& meter) {
    return KeyRef{.device = meter.id(), .role = KeyRole::kek, .generation = 2};
  };
  service.kms->compromise(ref(compromised), "a laptop was stolen", both);
  auto wanted = request(kept_old, {KeyRole::gak});
  wanted.wrap_under = WrapUnder::proven;
  const auto gak = service.kms->rotate(wanted).transfers().front();
  CHECK(kept_old.receive(gak.action_request()) == success);
  service.kms->record_reply(gak, success);
  CHECK(service.standing(compromised.id(), KeyRole::kek, 2) == "compromised in-doubt");
  CHECK(service.standing(kept_old.id(), KeyRole::kek, 2) == "pre-active not-held");
  CHECK(service.kms->fleet().summary().awaiting_enrolment == 1);

  service.kms.reset();
  const auto result = service.enrolment(both).admit_waiting();
  service.open();
  CHECK(result.admitted == 1);
  CHECK(result.failures.empty());
  REQUIRE(result.passed_over.size() == 2);
  const auto told = result.passed_over.front() + "\n" + result.passed_over.back();
  CAPTURE(told);
  CHECK(contains(
      told, compromised.id().to_string() + "/kek/2 is compromised, in-doubt: it is not admitted"));
  CHECK(contains(told,
                 kept_old.id().to_string() + "/kek/2 is pre-active, not-held: it is not admitted"));
  CHECK(service.objects(service.key(good.id(), KeyRole::kek, 2).id) == 1);
  CHECK(service.objects(service.key(compromised.id(), KeyRole::kek, 2).id) == 0);
  CHECK(service.objects(service.key(kept_old.id(), KeyRole::kek, 2).id) == 0);
  CHECK(service.kms->fleet().summary().awaiting_enrolment == 0);
  // With nothing else to admit too.
  CHECK(service.admit_waiting() == 0);
}

TEST_CASE("nothing waits for an officer under plain enrolment") {
  Service service;
  service.kms.reset();
  CHECK(rule_of([&] { (void)service.enrolment(both).admit_waiting(); }) == "plain-enrolment");
}
