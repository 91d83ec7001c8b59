// SPDX-License-Identifier: Apache-2.0
// Handover targets that are lost or have ended: what goes on, what is listed, what is left.
#include <algorithm>

#include "registry/registry.hpp"
#include "support/test_target.hpp"
#include "token/lifecycle_support.hpp"
#include "vault/orphans.hpp"

using namespace smets1kms;
using namespace test;
using enum KeyRole;
using enum WaitingKind;

namespace {

const Party& party() {
  static const Party one;
  return one;
}

HandoverTarget admit(Service& service, bool before_transfer) {
  service.kms.reset();
  auto target = service.enrolment(both).admit_target(
      party().admission("headend", {guek, gak}, before_transfer));
  service.open();
  return target;
}

void retire(Service& service) {
  service.kms.reset();
  service.enrolment(both).retire_target("headend");
  service.open();
}

void remove(const KeyId& id) {
  Service::pool()->run([&](pkcs11::Session& session) {
    for (const auto object : session.find_objects(pkcs11::Template().add(
             pkcs11::attr::id, pkcs11::Bytes(id.raw().begin(), id.raw().end()))))
      session.destroy_object(object);
    return 0;
  });
}

ReceiptOutcome give(Service& service, const Receipt& receipt) {
  std::optional<ReceiptOutcome> outcome;
  bool given = false;
  service.kms->record_receipts(
      [&] { return std::exchange(given, true) ? std::nullopt : std::optional(receipt); },
      [&](const ReceiptOutcome& each) { outcome = each; });
  return *outcome;
}

/// What waits of these meters, page by page; other tests share the registry.
std::vector<KeyRef> waiting(const Service& service, const std::vector<Meter>& meters,
                            WaitingKind kind) {
  std::vector<KeyRef> keys;
  std::string after;
  do {
    const auto page = service.kms->fleet().waiting(after, 1);
    for (const auto& item : page.items)
      if (item.kind == kind && std::ranges::any_of(meters, [&](const auto& meter) {
            return meter.id() == item.key->device;
          }))
        keys.push_back(*item.key);
    after = page.next;
  } while (!after.empty());
  return keys;
}

}  // namespace

TEST_CASE("a target whose public key was destroyed gets no key, and is admitted again as it was") {
  Service service;
  const auto target = admit(service, false);
  Meter meter = service.commission();
  remove(target.id);
  service.kms.reset();
  service.open();
  CHECK(contains(
      message_of<RefusedByToken>([&] { (void)service.kms->rotate(request(meter, {guek})); }),
      "'enrol --handover' admits it again"));
  CHECK(service.count(meter.id(), guek) == 0);
  const auto again = admit(service, false);
  CHECK(again.generation == target.generation + 1);
  CHECK(service.objects(again.id) == 1);
  const auto rotation = service.kms->rotate(request(meter, {guek}));
  REQUIRE(rotation.handovers().size() == 1);
  CHECK(party().open(rotation.handovers().front()).size() == 16);
  CHECK(admit(service, false).generation == again.generation);
  retire(service);
}

TEST_CASE("a key that waits for a target which has ended is listed until it is destroyed") {
  Service service;
  (void)admit(service, true);
  auto meters = service.commission_fleet({{}, {}});
  std::vector<KeyRef> keys;
  for (const auto& meter : meters) {
    (void)service.kms->rotate(request(meter, {gak}));
    keys.push_back({meter.id(), gak, 1});
  }
  CHECK(waiting(service, meters, withheld).empty());
  CHECK(waiting(service, meters, receipt_missing).size() == 2);
  retire(service);
  CHECK(waiting(service, meters, receipt_missing).empty());
  CHECK(waiting(service, meters, withheld) == keys);
  const auto items = service.kms->fleet().waiting(meters[0].id());
  REQUIRE(items.size() == 1);
  CHECK(items.front().kind == withheld);
  CHECK(contains(items.front().ends_by, "smets1-kms destroy"));
  service.kms->destroy(keys, both);
  CHECK(waiting(service, meters, withheld).empty());
  CHECK(service.kms->rotate(request(meters[0], {gak})).transfers().size() == 1);
}

TEST_CASE("a transfer that receipts released has the same bytes when it is handed out again") {
  Service service;
  (void)admit(service, true);
  Meter meter = service.commission();
  auto wanted = request(meter, {gak, guek});  // not in the order of their key_ids
  wanted.single_action = true;
  const auto rotation = service.kms->rotate(wanted);
  std::optional<KeyTransfer> released;
  for (const auto& handover : rotation.handovers())
    released = give(service, party().receipt(handover)).released;
  REQUIRE(released);
  CHECK(released->keys().front().role == gak);
  CHECK(service.kms->transfer(meter.id(), released->number()).action_request() ==
        released->action_request());
  CHECK(meter.receive(released->action_request()) == success);
  retire(service);
}

TEST_CASE("a rotation that is repeated while its transfer waits hands over the same bytes") {
  Service service;
  (void)admit(service, true);
  Meter meter = service.commission();
  const auto first = service.kms->rotate(request(meter, {guek}, "served-first"));
  const auto again = service.kms->rotate(request(meter, {guek}, "served-first"));
  CHECK(again.transfers().empty());
  CHECK(again.withheld() == first.withheld());
  REQUIRE(again.handovers().size() == 1);
  CHECK(again.handovers().front().wrapped == first.handovers().front().wrapped);
  const auto last = service.trail(meter.id()).back();
  CHECK(last.text(audit_field::op) == "handover.release-again");
  CHECK(last.text(audit_field::target).starts_with("headend/"));
  CHECK(give(service, party().receipt(first.handovers().front())).released);
  retire(service);
}

TEST_CASE("the public key of a target that is not admitted is named by nothing") {
  Service service;
  const auto target = admit(service, false);
  const auto orphans = [&] {
    auto registry = registry::Registry::open(service.config().database, sqlite::Mode::read_write);
    const auto all = vault::find_orphans(registry, *Service::pool());
    return std::ranges::count(all, target.id.to_string(), &vault::Orphan::id);
  };
  CHECK(orphans() == 0);
  sqlite::Database(service.config().database, sqlite::Mode::read_write)
      .execute("UPDATE target SET status=2 WHERE status=0");
  CHECK(orphans() == 1);
  sqlite::Database(service.config().database, sqlite::Mode::read_write)
      .execute("UPDATE target SET status=0 WHERE generation=(SELECT max(generation) FROM target)");
  retire(service);
  CHECK(orphans() == 0);
  CHECK(service.objects(target.id) == 0);
}

TEST_CASE("a target that was replaced is not admitted a second time by its row") {
  Service service;
  const auto first = admit(service, false);
  const auto second = admit(service, true);
  CHECK(second.generation == first.generation + 1);
  Meter meter = service.commission();
  const auto at = " WHERE name='headend' AND generation=" + std::to_string(first.generation);
  for (const char* change : {"status=0", "roles=4"}) {
    CAPTURE(std::string(change));
    const auto set = [&](const std::string& what) {
      service.kms.reset();
      sqlite::Database(service.config().database, sqlite::Mode::read_write)
          .execute(("UPDATE target SET " + what + at).c_str());
      service.open();
    };
    set(change);
    CHECK(rule_of([&] { (void)service.kms->rotate(request(meter, {guek})); }) ==
          "differs-from-trail");
    set("status=1,roles=5");
  }
  CHECK(service.kms->rotate(request(meter, {guek})).handovers().front().target_generation ==
        second.generation);
  retire(service);
}
