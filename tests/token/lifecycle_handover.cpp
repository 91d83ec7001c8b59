// SPDX-License-Identifier: Apache-2.0
// domain.md, "Who uses the keys": new keys are handed to the parties that the site names, wrapped
// in the token, and each transfer waits for their receipts where they ask for it.
#include <algorithm>

#include "registry/registry.hpp"
#include "support/test_target.hpp"
#include "support/test_token.hpp"
#include "token/lifecycle_support.hpp"
#include "vault/target_keys.hpp"

using namespace smets1kms;
using namespace test;
using enum KeyRole;

namespace {

const Party& party(int which = 0) {
  static const Party parties[4];  // a key serves one name: headend, its next one, two others
  return parties[which];
}

/// A target that is admitted for the test's time; others share the registry.
class Admitted {
 public:
  Admitted(Service& service, const TargetAdmission& admission)
      : info(admit(service, admission)), service_(service) {}
  ~Admitted() {
    service_.kms.reset();
    try {
      service_.enrolment(both).retire_target(info.name);
    } catch (const Refused&) {  // ended by the test
    }
    service_.open();
  }
  Admitted(const Admitted&) = delete;
  const HandoverTarget info;

 private:
  static HandoverTarget admit(Service& service, const TargetAdmission& admission) {
    service.kms.reset();
    auto target = service.enrolment(both).admit_target(admission);
    service.open();
    return target;
  }
  Service& service_;
};

std::vector<ReceiptOutcome> give(Service& service, std::vector<Receipt> receipts) {
  std::vector<ReceiptOutcome> outcomes;
  auto next = receipts.begin();
  service.kms->record_receipts(
      [&] { return next == receipts.end() ? std::nullopt : std::optional(*next++); },
      [&](const ReceiptOutcome& outcome) { outcomes.push_back(outcome); });
  return outcomes;
}

ReceiptOutcome give(Service& service, const Receipt& receipt) {
  return give(service, std::vector{receipt}).front();
}

std::string reason_of(const std::exception_ptr& failure) {
  return rule_of([&] {
    if (failure) std::rethrow_exception(failure);
  });
}

/// Results, oldest first, of a device's records of this operation.
std::vector<std::string> results(const Service& service, DeviceId device, std::string_view op) {
  std::vector<std::string> all;
  for (const auto& record : service.trail(device))
    if (record.text(audit_field::op) == op && record.text(audit_field::phase) != "intent")
      all.emplace_back(record.text(audit_field::result));
  return all;
}

std::vector<Handover> stored(Service& service, const HandoverSelection& selection) {
  std::vector<Handover> all;
  service.kms->handovers(selection, [&](const HandoverResult& result) {
    if (result.failure) std::rethrow_exception(result.failure);
    all.push_back(*result.handover);
  });
  return all;
}

void sql(const Service& service, const std::string& text) {
  sqlite::Database(service.config().database, sqlite::Mode::read_write).execute(text.c_str());
}

}  // namespace

TEST_CASE("each new key of its roles is wrapped for a target, in every vault and enrolment") {
  for (const auto mode : modes())
    for (const auto keep : {VaultKind::token, VaultKind::sealed}) {
      if (TestToken::is_softokn && keep == VaultKind::sealed) continue;
      CAPTURE(static_cast<int>(mode));
      CAPTURE(static_cast<int>(keep));
      Service service(mode, keep);
      const Admitted target(service, party().admission("headend", {guek, gak}));
      for (const char* suite : {"0", "2"}) {
        Meter meter = service.commission({.suite = suite});
        const auto rotation = service.kms->rotate(request(meter, {guek, gbek, gak}));
        REQUIRE(rotation.transfers().size() == 3);
        CHECK(rotation.withheld().empty());
        REQUIRE(rotation.handovers().size() == 2);
        for (const auto& transfer : rotation.transfers())
          CHECK(meter.receive(transfer.action_request()) == success);
        for (const auto& handover : rotation.handovers()) {
          CHECK(handover.target == "headend");
          CHECK(handover.target_generation == target.info.generation);
          CHECK(party().open(handover) == meter.key(handover.role));
          CHECK(party(1).open(handover) != meter.key(handover.role));
          CHECK(service.registry_holds(handover.wrapped));
        }
        // The record of a key names every target that it was wrapped for, and none for a GBEK.
        for (const auto& record : service.trail(meter.id())) {
          if (record.text(audit_field::op) != "key.generate" ||
              record.text(audit_field::phase) != "outcome")
            continue;
          const auto role = record.text(audit_field::role);
          const auto handed = record.text(audit_field::handovers);
          if (role == "gbek") {
            CHECK(handed.empty());
            continue;
          }
          const auto& handover = rotation.handovers()[role == "guek" ? 0 : 1];
          CHECK(handed == target.info.label() + ":" + target.info.hash + ":" +
                              to_lower_hex(handover.challenge()));
        }
        // A receipt ends what is stored; the key stays.
        for (const auto& handover : rotation.handovers()) {
          const auto outcome = give(service, party().receipt(handover));
          CHECK_FALSE(outcome.failure);
          CHECK_FALSE(outcome.repeated);
          CHECK_FALSE(service.registry_holds(handover.wrapped));
          CHECK(give(service, party().receipt(handover)).repeated);
        }
        CHECK(results(service, meter.id(), "handover.receive") ==
              std::vector<std::string>{"received", "received"});
        CHECK(stored(service, {.target = "headend", .devices = {meter.id()}}).empty());
      }
    }
}

TEST_CASE("a KEK is handed to nobody") {
  Service service;
  Meter meter = service.commission();
  const Admitted target(service, party().admission("headend", {guek, gbek, gak}));
  CHECK(service.kms->rotate(request(meter, {kek})).handovers().empty());
  for (const auto& record : service.trail(meter.id()))
    CHECK(record.text(audit_field::handovers).empty());
  service.kms.reset();
  CHECK(!message_of<BadInput>([&] {
           (void)service.enrolment(both).admit_target(party(1).admission("other", {kek}));
         }).empty());
  service.open();
}

TEST_CASE("a transfer waits until every target that asked for it has shown that it holds the key") {
  for (const auto keep : {VaultKind::token, VaultKind::sealed}) {
    if (TestToken::is_softokn && keep == VaultKind::sealed) continue;
    Service service(modes().front(), keep);
    const Admitted first(service, party(0).admission("headend", {guek, gak}, true)),
        second(service, party(2).admission("second", {guek}, true)),
        idle(service, party(3).admission("third", {guek, gbek}));
    Meter meter = service.commission();
    const auto wanted = request(meter, {guek, gbek, gak}, meter.id().to_string() + ".served");
    const auto rotation = service.kms->rotate(wanted);
    REQUIRE(rotation.transfers().size() == 1);
    CHECK(rotation.transfers().front().keys().front().role == gbek);
    REQUIRE(rotation.withheld().size() == 2);
    REQUIRE(rotation.handovers().size() == 5);
    CHECK(service.standing(meter.id(), guek, 1) == "pre-active withheld");
    // Nothing of it gets out, and no answer to it is taken.
    const auto number = rotation.withheld().front();
    CHECK(rule_of([&] { (void)service.kms->transfer(meter.id(), number); }) == "withheld");
    CHECK(rule_of([&] { service.kms->record_reply(meter.id(), number, success); }) == "withheld");
    CHECK(rule_of([&] { (void)service.kms->rotate(request(meter, {guek})); }) == "in-doubt");
    const auto again = service.kms->rotate(wanted);
    CHECK(again.withheld() == rotation.withheld());
    CHECK(again.handovers().size() == 5);
    const auto of = [&](const std::string& target, KeyRole role) -> const Handover& {
      return *std::ranges::find_if(rotation.handovers(), [&](const Handover& handover) {
        return handover.target == target && handover.role == role;
      });
    };
    // A proof of another key, another target's, or over another challenge is none.
    auto wrong = party(0).receipt(of("headend", guek));
    wrong.proof.back() ^= 1;
    auto others = party(2).receipt(of("second", guek));
    others.target = "headend";
    auto role = party(0).receipt(of("headend", gak));
    role.role = guek;
    auto empty = party(0).receipt(of("headend", guek));
    empty.proof.clear();
    for (const auto& receipt : {wrong, others, role, empty}) {
      const auto outcome = give(service, receipt);
      CHECK(reason_of(outcome.failure) == "proof-wrong");
      CHECK_FALSE(outcome.released);
      CHECK(service.trail(meter.id()).back().text(audit_field::detail) == "proof-wrong");
    }
    auto unknown = wrong;
    unknown.target = "nobody";
    CHECK(reason_of(give(service, unknown).failure) == "unknown-target");

    const auto one = give(service, party(0).receipt(of("headend", guek)));
    CHECK_FALSE(one.failure);
    CHECK_FALSE(one.released);
    CHECK(service.standing(meter.id(), guek, 1) == "pre-active withheld");
    const auto two = give(service, party(2).receipt(of("second", guek)));
    REQUIRE(two.released);
    CHECK(two.released->number() == number);
    CHECK_FALSE(two.released->released_before());
    CHECK(service.standing(meter.id(), guek, 1) == "pre-active released");
    CHECK(meter.receive(two.released->action_request()) == success);
    service.kms->record_reply(*two.released, success);
    CHECK(service.same_key(meter, guek, 1));
    CHECK(results(service, meter.id(), "transfer.release") == std::vector<std::string>{"released"});
    // The GAK waits for the first target alone.
    const auto last = give(service, party(0).receipt(of("headend", gak)));
    REQUIRE(last.released);
    // A repeated receipt tells the transfer that waits for its answer.
    const auto repeated = give(service, party(0).receipt(of("headend", gak)));
    CHECK(repeated.repeated);
    CHECK(repeated.released_before == last.released->number());
    CHECK(service.kms->transfer(meter.id(), last.released->number()).action_request() ==
          last.released->action_request());
  }
}

TEST_CASE("keys in one ACTION wait together") {
  Service service;
  const Admitted target(service, party().admission("headend", {guek}, true));
  Meter meter = service.commission();
  auto wanted = request(meter, {guek, gak});
  wanted.single_action = true;
  const auto rotation = service.kms->rotate(wanted);
  CHECK(rotation.transfers().empty());
  REQUIRE(rotation.withheld().size() == 1);
  const auto outcome = give(service, party().receipt(rotation.handovers().front()));
  REQUIRE(outcome.released);
  CHECK(outcome.released->keys().size() == 2);
  CHECK(meter.receive(outcome.released->action_request()) == success);
}

TEST_CASE("a withheld key can be destroyed, and its device rotated again") {
  Service service;
  const Admitted target(service, party().admission("headend", {guek}, true));
  Meter meter = service.commission();
  const auto handover = service.kms->rotate(request(meter, {guek})).handovers().front();
  const KeyRef key{meter.id(), guek, 1};
  service.kms->destroy(std::span(&key, 1), both);
  CHECK_FALSE(service.registry_holds(handover.wrapped));
  CHECK(reason_of(give(service, party().receipt(handover)).failure) == "destroyed");
  const auto next = service.kms->rotate(request(meter, {guek})).handovers().front();
  CHECK(give(service, party().receipt(next)).released);
}

TEST_CASE("what is missing is listed, and handed out again in the same bytes") {
  Service service;
  const Admitted target(service, party().admission("headend", {guek}, true));
  std::vector<Meter> meters = service.commission_fleet({{}, {}, {}});
  std::vector<DeviceId> devices;
  for (const auto& meter : meters) devices.push_back(meter.id());
  std::vector<Handover> handed;
  const auto summary = service.kms->rotate(BatchRequest{.selection = {.devices = devices},
                                                        .roles = {guek},
                                                        .reason = Reason::operational,
                                                        .authority = both},
                                           [&](const RotationResult& result) {
                                             REQUIRE(result.rotation);
                                             CHECK(result.rotation->transfers().empty());
                                             for (const auto& each : result.rotation->handovers())
                                               handed.push_back(each);
                                           });
  REQUIRE(handed.size() == 3);
  std::size_t missing = 0;
  for (const auto& item : service.kms->fleet().waiting({}, 10'000).items)
    missing +=
        item.kind == WaitingKind::receipt_missing && item.target == target.info.label() ? 1 : 0;
  CHECK(missing == 3);
  const auto page = service.kms->fleet().waiting({}, 1);
  CHECK(page.items.size() == 1);
  for (auto next = page.next; !next.empty(); missing += 10)  // pages of one are the same list
    next = service.kms->fleet().waiting(next, 1).next;
  CHECK(missing >= 23);
  REQUIRE(service.kms->fleet().waiting(devices.front()).size() == 1);

  const auto same = [](const Handover& a, const Handover& b) {
    return a.device == b.device && a.wrapped == b.wrapped && a.key == b.key;
  };
  CHECK(std::ranges::is_permutation(stored(service, {.target = "headend", .batch = summary.name}),
                                    handed, same));
  CHECK(std::ranges::is_permutation(stored(service, {.target = "headend"}), handed, same));
  CHECK(stored(service, {.target = "headend", .devices = {devices[1]}}).size() == 1);
  CHECK(results(service, devices[1], "handover.release-again").size() == 3);
  CHECK(rule_of([&] { (void)stored(service, {.target = "nobody"}); }) == "unknown-target");
}

TEST_CASE("a certificate that can't be a target's is refused, recorded, and leaves nothing") {
  for (const auto mode : modes()) {
    Service service(mode);
    service.kms.reset();
    auto enrolment = service.enrolment(both);
    const auto objects = [&] {
      return Service::pool(mode)->run([](pkcs11::Session& session) {
        return session
            .find_objects(pkcs11::Template()
                              .add(pkcs11::attr::object_class, CKO_PUBLIC_KEY)
                              .add(pkcs11::attr::token, true))
            .size();
      });
    };
    const auto before = objects();
    const auto refused = [&](const Party& of, const CertificateOrder& order) {
      auto admission = of.admission("bad", {guek});
      admission.certificate = of.certificate(order);
      admission.fingerprint = Party::fingerprint(admission.certificate);
      return rule_of([&] { (void)enrolment.admit_target(admission); });
    };
    CHECK(refused(Party({.key = "EC"}), {}) == "unfit-certificate");
    CHECK(refused(Party({.bits = 2048}), {}) == "unfit-certificate");
    CHECK(refused(party(), {.not_after = "20261121000000Z"}) == "unfit-certificate");
    CHECK(refused(party(), {.not_before = "20261123000000Z"}) == "unfit-certificate");
    CHECK(refused(party(), {.key_usage = "digitalSignature"}) == "unfit-certificate");
    auto other = party().admission("bad", {guek});
    other.fingerprint = Party::fingerprint(party(1).certificate());
    CHECK(rule_of([&] { (void)enrolment.admit_target(other); }) == "fingerprint-differs");
    for (const auto& bad : {TargetAdmission{.name = "bad",
                           .certificate = {1, 2, 3},
                           .fingerprint = other.fingerprint,
                           .roles = {guek}},
                            TargetAdmission{.name = "bad name",
                            .certificate = other.certificate,
                            .fingerprint = other.fingerprint,
                            .roles = {guek}},
                            TargetAdmission{.name = "bad",
                            .certificate = other.certificate,
                            .fingerprint = "12",
                            .roles = {guek}},
                            TargetAdmission{.name = "bad",
                            .certificate = other.certificate,
                            .fingerprint = other.fingerprint,
                            .roles = {}}})
      CHECK_FALSE(message_of<BadInput>([&] { (void)enrolment.admit_target(bad); }).empty());
    auto one = both;
    one.authorised_by = one.requested_by;
    CHECK(rule_of([&] {
            (void)service.enrolment(one).admit_target(party().admission("bad", {guek}));
          }) == "dual-control");
    CHECK(objects() == before);
    service.open();
    CHECK(std::ranges::none_of(service.kms->fleet().targets(),
                               [](const TargetInfo& info) { return info.target.name == "bad"; }));
  }
}

TEST_CASE("a key serves one target, and the same certificate again changes nothing") {
  Service service;
  const Admitted target(service, party().admission("headend", {guek}));
  service.kms.reset();
  auto enrolment = service.enrolment(both);
  CHECK(enrolment.admit_target(party().admission("headend", {guek})).generation ==
        target.info.generation);
  CHECK(rule_of([&] { (void)enrolment.admit_target(party().admission("double", {guek})); }) ==
        "key-in-use");
  service.open();
}

TEST_CASE("a target's next certificate takes over, and its retirement ends it") {
  for (const auto mode : modes()) {
    Service service(mode);
    Meter meter = service.commission(), other = service.commission();
    const Admitted first(service, party().admission("headend", {guek}));
    const auto old = service.kms->rotate(request(meter, {guek})).handovers().front();
    CHECK(service.objects(first.info.id) == 1);
    const Admitted second(service, party(1).admission("headend", {guek, gak}));
    CHECK(second.info.generation == first.info.generation + 1);
    CHECK(service.objects(first.info.id) == 0);
    CHECK(service.objects(second.info.id) == 1);
    const auto handed = service.kms->rotate(request(other, {guek, gak})).handovers();
    REQUIRE(handed.size() == 2);
    CHECK_FALSE(party(1).open(handed.front()).empty());
    // What the former one was handed is still its own to open and to receive.
    const auto again = stored(service, {.target = "headend", .devices = {meter.id()}});
    REQUIRE(again.size() == 1);
    CHECK(again.front().target_generation == first.info.generation);
    CHECK_FALSE(give(service, party().receipt(old)).failure);

    service.kms.reset();
    service.enrolment(both).retire_target("headend");
    service.open();
    CHECK(service.objects(second.info.id) == 0);
    CHECK_FALSE(service.registry_holds(handed.front().wrapped));
    CHECK(service.kms->rotate(request(service.commission(), {guek})).handovers().empty());
    service.kms.reset();
    CHECK(rule_of([&] { service.enrolment(both).retire_target("headend"); }) == "unknown-target");
    service.open();
  }
}

TEST_CASE("keys made before a target was admitted are found and rotated") {
  Service service;
  Meter before = service.commission(), after = service.commission();
  service.rotate_one(before, guek);
  service.rotate_one(before, gak);
  const Admitted target(service, party().admission("headend", {guek, gak}));
  for (const auto role : {guek, gak}) service.rotate_one(after, role);
  std::vector<DeviceId> rotated;
  const auto run = [&] {
    rotated.clear();
    (void)service.kms->rotate(
        BatchRequest{.selection = {.kind = Selection::Kind::missing_handover, .target = "headend"},
                     .reason = Reason::operational,
                     .authority = both},
        [&](const RotationResult& result) {
          if (!result.rotation) return;
          rotated.push_back(result.device);
          for (const auto& transfer : result.rotation->transfers())
            service.kms->record_reply(transfer, result.device == before.id()
                                                    ? before.receive(transfer.action_request())
                                                    : success);
        });
  };
  run();
  CHECK(std::ranges::count(rotated, before.id()) == 1);
  CHECK(std::ranges::count(rotated, after.id()) == 0);
  CHECK(service.same_key(before, guek, 2));
  run();
  CHECK(std::ranges::count(rotated, before.id()) == 0);
  CHECK(rule_of([&] {
          (void)service.kms->rotate(
              BatchRequest{
                  .selection = {.kind = Selection::Kind::missing_handover, .target = "nobody"},
                  .reason = Reason::operational,
                  .authority = both},
              [](const RotationResult&) {});
        }) == "unknown-target");
}

TEST_CASE("a suspected target gets nothing any more, and every key that it was handed is marked") {
  Service service;
  Meter meter = service.commission(), other = service.commission();
  service.rotate_one(other, gak);
  const Party lost;
  const Admitted target(service, lost.admission("lost", {guek}));
  const auto rotation = service.kms->rotate(request(meter, {guek, gak}));
  for (const auto& transfer : rotation.transfers())
    service.kms->record_reply(transfer, meter.receive(transfer.action_request()));
  const auto done = service.kms->compromise_target("lost", "a stolen disk", both);
  CHECK(done.keys == 1);
  CHECK(service.objects(target.info.id) == 0);
  CHECK(service.standing(meter.id(), guek, 1) == "compromised confirmed");
  CHECK(service.standing(meter.id(), gak, 1) == "active confirmed");
  CHECK(service.standing(other.id(), gak, 1) == "active confirmed");
  CHECK_FALSE(service.registry_holds(rotation.handovers().front().wrapped));
  CHECK(results(service, meter.id(), "key.compromise") ==
        std::vector<std::string>{"compromised-through-target"});
  const auto duties = service.kms->fleet().duties(meter.id(), Service::now);
  CHECK(std::ranges::any_of(duties, [](const Duty& duty) {
    return duty.rule == RuleId::p3 && duty.status == DutyStatus::pending;
  }));
  CHECK(service.kms->rotate(request(meter, {guek})).handovers().empty());
  CHECK(rule_of([&] { (void)service.kms->compromise_target("lost", "again", both); }) ==
        "illegal-transition");
  CHECK(rule_of([&] { (void)service.kms->compromise_target("nobody", "x", both); }) ==
        "unknown-target");
  service.kms.reset();
  CHECK(rule_of([&] {
          (void)service.enrolment(both).admit_target(lost.admission("lost", {guek}));
        }) == "key-in-use");
  service.open();
}

TEST_CASE("a handover or a target that differs from the trail is not used") {
  Service service;
  const Admitted target(service, party().admission("headend", {guek}));
  auto meters = service.commission_fleet({{}, {}});
  for (const auto& meter : meters) (void)service.kms->rotate(request(meter, {guek}));
  const auto at = [](const Meter& meter) {
    return "device=" + std::to_string(static_cast<std::int64_t>(meter.id().number()));
  };
  sql(service, "UPDATE handover SET wrapped=(SELECT wrapped FROM handover WHERE " + at(meters[1]) +
                   ") WHERE " + at(meters[0]));
  CHECK(rule_of([&] {
          (void)stored(service, {.target = "headend", .devices = {meters[0].id()}});
        }) == "differs-from-trail");
  CHECK(service.trail(meters[0].id()).back().text(audit_field::detail) == "differs-from-trail");

  for (const char* change : {"roles=7", "before_transfer=1",
                             "hash=CASE hash WHEN 'SHA-1' THEN 'SHA-256' ELSE 'SHA-1' END",
                             "keep=1-keep", "id=x'00112233445566778899aabbccddeeff'", "record=0"}) {
    CAPTURE(std::string(change));
    sql(service, "CREATE TABLE was AS SELECT * FROM target WHERE status=0");
    sql(service, std::string("UPDATE target SET ") + change + " WHERE status=0");
    service.kms.reset();
    service.open();
    Meter meter = meters[0];
    CHECK(rule_of([&] { (void)service.kms->rotate(request(meter, {gak})); }) ==
          "differs-from-trail");
    sql(service,
        "DELETE FROM target WHERE status=0; INSERT INTO target SELECT * FROM was; DROP TABLE was");
  }
  service.kms.reset();
  service.open();
}
