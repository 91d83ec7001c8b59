// SPDX-License-Identifier: Apache-2.0
// What the policy and a device's life forbid and allow, on a token.
#include <fstream>

#include "support/test_token.hpp"
#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;

namespace {

const Time day = parse_time("2026-11-22T12:00:00Z");

ImportResult import_again(Service& service, const std::string& line) {
  const auto file = TestToken::current().directory + "/again.csv";
  std::ofstream(file) << Manufacturer::header << line;
  service.kms.reset();
  struct Reopen {
    Service& service;
    ~Reopen() { service.open(); }
  } const reopen{service};
  return service.enrolment(both).import_fleet(
      {.csv = file, .signature = {}, .transport_keys = {service.manufacturer().transport_key()}});
}

}  // namespace

TEST_CASE(
    "SEC Appendix AT has no periodic rotation: refused, recorded, and done for a reason that is "
    "recorded") {
  Service service;
  auto meter = service.commission();
  auto wanted = request(meter, {KeyRole::gak});
  wanted.reason = Reason::periodic;
  CHECK(rule_of([&] { (void)service.kms->rotate(wanted); }) == "policy");
  CHECK(service.trail(meter.id()).back().text(audit_field::detail) == "policy");
  CHECK(service.trail(meter.id()).back().text(audit_field::rule) == "P2");
  CHECK(service.count(meter.id(), KeyRole::gak) == 0);
  wanted.justification = "  ";
  CHECK(rule_of([&] { (void)service.kms->rotate(wanted); }) == "policy");
  for (const auto& bad : {std::string(201, 'x'), std::string("quote \"")}) {
    wanted.justification = bad;
    CHECK_THROWS_AS((void)service.kms->rotate(wanted), BadInput);
  }
  wanted.justification = "agreed with the network";
  wanted.operation_id = meter.id().to_string() + ".periodic";
  (void)service.kms->rotate(wanted);
  const auto records = service.trail(meter.id());
  CHECK(records[records.size() - 2].text(audit_field::justification) == "agreed with the network");
  wanted.justification = "another reason";
  CHECK(rule_of([&] { (void)service.kms->rotate(wanted); }) == "operation-id-reused");
}

TEST_CASE(
    "a device is imported before it is in service: nothing is asked until its commissioning") {
  Service service;
  Order order;
  order.commissioned_at.clear();
  auto meter = service.commission(order);
  const auto id = meter.id();
  const auto status = [&] { return service.kms->fleet().device(id).status; };
  const auto first_duty = [&] { return service.kms->fleet().duties(id, Service::now).at(0); };
  CHECK(status() == DeviceStatus::not_commissioned);
  CHECK_FALSE(service.kms->fleet().device(id).commissioned_at);
  CHECK(first_duty().status == DutyStatus::not_applicable);
  CHECK(rule_of([&] { (void)service.kms->rotate(request(meter, {KeyRole::gak})); }) ==
        "not-commissioned");
  CHECK(rule_of([&] {
          service.kms->change_device(id, DeviceChange::commissioned,
                                     Service::now + std::chrono::minutes(6), both);
        }) == "in-the-future");
  service.kms->change_device(id, DeviceChange::commissioned, day, both);
  CHECK(status() == DeviceStatus::commissioned);
  CHECK(service.kms->fleet().device(id).commissioned_at == day);
  CHECK(first_duty().began == day);
  (void)service.kms->rotate(request(meter, {KeyRole::gak}));
}

TEST_CASE("a device's life: what may follow what, when, and by whom") {
  Service service;
  auto meter = service.commission();
  const auto id = meter.id();
  const auto change = [&](DeviceChange to, Time at, const Authority& who = both) {
    return rule_of([&] { service.kms->change_device(id, to, at, who); });
  };
  CHECK(change(DeviceChange::resumed, day) == "illegal-device-change");
  CHECK(change(DeviceChange::recommissioned, day) == "illegal-device-change");
  CHECK(change(DeviceChange::commissioned, day) == "illegal-device-change");
  CHECK(change(DeviceChange::suspended, Service::now + std::chrono::minutes(5) +
                                            std::chrono::milliseconds(1)) == "in-the-future");
  CHECK(change(DeviceChange::suspended, parse_time("2026-11-20T09:29:59.999Z")) ==
        "out-of-order");  // its commissioning: 09:30
  CHECK(change(DeviceChange::suspended, day,
               {.requested_by = "x", .authorised_by = "X", .reference = "r"}) == "dual-control");
  service.kms->change_device(id, DeviceChange::suspended, day, both, id.to_string() + ".suspend");
  service.kms->change_device(id, DeviceChange::suspended, day, both,
                             id.to_string() + ".suspend");  // the same again
  CHECK(service.kms->fleet().device(id).status == DeviceStatus::suspended);
  CHECK(change(DeviceChange::resumed, day - std::chrono::seconds(1)) == "out-of-order");
  service.kms->change_device(id, DeviceChange::resumed, day, both);
  service.kms->change_device(id, DeviceChange::decommissioned, day + std::chrono::hours(1), both);
  CHECK(rule_of([&] { (void)service.kms->rotate(request(meter, {KeyRole::gak})); }) ==
        "decommissioned");
  service.kms->change_device(id, DeviceChange::recommissioned, Service::now, both);
  service.rotate_one(meter, KeyRole::gak);
  const auto events = service.kms->fleet().history(id).events;
  REQUIRE(events.size() == 5);
  CHECK(events[3].change == DeviceChange::decommissioned);
  CHECK(events[3].moment.at == day + std::chrono::hours(1));
  const auto records = service.trail(id);
  std::vector<std::string> results;
  for (const auto& record : records)
    if (record.text(audit_field::op).starts_with("device.") &&
        record.text(audit_field::result) != "refused")
      results.emplace_back(record.text(audit_field::result));
  CHECK(results == std::vector<std::string>{"registered", "suspended", "resumed", "decommissioned",
                                            "recommissioned"});
}

TEST_CASE("a suspected KEK: its manufacturer gives another, and nothing else takes its place") {
  for (const auto mode : modes()) {
    CAPTURE(mode == EnrolmentMode::officer);
    Service service(mode);
    const Order order;
    auto [line, meter] = service.manufacturer().make(order);
    CHECK(import_again(service, line).imported == 1);
    service.rotate_one(meter, KeyRole::guek);
    // A KEK that is usable is never replaced, whatever a file says.
    auto other = meter;
    other.take_kek(random_bytes(16));
    auto again = import_again(service, service.manufacturer().line(order, other));
    CHECK(again.replaced == 0);
    CHECK(again.already_known == 1);
    // A new KEK is on its way when the old one is suspected.
    const auto kek = service.release_one(meter, KeyRole::kek);
    CHECK(meter.receive(kek.action_request()) == success);
    service.kms->record_reply(kek, success);
    CHECK(service.kms->compromise({meter.id(), KeyRole::kek, 1}, "found on a laptop", both)
              .compromised.size() == 3);
    CHECK(rule_of([&] { (void)service.kms->rotate(request(meter, {KeyRole::gak})); }) ==
          "no-usable-kek");
    const auto refusal = message_of<BadFile>([&] { (void)import_again(service, line); });
    CHECK(contains(refusal, "again.csv:2:"));
    CHECK(contains(refusal, "imported before"));
    auto moved = order;
    moved.commissioned_at = "2026-11-21T09:30:00Z";
    CHECK(contains(message_of<BadFile>([&] {
                     (void)import_again(service, service.manufacturer().line(moved, other));
                   }),
                   "other facts"));
    again = import_again(service, service.manufacturer().line(order, other));
    CHECK(again.replaced == 1);
    CHECK(again.imported == 0);
    CHECK(service.standing(meter.id(), KeyRole::kek, 2) == "compromised not-held");
    CHECK(service.standing(meter.id(), KeyRole::kek, 3) == "active confirmed");
    for (const auto role : {KeyRole::guek, KeyRole::gak}) service.rotate_one(other, role);
    CHECK(service.same_key(other, KeyRole::guek, 2));
    // And the next one is not this one again.
    (void)service.kms->compromise({meter.id(), KeyRole::kek, 3}, "and again", both);
    CHECK(contains(message_of<BadFile>([&] {
                     (void)import_again(service, service.manufacturer().line(order, other));
                   }),
                   "imported before"));
  }
}

TEST_CASE("a suspected key of its device is replaced, and its KEK stays") {
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::guek);
  const auto transfer = service.release_one(meter, KeyRole::gak);
  CHECK(
      service.kms->compromise({meter.id(), KeyRole::guek, 1}, "a leak", both).compromised.size() ==
      1);
  const auto record = service.trail(meter.id()).back();
  CHECK(record.text(audit_field::notify) == "SMKI PMA, SSC");
  CHECK(record.text(audit_field::rule) == "P3");
  auto wanted = request(meter, {KeyRole::guek});
  wanted.reason = Reason::suspected_compromise;
  const auto rotation = service.kms->rotate(wanted);
  service.kms->record_reply(rotation.transfers().front(),
                            meter.receive(rotation.transfers().front().action_request()));
  CHECK(service.standing(meter.id(), KeyRole::guek, 2) == "active confirmed");
  const auto key = service.key(meter.id(), KeyRole::guek, 1);
  REQUIRE(key.compromised_at);
  CHECK(*key.compromised_at == Service::now);
  CHECK(key.confirmed_at == Service::now);
}
