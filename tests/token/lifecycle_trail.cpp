// SPDX-License-Identifier: Apache-2.0
// What is recorded: in which order, under whose name, at what time, and what never.
#include <algorithm>
#include <cctype>
#include <set>

#include "smets1kms/version.hpp"
#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;
using audit::Field;

TEST_CASE("intent, then outcome, then what the device answered") {
  Service service;
  auto meter = service.commission();
  const auto before = service.trail(meter.id());
  REQUIRE(before.size() == 3);  // the KEK's import, with what the device is in between
  CHECK(before[0].text(Field::op) == "key.import");
  CHECK(before[0].text(Field::phase) == "intent");
  CHECK(before[1].text(Field::op) == "device.register");
  CHECK(before[2].text(Field::phase) == "outcome");
  CHECK(before[2].text(Field::state_to) == "active");

  Service::now += std::chrono::seconds(61);
  const auto transfer = service.rotate_one(meter, KeyRole::guek);
  const auto trail = service.trail(meter.id());
  REQUIRE(trail.size() == 6);
  const auto &intent = trail[3], &outcome = trail[4], &reply = trail[5];
  const auto key = service.key(meter.id(), KeyRole::guek, 1);
  for (const auto* record : {&intent, &outcome, &reply}) {
    CHECK(record->number(Field::v) == 1);
    CHECK(record->text(Field::time) == "2026-11-22T18:01:01.000Z");
    CHECK(record->text(Field::clock) == "injected");
    CHECK(record->text(Field::software) == "smets1-kms/" + std::string(version()));
    CHECK(record->text(Field::op_id) == key.operation);
    CHECK(record->text(Field::device) == meter.id().to_string());
    CHECK(record->text(Field::role) == "guek");
    CHECK(record->text(Field::key_id) == key.id.to_string());
    CHECK(record->number(Field::generation) == 1);
    CHECK(record->text(Field::kek_id) == service.key(meter.id(), KeyRole::kek, 1).id.to_string());
    CHECK(test::contains(std::string(record->text(Field::token)),
                         token_profile(service.mode).profile.name == "softhsm" ? "SoftHSM v2/fleet/"
                                                                               : "NSS 3/test/"));
  }
  for (const auto* record : {&intent, &outcome}) {
    CHECK(record->text(Field::op) == "key.generate");
    CHECK(record->text(Field::requested_by) == both.requested_by);
    CHECK(record->text(Field::authorised_by) == both.authorised_by);
    CHECK(record->text(Field::reference) == both.reference);
    CHECK(record->text(Field::reason) == "operational");
    CHECK(record->text(Field::state_from) == "none");
    CHECK(record->text(Field::state_to) == "pre-active");
  }
  CHECK(intent.text(Field::phase) == "intent");
  CHECK(intent.text(Field::result).empty());
  CHECK(outcome.text(Field::phase) == "outcome");
  CHECK(outcome.text(Field::result) == "ok");
  CHECK(outcome.text(Field::ckr) == "CKR_OK");
  CHECK(outcome.number(Field::wrapped_len) == 24);
  const auto wrapped = wrapped_in(transfer);
  CHECK(outcome.text(Field::wrapped_sha256) ==
        audit::to_hex(
            audit::sha256({reinterpret_cast<const char*>(wrapped.data()), wrapped.size()})));
  const std::string attributes(outcome.text(Field::attributes));
  CHECK(contains(attributes, "sensitive"));
  for (const char* kept : {"local", "always_sensitive"})
    CHECK(contains(attributes, kept) == token_profile(service.mode).profile.keeps_local);
  for (const char* never : {"extractable", "modifiable"}) CHECK_FALSE(contains(attributes, never));
  CHECK(reply.text(Field::op) == "transfer.reply");
  CHECK(reply.text(Field::result) == "confirmed");
  CHECK(reply.text(Field::state_from) == "pre-active");
  CHECK(reply.text(Field::state_to) == "active");
  CHECK(key.created_at == Service::now);
}

TEST_CASE("each device's records are a chain of their own, and none is missing") {
  Service service;
  auto meters = service.commission_fleet({{}, {}});
  for (auto& meter : meters) {
    service.rotate_one(meter, KeyRole::guek);
    service.rotate_one(meters[0], KeyRole::gak);
    CHECK(rule_of([&] {
            (void)service.kms->rotate(request(meter, {KeyRole::kek, KeyRole::gak}));
          }) == "kek-alone");
  }
  std::set<std::string> ids, salts;
  std::uint64_t index = 0;
  for (const auto& entry : service.records()) {
    CHECK(entry.index == index++);
    CHECK(audit::to_hex(audit::leaf_hash(entry.bytes)) == entry.leaf_hash);
    const auto record = audit::Record::decode(entry.bytes);
    ids.insert(std::string(record.text(Field::event_id)));
    salts.insert(std::string(record.text(Field::salt)));
  }
  CHECK(ids.size() == index);
  CHECK(salts.size() == index);
  for (const auto& meter : meters) {
    std::string previous(64, '0');
    std::uint64_t sequence = 0;
    for (const auto& entry : service.kms->fleet().trail(meter.id(), {}, 1000)) {
      const auto record = audit::Record::decode(entry.bytes);
      CHECK(record.text(Field::device) == meter.id().to_string());
      CHECK(record.number(Field::device_seq) == ++sequence);
      CHECK(record.text(Field::device_prev) == previous);
      previous = entry.leaf_hash;
    }
    CHECK(sequence > 4);
  }
}

TEST_CASE("no record holds a key, wrapped or clear") {
  Service service;
  auto meter = service.commission();
  std::vector<Bytes> secrets{meter.key(KeyRole::kek)};
  for (const auto role : {KeyRole::guek, KeyRole::gbek, KeyRole::gak, KeyRole::kek, KeyRole::gak}) {
    const auto transfer = service.release_one(meter, role);
    CHECK(meter.receive(transfer.action_request()) == success);
    const auto wrapped = wrapped_in(transfer);
    // A careless caller: the request as the answer. A careless meter: what it was sent, returned.
    CHECK_THROWS_AS(service.kms->record_reply(transfer, transfer.action_request()), BadInput);
    Bytes returned{0xC7, 0x01, 0xC1, 0x0C, 0x01, 0x00, 0x09, 0x18};
    returned.insert(returned.end(), wrapped.begin(), wrapped.end());
    service.kms->record_reply(transfer, returned);
    service.kms->record_reply(transfer, success);
    secrets.emplace_back(wrapped.begin(), wrapped.begin() + 8);
    secrets.emplace_back(wrapped.end() - 8, wrapped.end());
    secrets.push_back(meter.key(role));
  }
  const auto pin = std::string("test-user-pin");
  std::size_t records = 0;
  for (const auto& entry : service.records()) {
    ++records;
    auto text = entry.bytes;
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    for (const auto& secret : secrets) CHECK_FALSE(contains(text, to_hex(secret)));
    CHECK_FALSE(contains(entry.bytes, pin));
  }
  CHECK(records > 10);
}

TEST_CASE("time is what the clock that was given says") {
  Service service;
  const auto meter = service.commission();
  const auto then = Service::now;
  Service::now = parse_time("2031-01-02T03:04:05.678Z");
  const auto transfer = service.release_one(meter, KeyRole::gak);
  CHECK(service.key(meter.id(), KeyRole::gak, 1).created_at == Service::now);
  CHECK(service.trail(meter.id()).back().text(Field::time) == "2031-01-02T03:04:05.678Z");
  CHECK(
      service.key(meter.id(), KeyRole::gak, 1).operation.starts_with("01c"));  // UUIDv7 of that day
  Service::now = then;
}
