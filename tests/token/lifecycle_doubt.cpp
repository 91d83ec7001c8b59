// SPDX-License-Identifier: Apache-2.0
// domain.md, "What makes this hard", points 1 to 3: a lost or negative answer means unknown.
#include <algorithm>

#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;
using audit::Field;

namespace {

KeyRef ref(const Meter& meter, KeyRole role, std::uint32_t generation) {
  return {.device = meter.id(), .role = role, .generation = generation};
}

/// No key may be made while the GUEK of generation 2 is in doubt.
void check_doubt(Service& service, const Meter& meter) {
  CHECK(service.standing(meter.id(), KeyRole::guek, 2) == "pre-active in-doubt");
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "active confirmed");
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::guek); }) == "in-doubt");
  CHECK(rule_of([&] {
          (void)service.kms->rotate(request(meter, {KeyRole::gak, KeyRole::guek}));
        }) == "in-doubt");
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::kek); }) == "in-doubt");
  CHECK(service.count(meter.id(), KeyRole::guek) == 2);
  // Both keys are there to be used: which one the device answers under is yet to be seen.
  const auto challenge = random_bytes(16);
  const auto old_proof = service.kms->prove(ref(meter, KeyRole::guek, 1), challenge),
             new_proof = service.kms->prove(ref(meter, KeyRole::guek, 2), challenge);
  CHECK(old_proof != new_proof);
  CHECK((meter.prove(KeyRole::guek, challenge) == old_proof ||
         meter.prove(KeyRole::guek, challenge) == new_proof));
}

}  // namespace

TEST_CASE("whatever is not success leaves the key in doubt, the old one in use and no third") {
  Service service;
  struct {
    const char* what;
    ReplyContent answer;
    bool applied;  ///< what the meter did in truth
  } const cases[] = {
      {"no answer, not applied", std::nullopt, false},
      {"no answer, applied", std::nullopt, true},
      {"not ok, not applied", not_ok, false},
      {"not ok, and yet applied", not_ok, true},
      {"a result of the stack, applied", ActionResult::temporary_failure, true},
      {"a result that no standard has", ActionResult{77}, false},
      {"not ok, and bytes returned", Bytes{0xC7, 0x01, 0xC1, 0x0C, 0x01, 0x00, 0x09, 0x00}, true},
      {"success, and an error returned", Bytes{0xC7, 0x01, 0xC1, 0x00, 0x01, 0x01, 0x03}, true},
      {"exception-response", Bytes{0xD8, 0x01, 0x02}, true},
      {"ConfirmedServiceError", Bytes{0x0E, 0x01, 0x06, 0x01}, false}};
  for (const auto& [what, answer, applied] : cases) {
    CAPTURE(std::string(what));
    auto meter = service.commission();
    service.rotate_one(meter, KeyRole::guek);
    const auto transfer = service.release_one(meter, KeyRole::guek);
    if (applied) (void)meter.receive(transfer.action_request());
    const auto result = service.kms->record_reply(transfer, answer);
    CHECK(result.delivery == Delivery::in_doubt);
    CHECK(result.keys.size() == 1);
    check_doubt(service, meter);
    CHECK(service.kms->record_reply(transfer, answer).delivery ==
          Delivery::in_doubt);  // the same again
    check_doubt(service, meter);

    // A probe shows what is so.
    service.kms->resolve(ref(meter, KeyRole::guek, 2),
                         applied ? ProbeResult::new_key : ProbeResult::old_key,
                         "association under the key", both);
    CHECK(service.same_key(meter, KeyRole::guek, applied ? 2 : 1));
    CHECK(service.standing(meter.id(), KeyRole::guek, 2) ==
          (applied ? "active confirmed" : "pre-active not-held"));
    CHECK(service.standing(meter.id(), KeyRole::guek, 1) ==
          (applied ? "deactivated confirmed" : "active confirmed"));
    const auto note = service.trail(meter.id());
    CHECK(std::ranges::any_of(note, [](const auto& record) {
      return record.text(Field::detail) == "association under the key";
    }));
    service.rotate_one(meter, KeyRole::guek);  // and the way is free
    CHECK(service.same_key(meter, KeyRole::guek, 3));
    CHECK(service.key(meter.id(), KeyRole::guek, 3).predecessor ==
          service.key(meter.id(), KeyRole::guek, applied ? 2 : 1).id);
  }
}

TEST_CASE("what is no answer to the request changes nothing, and is not recorded") {
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::guek);
  const auto transfer = service.release_one(meter, KeyRole::guek);
  const auto records = service.kms->fleet().summary().records;
  const std::pair<const char*, ReplyContent> cases[] = {
      {"it is empty", Bytes{}},
      {"ciphered reply, tag CF", Bytes{0xCF, 0x16, 0x30}},
      {"1 bytes follow its end", Bytes{0xC7, 0x01, 0xC1, 0x00, 0x00, 0x00}},
      {"cut off", Bytes{0xC7, 0x01, 0xC1, 0x00}},
      {"a result for each key", Bytes{0xC7, 0x03, 0xC1, 0x01, 0x00, 0x00}},
      {"answers another request", {Bytes{0xC7, 0x01, 0xC2, 0x00, 0x00}, 0xC1}},
      {"tag 30", Bytes(4000, 0x30)}};
  for (const auto& [says, answer] : cases) {
    CAPTURE(std::string(says));
    CHECK(contains(message_of<BadInput>(
                       [&, &reply = answer] { (void)service.kms->record_reply(transfer, reply); }),
                   says));
    CHECK(service.standing(meter.id(), KeyRole::guek, 2) == "pre-active released");
  }
  CHECK(service.kms->fleet().summary().records == records);
  CHECK(service.kms->record_reply(transfer, {Bytes{0xC7, 0x01, 0x42, 0x00, 0x00}, 0x42}).delivery ==
        Delivery::confirmed);
  CHECK(service.kms->record_reply(transfer, ActionResult::success).delivery ==
        Delivery::confirmed);  // the same answer again
  CHECK(rule_of([&] { service.kms->record_reply(transfer, ActionResult::other_reason); }) ==
        "already-confirmed");
}

TEST_CASE("success is any of what stacks give for it, and the record says which") {
  Service service;
  const std::pair<const char*, ReplyContent> cases[] = {
      {"result:0", ActionResult::success},
      {"answer:C701420000", Bytes{0xC7, 0x01, 0x42, 0x00, 0x00}},
      {"answer:C701C100010000", Bytes{0xC7, 0x01, 0xC1, 0x00, 0x01, 0x00, 0x00}},
      {"answer:C701C100010009...", Bytes{0xC7, 0x01, 0xC1, 0x00, 0x01, 0x00, 0x09, 0x01, 0x01}}};
  auto meters = service.commission_fleet(std::vector<Order>(std::size(cases)));
  auto meter = meters.begin();
  for (const auto& [detail, answer] : cases) {
    CAPTURE(std::string(detail));
    const auto transfer = service.release_one(*meter, KeyRole::gak);
    CHECK(service.kms->record_reply(transfer, answer).delivery == Delivery::confirmed);
    CHECK(service.trail(meter->id()).back().text(Field::detail) == detail);
    ++meter;
  }
}

TEST_CASE("a key that was released and never answered for holds up the next") {
  Service service;
  const auto meter = service.commission();
  (void)service.release_one(meter, KeyRole::guek);
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::guek); }) == "in-doubt");
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::kek); }) == "in-doubt");
  CHECK(rule_of([&] {
          service.kms->resolve(ref(meter, KeyRole::guek, 1), ProbeResult::new_key, "seen", both);
        }) == "not-in-doubt");
  CHECK_NOTHROW((void)service.release_one(meter, KeyRole::gak));  // another role is no third key
}

TEST_CASE("success that comes late still confirms") {
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::guek);
  const auto transfer = service.release_one(meter, KeyRole::guek);
  (void)meter.receive(transfer.action_request());
  service.kms->record_reply(transfer, std::nullopt);
  CHECK(service.kms->record_reply(transfer, success).delivery == Delivery::confirmed);
  CHECK(service.standing(meter.id(), KeyRole::guek, 2) == "active confirmed");
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "deactivated confirmed");
  // The same again changes nothing; its opposite is refused.
  const auto records = service.trail(meter.id()).size();
  CHECK(service.kms->record_reply(transfer, success).delivery == Delivery::confirmed);
  CHECK(service.trail(meter.id()).size() == records);
  for (const auto& answer : {std::optional<Bytes>(not_ok), std::optional<Bytes>()})
    CHECK(rule_of([&] { service.kms->record_reply(transfer, answer); }) == "already-confirmed");
  CHECK(service.standing(meter.id(), KeyRole::guek, 2) == "active confirmed");
}

TEST_CASE("success after a doubt was resolved the other way is not believed without a look") {
  Service service;
  auto meter = service.commission();
  const auto transfer = service.release_one(meter, KeyRole::guek);
  service.kms->record_reply(transfer, not_ok);
  service.kms->resolve(ref(meter, KeyRole::guek, 1), ProbeResult::old_key,
                       "association under the old key", both);
  CHECK(rule_of([&] { service.kms->record_reply(transfer, success); }) == "already-resolved");
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "pre-active not-held");
}

TEST_CASE("all four ways in which a doubt about two keys can end") {
  Service service;
  for (const ProbeResult guek : {ProbeResult::new_key, ProbeResult::old_key})
    for (const ProbeResult gak : {ProbeResult::new_key, ProbeResult::old_key}) {
      auto meter = service.commission();
      service.rotate_one(meter, KeyRole::guek);
      service.rotate_one(meter, KeyRole::gak);
      auto wanted = request(meter, {KeyRole::guek, KeyRole::gak});
      wanted.single_action = true;
      const auto transfer = service.kms->rotate(wanted).transfers().front();
      const auto result = service.kms->record_reply(transfer, not_ok);
      CHECK(result.delivery == Delivery::in_doubt);
      CHECK(result.keys.size() == 2);
      service.kms->resolve(ref(meter, KeyRole::guek, 2), guek, "probe", both);
      CHECK(service.standing(meter.id(), KeyRole::gak, 2) ==
            "pre-active in-doubt");  // each on its own
      service.kms->resolve(ref(meter, KeyRole::gak, 2), gak, "probe", both);
      for (const auto& [role, held] :
           {std::pair(KeyRole::guek, guek), std::pair(KeyRole::gak, gak)}) {
        CHECK(service.standing(meter.id(), role, 2) ==
              (held == ProbeResult::new_key ? "active confirmed" : "pre-active not-held"));
        CHECK(service.standing(meter.id(), role, 1) ==
              (held == ProbeResult::new_key ? "deactivated confirmed" : "active confirmed"));
      }
    }
}

TEST_CASE("a late success of two keys, one of which is settled already") {
  Service service;
  for (const ProbeResult guek : {ProbeResult::new_key, ProbeResult::old_key}) {
    const auto meter = service.commission();
    auto wanted = request(meter, {KeyRole::guek, KeyRole::gak});
    wanted.single_action = true;
    const auto transfer = service.kms->rotate(wanted).transfers().front();
    service.kms->record_reply(transfer, std::nullopt);
    service.kms->resolve(ref(meter, KeyRole::guek, 1), guek, "probe", both);
    // It agrees with what was seen, or it is refused as a whole.
    CHECK(rule_of([&] { service.kms->record_reply(transfer, success); }) ==
          (guek == ProbeResult::new_key ? "" : "already-resolved"));
    CHECK(service.standing(meter.id(), KeyRole::guek, 1) ==
          (guek == ProbeResult::new_key ? "active confirmed" : "pre-active not-held"));
    CHECK(service.standing(meter.id(), KeyRole::gak, 1) ==
          (guek == ProbeResult::new_key ? "active confirmed" : "pre-active in-doubt"));
  }
}

TEST_CASE("a GUEK is never handed out a second time as if it were new") {
  Service service;
  auto meter = service.commission();
  auto wanted = request(meter, {KeyRole::guek}, meter.id().to_string() + ".once");
  const auto first = service.kms->rotate(wanted);
  service.kms->record_reply(first.transfers().front(), std::nullopt);
  const auto again = service.kms->rotate(wanted);
  CHECK(again.transfers().front().released_before());
  CHECK(again.transfers().front().resets_unicast_counter());
  // A new operation does not get the old bytes, nor new ones while in doubt.
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::guek); }) == "in-doubt");
  service.kms->resolve(ref(meter, KeyRole::guek, 1), ProbeResult::old_key, "probe", both);
  const auto next = service.release_one(meter, KeyRole::guek);
  CHECK(next.keys().front().id != first.transfers().front().keys().front().id);
  CHECK(wrapped_in(next) != wrapped_in(first.transfers().front()));
}

TEST_CASE("answers to what was not released") {
  Service service;
  const auto meter = service.commission();
  const auto transfer = service.release_one(meter, KeyRole::guek);
  for (const std::uint32_t number :
       {std::uint32_t{0}, transfer.number() + 1, std::uint32_t{0xFFFFFFFF}}) {
    const auto before = service.trail(meter.id()).size();
    CHECK(rule_of([&] { service.kms->record_reply(meter.id(), number, success); }) ==
          "not-released");
    CHECK(service.trail(meter.id()).size() == before + 1);
    CHECK(service.trail(meter.id()).back().text(Field::detail) == "not-released");
  }
  CHECK(rule_of([&] { service.kms->record_reply(DeviceId::from_number(0xFFFD), 1, success); }) ==
        "unknown-device");
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "pre-active released");
  CHECK(service.kms->record_reply(meter.id(), transfer.number(), success).delivery ==
        Delivery::confirmed);
}

TEST_CASE("who may resolve, and with what evidence") {
  Service service;
  auto meter = service.commission();
  service.kms->record_reply(service.release_one(meter, KeyRole::guek), std::nullopt);
  const auto key = ref(meter, KeyRole::guek, 1);
  for (const std::string& evidence :
       {std::string(), std::string(201, 'x'), std::string("a\"b"), std::string("a\\b"),
        std::string("a\nb"), std::string("\xC3\xA9")})
    CHECK_THROWS_AS(service.kms->resolve(key, ProbeResult::new_key, evidence, both), BadInput);
  CHECK(rule_of([&] {
          service.kms->resolve(key, ProbeResult::new_key, "probe", {"a", "A", "CHG-1"});
        }) == "dual-control");
  CHECK(rule_of([&] {
          service.kms->resolve(ref(meter, KeyRole::guek, 9), ProbeResult::new_key, "probe", both);
        }) == "unknown-key");
  CHECK(rule_of([&] {
          service.kms->resolve(ref(meter, KeyRole::gak, 1), ProbeResult::new_key, "probe", both);
        }) == "unknown-key");
  CHECK(rule_of([&] {
          service.kms->resolve(ref(meter, KeyRole::kek, 1), ProbeResult::new_key, "probe", both);
        }) == "kek-not-probable");
  CHECK(rule_of([&] {
          service.kms->resolve(
              {.device = DeviceId::from_number(0xFFFC), .role = KeyRole::guek, .generation = 1},
              ProbeResult::new_key, "probe", both);
        }) == "unknown-device");
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "pre-active in-doubt");

  const auto id = meter.id().to_string() + ".resolve";
  service.kms->resolve(key, ProbeResult::new_key, std::string(200, 'x'), both, id);
  const auto records = service.trail(meter.id()).size();
  service.kms->resolve(key, ProbeResult::new_key, std::string(200, 'x'), both,
                       id);  // the same again
  CHECK(service.trail(meter.id()).size() == records);
  CHECK(rule_of([&] {
          service.kms->resolve(key, ProbeResult::old_key, std::string(200, 'x'), both, id);
        }) == "operation-id-reused");
  CHECK(rule_of([&] { service.kms->resolve(key, ProbeResult::new_key, "probe", both); }) ==
        "not-in-doubt");
  CHECK(service.trail(meter.id())[records - 1].text(Field::authorised_by) == both.authorised_by);
}

TEST_CASE("a challenge has its length, a proof its subject") {
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::guek);
  service.rotate_one(meter, KeyRole::gak);
  for (const auto role : {KeyRole::guek, KeyRole::gak}) {
    for (const std::size_t size :
         {std::size_t{16}, std::size_t{17}, std::size_t{33}, std::size_t{64}}) {
      const auto challenge = random_bytes(size);
      CHECK(service.kms->prove(ref(meter, role, 1), challenge) == meter.prove(role, challenge));
    }
    for (const std::size_t size : {std::size_t{0}, std::size_t{15}, std::size_t{65}})
      CHECK_THROWS_AS((void)service.kms->prove(ref(meter, role, 1), Bytes(size)), BadInput);
  }
  CHECK(service.kms->prove(ref(meter, KeyRole::guek, 1), Bytes(16)) !=
        service.kms->prove(ref(meter, KeyRole::gak, 1), Bytes(16)));
  CHECK(rule_of([&] { (void)service.kms->prove(ref(meter, KeyRole::kek, 1), Bytes(16)); }) ==
        "kek-not-probable");
  CHECK(rule_of([&] { (void)service.kms->prove(ref(meter, KeyRole::gbek, 1), Bytes(16)); }) ==
        "unknown-key");
}
