// SPDX-License-Identifier: Apache-2.0
// KEKs come in by the manufacturer's file: all lines or none, nothing overwritten.
#include <fstream>

#include "support/test_token.hpp"
#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;
using audit::Field;

namespace {

struct Import {
  Service service;
  std::string file = TestToken::current().directory + "/import.csv";

  explicit Import(EnrolmentMode mode = EnrolmentMode::plain) : service(mode) {
    service.kms.reset();
  }
  /// With `has_reasons` there is the column no_kek_reason.
  void write(const std::vector<std::string>& lines, bool has_reasons = false) const {
    std::ofstream out(file);
    const std::string header = Manufacturer::header;
    out << header.substr(0, header.size() - 1) << (has_reasons ? ",no_kek_reason\n" : "\n");
    for (const auto& line : lines) out << line;
  }
  ImportResult run(const std::vector<TransportKey>& keys, const std::string& id = {}) const {
    return service.enrolment(both).import_fleet(
        {.csv = file, .signature = {}, .transport_keys = keys}, id);
  }
  ImportResult run() const { return run({service.manufacturer().transport_key()}); }
  std::pair<std::string, Meter> make(const Order& order = {}) const {
    return service.manufacturer().make(order);
  }
  bool knows(const Meter& meter) const {
    return rule_of([&] { (void)Fleet::open(service.config()).device(meter.id()); }).empty();
  }
  /// Nothing of this meter came in: no device, no key planned, nothing in the token.
  void check_absent(const Meter& meter) const {
    CHECK_FALSE(knows(meter));
    CHECK(Fleet::open(service.config()).keys(meter.id()).empty());
  }
  std::size_t objects_in_token() const {
    return Service::pool()->run(
        [](pkcs11::Session& session) { return session.find_objects({}).size(); });
  }
};

std::string replaced(std::string line, std::size_t field, const std::string& value) {
  std::size_t start = 0;
  for (std::size_t i = 0; i < field; ++i) start = line.find(',', start) + 1;
  return line.replace(start, line.find_first_of(",\n", start) - start, value);
}

std::string place_of(const std::string& message) { return message.substr(0, message.find(": ")); }

}  // namespace

TEST_CASE("the same file twice changes nothing; a longer one brings what is new") {
  Import import;
  auto [first, meter] = import.make();
  auto [second, other] = import.make({.suite = "2"});
  import.write({first});
  CHECK(import.run().imported == 1);
  const auto objects = import.objects_in_token();
  const auto again = import.run();
  CHECK(again.imported == 0);
  CHECK(again.already_known == 1);
  CHECK(import.objects_in_token() == objects);
  import.write({first, second});
  const auto longer = import.run();
  CHECK(longer.imported == 1);
  CHECK(longer.already_known == 1);
  CHECK(longer.signer.empty());
  import.service.open();
  CHECK(import.service.standing(meter.id(), KeyRole::kek, 1) == "active confirmed");
  CHECK(import.service.trail(meter.id()).size() == 3);
  for (auto* each : {&meter, &other}) import.service.rotate_one(*each, KeyRole::guek);
}

TEST_CASE("a device that is known with other facts is never overwritten") {
  Import import;
  const auto [line, meter] = import.make();
  const auto [fresh, stranger] = import.make();
  import.write({line});
  (void)import.run();
  const auto before = import.objects_in_token();
  struct {
    std::size_t field;
    const char* value;
  } const changes[] = {{1, "GSME"},
                       {2, "LATER"},
                       {3, "4D4D4D00000000FF"},
                       {5, "guek+gak"},
                       {6, "2026-11-20T09:30:01Z"}};
  for (const auto& [field, value] : changes) {
    CAPTURE(field);
    import.write({fresh, replaced(line, field, value)});
    const auto message = message_of<BadFile>([&] { (void)import.run(); });
    CHECK(place_of(message) == import.file + ":3:1");
    CHECK(contains(message, "with other facts"));
    import.check_absent(stranger);
  }
  CHECK(import.objects_in_token() == before);
  // Another KEK for the same facts is no other fact that could be seen; it is not taken either.
  import.write({replaced(line, 7, std::string(48, '0'))});
  CHECK(import.run().already_known == 1);
}

TEST_CASE("one bad KEK refuses the file, by line and column") {
  Import import;
  const auto before = import.objects_in_token();
  std::vector<Meter> meters;
  std::vector<std::string> lines;
  for (int i = 0; i < 3; ++i) {
    auto [line, meter] = import.make();
    lines.push_back(line);
    meters.push_back(std::move(meter));
  }
  auto bad = lines[1];
  const auto kek = bad.rfind(',') - 48;
  bad[kek] = bad[kek] == '0' ? '1' : '0';  // fails the integrity check of RFC 3394 section 2.2.3
  import.write({lines[0], bad, lines[2]});
  const auto message = message_of<BadFile>([&] { (void)import.run(); });
  CHECK(place_of(message) == import.file + ":3:" + std::to_string(kek + 1));
  CHECK(contains(message, "does not unwrap this KEK"));
  for (const auto& meter : meters) import.check_absent(meter);
  CHECK(import.objects_in_token() == before);
  import.write(lines);
  CHECK(import.run().imported == 3);
}

TEST_CASE("a device without a KEK is listed with the reason, and rotated once a file brings it") {
  for (const auto mode : modes()) {
    CAPTURE(mode == EnrolmentMode::officer);
    Import import(mode);
    auto [line, meter] = import.make();
    const auto [other, with_kek] = import.make();
    const auto id = meter.id();
    const auto ended = [](std::string text, const std::string& end) {
      return text.insert(text.size() - 1, "," + end);
    };
    const auto bare = [&](const std::string& reason) {
      return ended(replaced(replaced(line, 7, ""), 8, ""), reason);
    };
    const auto before = import.objects_in_token();
    // Alone, too, it comes in by the ceremony.
    import.write({bare("lost by its maker")}, true);
    auto result = import.run();
    CHECK(result.imported == 0);
    CHECK(result.without_kek == 1);
    CHECK(import.objects_in_token() == before);
    // The same again, another reason, and one that has a KEK beside it.
    import.write({bare("never delivered"), ended(other, "")}, true);
    result = import.run();
    CHECK(result.imported == 1);
    CHECK(result.without_kek == 0);
    CHECK(result.already_known == 1);
    import.service.open();
    auto& kms = *import.service.kms;
    CHECK(kms.fleet().device(id).no_kek_reason == "lost by its maker");
    const auto trail = import.service.trail(id);
    REQUIRE(trail.size() == 1);
    CHECK(trail[0].text(Field::result) == "registered-without-kek");
    CHECK(trail[0].text(Field::detail) == "no usable KEK: lost by its maker");
    const auto duties = kms.fleet().duties(id, Service::now);
    CHECK(duties[0].no_kek_reason == "lost by its maker");
    CHECK(duties[0].waits_for.starts_with("no usable KEK: lost by its maker; then guek: a rot"));
    CHECK(kms.fleet().waiting(id).front().kind == WaitingKind::no_usable_kek);
    for (const auto role : {KeyRole::guek, KeyRole::kek}) {
      const auto message =
          message_of<Refused>([&, role = role] { (void)kms.rotate(request(meter, {role})); });
      CHECK(contains(message, "has no usable KEK: lost by its maker"));
      CHECK(import.service.trail(id).back().text(Field::detail) == "no-usable-kek");
    }
    BatchRequest batch{
        .selection = {.kind = Selection::Kind::due}, .roles = {KeyRole::gak}, .authority = both};
    const auto is_other = [&](const RotationResult& each) { CHECK(each.device != id); };
    CHECK(kms.rotate(batch, is_other).without_kek >= 1);
    batch.selection.kind = Selection::Kind::all;
    batch.reason = Reason::operational;
    CHECK(kms.rotate(batch, is_other).without_kek == kms.fleet().summary().without_kek);
    CHECK(import.service.count(id, KeyRole::gak) == 0);
    // A later file brings the KEK; one behind it that has none again changes nothing.
    import.service.kms.reset();
    import.write({line});
    result = import.run();
    CHECK(result.imported == 0);
    CHECK(result.keks_added == 1);
    import.write({bare("lost again")}, true);
    CHECK(import.run().already_known == 1);
    import.service.open();
    CHECK(import.service.kms->fleet().device(id).no_kek_reason.empty());
    CHECK(import.service.kms->fleet().waiting(id).empty());
    import.service.rotate_one(meter, KeyRole::guek);
    CHECK(import.service.same_key(meter, KeyRole::guek, 1));
  }
}

TEST_CASE("a system title or a KEK of another device is refused by line, with both places") {
  Import import;
  const auto [line, meter] = import.make();
  const auto [second, other] = import.make();
  const auto [third, last] = import.make();
  const auto title = line.substr(line.find("4D4D4D"), 16),
             kek = line.substr(line.rfind(',') - 48, 48);
  import.write({line});
  CHECK(import.run().imported == 1);
  auto before = import.objects_in_token();
  const auto refused = [&](const std::vector<std::string>& lines, std::size_t number,
                           const std::string& column, const std::string& says,
                           bool has_reasons = false) {
    import.write(lines, has_reasons);
    const auto message = message_of<BadFile>([&] { (void)import.run(); });
    CAPTURE(message);
    CHECK(place_of(message) == import.file + ":" + std::to_string(number) + ":" + column);
    CHECK(contains(message, says));
    CHECK_FALSE(contains(message, kek.substr(0, 16)));
    import.check_absent(other);
    import.check_absent(last);
    CHECK(import.objects_in_token() == before);
  };
  const auto title_column = std::to_string(line.find("4D4D4D") + 1),
             kek_column = std::to_string(line.rfind(',') - 48 + 1);
  const auto of_first = meter.id().to_string() + " in the registry";
  refused({second, replaced(third, 3, title)}, 3, title_column, of_first);
  refused({second, replaced(third, 7, kek)}, 3, kek_column, of_first);
  refused({second, replaced(third, 3, second.substr(second.find("4D4D4D"), 16))}, 3, title_column,
          "stands in line 2 already");
  refused({second, replaced(third, 7, second.substr(second.rfind(',') - 48, 48))}, 3, kek_column,
          "this very kek_wrapped stands in line 2 already");
  auto bare = replaced(replaced(third, 7, ""), 3, title);
  refused({bare.insert(bare.size() - 1, ",lost")}, 2, title_column, of_first, true);
  // A KEK that was destroyed was this device's all the same.
  import.service.open();
  (void)import.service.kms->compromise({meter.id(), KeyRole::kek, 1}, "found on a laptop", both);
  import.service.kms->destroy(std::vector{KeyRef { meter.id(), KeyRole::kek, 1 }}, both);
  import.service.kms.reset();
  before = import.objects_in_token();
  refused({replaced(second, 7, kek)}, 2, kek_column, of_first);
  // Nor does it get the KEK of another in the place of its own.
  import.write({second});
  CHECK(import.run().imported == 1);
  import.write({replaced(line, 7, second.substr(second.rfind(',') - 48, 48))});
  CHECK(contains(message_of<BadFile>([&] { (void)import.run(); }),
                 "is that of " + other.id().to_string() + " in the registry"));
}

TEST_CASE("transport keys: missing, foreign, damaged") {
  Import import;
  const auto [line, meter] = import.make();
  import.write({line});
  const auto column = std::to_string(line.rfind(',') - 48 + 1);
  CHECK(place_of(message_of<BadFile>([&] { (void)import.run(std::vector<TransportKey>{}); })) ==
        import.file + ":2:" + column);
  auto key = import.service.manufacturer().transport_key();
  key.name = "another";
  CHECK(contains(message_of<BadFile>([&] { (void)import.run({key}); }),
                 "transport key mfr-test was not given"));
  key = import.service.manufacturer().transport_key();
  key.encrypted.back() ^= 1;
  CHECK(contains(message_of<RefusedByToken>([&] { (void)import.run({key}); }), "mfr-test"));
  key.encrypted.pop_back();
  CHECK_THROWS_AS((void)import.run({key}), RefusedByToken);
  key.encrypted.clear();
  CHECK_THROWS_AS((void)import.run({key}), RefusedByToken);
  import.check_absent(meter);
  CHECK(Fleet::open(import.service.config()).summary().open_operations == 0);
}

TEST_CASE("an import is under two identities and its own operation id") {
  Import import;
  const auto [line, meter] = import.make();
  const auto [other_line, other] = import.make();
  import.write({line});
  const FleetFile file{.csv = import.file,
                       .signature = {},
                       .transport_keys = {import.service.manufacturer().transport_key()}};
  CHECK(rule_of([&] {
          (void)import.service.enrolment({"a", "A", "c"}).import_fleet(file);
        }) == "dual-control");
  CHECK_THROWS_AS((void)import.service.enrolment({"a", "b", ""}).import_fleet(file), BadInput);
  CHECK_THROWS_AS((void)import.service.enrolment(both).import_fleet(file, "a b"), BadInput);
  import.check_absent(meter);
  const auto id = meter.id().to_string() + ".import";
  CHECK(import.run(file.transport_keys, id).imported == 1);
  CHECK(import.run(file.transport_keys, id).already_known == 1);  // the same again
  import.write({other_line});
  CHECK(rule_of([&] { (void)import.run(file.transport_keys, id); }) == "operation-id-reused");
  import.check_absent(other);
  import.service.open();
  const auto trail = import.service.trail(meter.id());
  REQUIRE(trail.size() == 3);
  for (const auto& record : trail) {
    CHECK(record.text(Field::op) == (&record == &trail[1] ? "device.register" : "key.import"));
    CHECK(record.text(Field::op_id) == id);
    CHECK(record.text(Field::authorised_by) == both.authorised_by);
  }
  CHECK(trail[0].number(Field::wrapped_len) == 24);
}

TEST_CASE("a file that is not there is bad input") {
  const Import import;
  CHECK(contains(message_of<BadInput>([&] {
                   (void)import.service.enrolment(both).import_fleet(
                       {.csv = "/nowhere/fleet.csv", .signature = {}, .transport_keys = {}});
                 }),
                 "/nowhere/fleet.csv"));
}

TEST_CASE("under the officer's enrolment the same, by his PIN") {
  Service service(EnrolmentMode::officer);
  auto meters = service.commission_fleet({{}, {.suite = "2"}, {.suite = "1", .model = "LATER"}});
  for (auto& meter : meters)
    for (const auto role : {KeyRole::guek, KeyRole::gbek, KeyRole::gak}) {
      service.rotate_one(meter, role);
      CHECK(service.same_key(meter, role, 1));
    }
  service.kms.reset();
  const auto wrong = TestToken::current().directory + "/wrong-so.pin";
  {
    std::ofstream(wrong) << "wrong-pin";
    std::filesystem::permissions(
        wrong, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }
  CHECK(contains(message_of<TokenUnavailable>(
                     [&] { (void)Enrolment(service.config(), both, wrong).make_keys(); }),
                 "tried once"));
  CHECK(contains(message_of<TokenUnavailable>([&] {
                   (void)Enrolment(service.config(), both, "/nowhere/so.pin").make_keys();
                 }),
                 "/nowhere/so.pin"));
  CHECK_THROWS_AS((void)Enrolment(service.config(), both, {}).make_keys(),
                  TokenUnavailable);  // no way to ask
  service.open();
}
