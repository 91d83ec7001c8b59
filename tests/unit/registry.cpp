// SPDX-License-Identifier: Apache-2.0
#include "registry/registry.hpp"

#include <doctest/doctest.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "audit/record.hpp"
#include "registry/batch_tables.hpp"
#include "smets1kms/errors.hpp"
#include "support/expect.hpp"
#include "trail/record_writer.hpp"
#include "unit/scratch.hpp"

using namespace smets1kms;
using registry::Registry;
using registry::WriterLock;
using test::message_of;

namespace {

const Time noon = parse_time("2026-11-22T12:00:00.123Z");

Device device(std::uint64_t number) {
  return {.id = DeviceId::from_number(number),
          .kind = DeviceKind::gpf,
          .model = "EXAMPLE-E1",
          .system_title = {1, 2, 3, 4, 5, 6, 7, 8},
          .suite = SecuritySuite::suite_2,
          .supports = {KeyRole::guek, KeyRole::kek},
          .commissioned_at = noon,
          .status = DeviceStatus::commissioned};
}

Key planned(DeviceId id, KeyRole role, std::uint32_t generation, std::string operation = "op-1") {
  return {.device = id,
          .role = role,
          .generation = generation,
          .id = KeyId::random(),
          .state = KeyState::none,
          .delivery = Delivery::planned,
          .predecessor = KeyId::random(),
          .kek = {},
          .transfer = generation,
          .operation = std::move(operation),
          .created_at = noon};
}

bool same(const Key& a, const Key& b) {
  return a.device == b.device && a.role == b.role && a.generation == b.generation && a.id == b.id &&
         a.state == b.state && a.delivery == b.delivery && a.predecessor == b.predecessor &&
         a.kek == b.kek && a.transfer == b.transfer && a.operation == b.operation &&
         a.created_at == b.created_at;
}

Bytes random_blob() {
  Bytes blob(24);
  REQUIRE(RAND_bytes(blob.data(), 24) == 1);
  return blob;
}

Bytes bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("a registry is made once, for this user alone") {
  const test::Scratch scratch;
  const auto file = scratch.path("registry.db");
  { const auto made = Registry::create(file); }
  struct stat status {};
  REQUIRE(stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  Registry::create(file).set_setting("import_key", "a");
  auto again = Registry::create(file);
  CHECK(again.setting("import_key") == "a");  // made once: the second time it is opened
  again.set_setting("import_key", "b");
  CHECK(again.setting("import_key") == "b");
  auto reader = Registry::open(file, sqlite::Mode::read_only);
  CHECK(reader.setting("import_key") == "b");
  CHECK_THROWS_AS(reader.set_setting("import_key", "c"), StorageError);
}

TEST_CASE("what is no registry of ours is not opened") {
  const test::Scratch scratch;
  CHECK(test::contains(message_of<StorageError>([&] {
                         (void)Registry::open(scratch.path("none.db"), sqlite::Mode::read_write);
                       }),
                       "smets1-kms init"));
  CHECK_FALSE(std::filesystem::exists(scratch.path("none.db")));
  CHECK(test::contains(message_of<StorageError>([&] {
                         (void)Registry::open(scratch.write("begun.db", ""),
                                              sqlite::Mode::read_only);
                       }),
                       "smets1-kms init"));
  CHECK_THROWS_AS((void)Registry::open(scratch.write("text.db", std::string(5000, 'x')),
                                       sqlite::Mode::read_only),
                  StorageError);
  CHECK_THROWS_AS((void)Registry::open(scratch.write("text.db", std::string(5000, 'x')),
                                       sqlite::Mode::read_write),
                  StorageError);
  for (const char* version : {"PRAGMA user_version=5", "PRAGMA user_version=7"}) {
    const auto file = scratch.path(std::string(version).substr(7) + ".db");
    { Registry::create(file).database().execute(version); }
    CHECK(test::contains(
        message_of<StorageError>([&] { (void)Registry::open(file, sqlite::Mode::read_write); }),
        "not a registry of this version (6)"));
    CHECK(test::contains(message_of<StorageError>([&] { (void)Registry::create(file); }),
                         "not a registry of this version (6)"));
  }
  CHECK_THROWS_AS((void)Registry::create(scratch.write("text.db", std::string(5000, 'x'))),
                  StorageError);
  CHECK_THROWS_AS((void)Registry::create("/nowhere/registry.db"), StorageError);
}

TEST_CASE("one writer: the second is told who the first is") {
  const test::Scratch scratch;
  const auto file = scratch.path("registry.db");
  {
    const WriterLock first(file, noon);
    const auto message = message_of<StorageError>([&] { const WriterLock second(file, noon); });
    CAPTURE(message);
    CHECK(test::contains(message, "process " + std::to_string(getpid()) + " on "));
    CHECK(test::contains(message, "since 2026-11-22T12:00:00"));
    CHECK(test::contains(message, file.string()));
    CHECK_NOTHROW(WriterLock(scratch.path("other.db"), noon));
  }
  CHECK_NOTHROW(WriterLock(file, noon));  // what is left of a holder that has ended holds nobody
  CHECK_THROWS_AS(WriterLock("/nowhere/registry.db", noon), StorageError);
}

TEST_CASE("a reader is not kept out by a writer, and sees what is committed") {
  const test::Scratch scratch;
  auto writer = Registry::create(scratch.path("registry.db"));
  auto reader = Registry::open(scratch.path("registry.db"), sqlite::Mode::read_only);
  sqlite::Transaction transaction(writer.database());
  writer.add_device(device(1));
  CHECK_FALSE(reader.device(DeviceId::from_number(1)).has_value());
  transaction.commit();
  CHECK(reader.device(DeviceId::from_number(1)).has_value());
}

TEST_CASE("what is not committed was not done") {
  const test::Scratch scratch;
  auto made = Registry::create(scratch.path("registry.db"));
  {
    const sqlite::Transaction transaction(made.database());
    made.add_device(device(1));
  }
  CHECK_FALSE(made.device(DeviceId::from_number(1)).has_value());
}

TEST_CASE("devices and keys come back as they were put") {
  const test::Scratch scratch;
  auto made = Registry::create(scratch.path("registry.db"));
  const std::uint64_t numbers[] = {0, 1, 0x00DB1234567890A0, std::uint64_t{1} << 63,
                                   ~std::uint64_t{0}};
  for (const auto number : numbers) {
    made.add_device(device(number));
    const auto back = made.device(DeviceId::from_number(number));
    REQUIRE(back.has_value());
    CHECK(back->id.number() == number);
    CHECK(back->kind == DeviceKind::gpf);
    CHECK(back->model == "EXAMPLE-E1");
    CHECK(back->system_title == Bytes{1, 2, 3, 4, 5, 6, 7, 8});
    CHECK(back->suite == SecuritySuite::suite_2);
    CHECK(back->supports == std::vector{KeyRole::guek, KeyRole::kek});
    CHECK(back->commissioned_at == noon);
    CHECK(back->status == DeviceStatus::commissioned);
    CHECK_THROWS_AS(made.add_device(device(number)), StorageError);  // never overwritten
  }
  CHECK_FALSE(made.device(DeviceId::from_number(2)).has_value());
  CHECK(made.devices_after(std::nullopt, 10).size() == std::size(numbers));

  const auto id = DeviceId::from_number(1);
  auto key = planned(id, KeyRole::guek, 1);
  made.add_key(key);
  CHECK_THROWS_AS(made.add_key(key), StorageError);
  REQUIRE(made.keys(id).size() == 1);
  CHECK(same(made.keys(id)[0], key));
  CHECK(made.wrapped(key).empty());
  const auto blob = random_blob();
  key.state = KeyState::pre_active;
  key.delivery = Delivery::released;
  key.created_at = noon + std::chrono::hours(1);
  made.update_key(key, blob);
  CHECK(same(made.keys(id)[0], key));
  CHECK(made.wrapped(key) == blob);
  key.state = KeyState::active;
  made.update_key(key);  // keeps the blob
  CHECK(made.wrapped(key) == blob);
  made.forget_wrapped(key);
  CHECK(made.wrapped(key).empty());
  CHECK(made.wrapped(planned(id, KeyRole::gak, 9)).empty());
  CHECK(made.keys(DeviceId::from_number(2)).empty());
}

TEST_CASE("a device without a KEK is found by that until one is imported, or it is gone") {
  const test::Scratch scratch;
  auto made = Registry::create(scratch.path("registry.db"));
  const std::uint64_t numbers[] = {1, 2, 3, std::uint64_t{1} << 63, ~std::uint64_t{0}};
  for (const auto number : numbers) {
    auto one = device(number);
    if (number != 2) one.no_kek_reason = "lost";
    made.add_device(one);
    CHECK(made.device(one.id)->no_kek_reason == one.no_kek_reason);
  }
  const auto found = [&](std::optional<std::uint64_t> after, std::size_t most) {
    std::vector<std::uint64_t> ids;
    for (const auto& each : made.devices_without_kek(
             after ? std::optional(DeviceId::from_number(*after)) : std::nullopt, most))
      ids.push_back(each.id.number());
    return ids;
  };
  // In the registry's order, as signed numbers.
  CHECK(found({}, 9) == std::vector<std::uint64_t>{numbers[3], numbers[4], 1, 3});
  CHECK(found(numbers[4], 1) == std::vector<std::uint64_t>{1});
  CHECK(found(3, 9).empty());
  CHECK(made.summary().without_kek == 4);
  made.forget_no_kek_reason(DeviceId::from_number(1));
  made.set_status(DeviceId::from_number(3), DeviceStatus::decommissioned, 1);
  CHECK(made.device(DeviceId::from_number(1))->no_kek_reason.empty());
  CHECK(found({}, 9) == std::vector<std::uint64_t>{numbers[3], numbers[4]});
  CHECK(made.summary().without_kek == 2);
}

TEST_CASE("another device with a system title or an imported KEK is found by index") {
  const test::Scratch scratch;
  auto made = Registry::create(scratch.path("registry.db"));
  const auto id = [](std::uint64_t number) { return DeviceId::from_number(number); };
  CHECK(made.other_with_title(device(1)) == std::nullopt);
  made.add_device(device(1));
  CHECK(made.other_with_title(device(1)) == std::nullopt);  // its own
  CHECK(made.other_with_title(device(2)) == id(1));
  CHECK(made.sharing_title(9).empty());
  const auto one = audit::sha256("one"), two = audit::sha256("two");
  made.add_imported_kek(id(1), one);
  made.add_imported_kek(id(1), one);  // imported once more
  CHECK(made.other_with_kek(id(1), one) == std::nullopt);
  CHECK(made.other_with_kek(id(2), one) == id(1));
  CHECK(made.other_with_kek(id(2), two) == std::nullopt);
  CHECK(made.sharing_kek(9).empty());
  // As an older registry may have it.
  for (const std::uint64_t number : {2, 3, 4}) {
    made.add_device(device(number));
    made.add_imported_kek(id(number), number == 4 ? two : one);
  }
  CHECK(made.sharing_title(9) ==
        std::vector{std::pair(id(1), id(2)), {id(2), id(3)}, {id(3), id(4)}});
  CHECK(made.sharing_kek(9) == std::vector{std::pair(id(1), id(2)), {id(2), id(3)}});
  CHECK(made.sharing_kek(0).empty());
  for (const char* sql : {"SELECT id FROM device WHERE system_title=x'00' AND id<>1",
                          "SELECT device FROM imported_kek WHERE sha256=x'00' AND device<>1"}) {
    auto plan = made.database().query((std::string("EXPLAIN QUERY PLAN ") + sql).c_str());
    REQUIRE(plan.step());
    CHECK(test::contains(plan.text(3), "SEARCH"));
  }
}

TEST_CASE("a planned key can be dropped, one that came to be can't") {
  const test::Scratch scratch;
  auto made = Registry::create(scratch.path("registry.db"));
  const auto id = DeviceId::from_number(7);
  auto first = planned(id, KeyRole::guek, 1), second = planned(id, KeyRole::gak, 1, "op-2");
  made.add_key(first);
  made.add_key(second);
  CHECK(made.keys_of_operation("op-1", id).size() == 1);
  CHECK(made.keys_of_operation("op-3", id).empty());
  CHECK(made.keys_of_operation("op-1", DeviceId::from_number(8)).empty());
  made.drop_planned_key(first);
  CHECK(made.keys(id).size() == 1);
  second.state = KeyState::pre_active;
  made.update_key(second);
  made.drop_planned_key(second);
  CHECK(made.keys(id).size() == 1);
}

TEST_CASE("batches come back as they were put, with their lists in order") {
  test::Scratch scratch;
  Registry registry = Registry::create(scratch.path("r.db"));
  registry::BatchTables tables(registry.database());
  registry::Batch batch{
      .info = {
          .request = {.selection = {.kind = Selection::Kind::devices,
                                    .within = std::chrono::hours(36)},
                      .name = "night-1",
                      .roles = {KeyRole::gak, KeyRole::guek},
                      .reason = Reason::recommissioning,
                      .authority = {.requested_by = "a", .authorised_by = "b", .reference = "c"},
                      .single_action = true,
                      .wrap_under = WrapUnder::proven,
                      .justification = "agreed"},
          .started = noon,
          .ended = {}}};
  batch.digest.fill(7);
  const std::vector devices{DeviceId::from_number(UINT64_MAX), DeviceId::from_number(3),
                            DeviceId::from_number(1)};
  registry::Batch plain{
      .info = {.request = {.selection = {.kind = Selection::Kind::due}, .name = "night-0"},
               .started = noon,
               .ended = {}}};
  {
    sqlite::Transaction transaction(registry.database());
    batch.info.devices = devices.size();
    tables.add(batch, devices);
    tables.add(plain, {});
    transaction.commit();
  }
  const auto check = [&] {
    const auto found = tables.find("night-1");
    REQUIRE(found);
    const auto &request = found->info.request, &wanted = batch.info.request;
    CHECK(request.selection.kind == wanted.selection.kind);
    CHECK(request.selection.within == wanted.selection.within);
    CHECK(request.name == wanted.name);
    CHECK(request.roles == wanted.roles);
    CHECK(request.reason == wanted.reason);
    CHECK(request.authority.requested_by == "a");
    CHECK(request.authority.authorised_by == "b");
    CHECK(request.authority.reference == "c");
    CHECK(request.single_action);
    CHECK(request.wrap_under == WrapUnder::proven);
    CHECK(request.justification == "agreed");
    CHECK(found->digest == batch.digest);
    CHECK(found->info.devices == 3);
    CHECK(found->info.started == noon);
    CHECK(found->info.ended == batch.info.ended);
    CHECK(found->info.done == batch.info.done);
    CHECK(found->info.failed == batch.info.failed);
    CHECK(found->handed == batch.handed);
    CHECK(found->recorded == batch.recorded);
  };
  check();
  batch.info.ended = noon;
  batch.info.done = 2;
  batch.info.failed = 1;
  batch.handed = 11;
  batch.recorded = 17;
  {
    sqlite::Transaction transaction(registry.database());
    tables.save(batch);
    transaction.commit();
  }
  check();
  CHECK(tables.devices("night-1", 0, 10) == devices);
  CHECK(tables.devices("night-1", 1, 1) == std::vector{devices[1]});
  CHECK(tables.devices("night-1", 3, 10).empty());
  CHECK(tables.devices("night-0", 0, 10).empty());
  CHECK_FALSE(tables.find("night"));
  CHECK_FALSE(tables.find("night-0")->info.request.reason);
  CHECK(tables.following("", 10).size() == 2);
  CHECK(tables.following("night-0", 10).front().info.request.name == "night-1");
  CHECK(tables.following("", 1).front().info.request.name == "night-0");
  for (const char* damage :
       {"kind=7", "kind=8", "target='headend'", "kind=1", "kind=4", "reason=NULL", "kind=3",
        "roles='04'", "reason=5", "wrap_under=2", "done=-1", "digest=x'00'"}) {
    CAPTURE(damage);
    sqlite::Transaction transaction(registry.database());
    const auto sql = "UPDATE batch SET " + std::string(damage);
    registry.database().execute(sql.c_str());
    CHECK(test::contains(message_of<StorageError>([&] { (void)tables.find("night-1"); }),
                         "it is damaged"));
  }
}

static audit::Record refused(const trail::RecordWriter& trail, const trail::AuditContext& act) {
  return trail.record(act, trail::RecordWriter::Phase::note)
      .set(audit::Field::result, "refused")
      .set(audit::Field::detail, "in-doubt");
}

TEST_CASE("what the verifier would refuse is not written") {
  using audit::Field;
  const test::Scratch scratch;
  auto made = Registry::create(scratch.path("registry.db"));
  const Clock clock([] { return noon; });
  const auto policy = policy::Policy::shipped();
  trail::RecordWriter trail(made, clock, policy);
  const trail::AuditContext act{
      .name = "key.generate", .operation_id = "op-1", .authority = {"s1sp:a", "dco:b", "CHG-1"}};
  const auto message = [&](Field field, std::string_view text) {
    auto record = refused(trail, act).set(field, text);
    return message_of<StorageError>([&] { trail.append(record, DeviceId::from_number(1)); });
  };
  CHECK(test::contains(message(Field::requested_by, "two words"), "the field requested_by is not"));
  CHECK(test::contains(message(Field::reason, "boredom"), "the field reason is not"));
  CHECK(test::contains(message(Field::model, "M-1"), "the field model is not one that such a"));
  CHECK(test::contains(message(Field::result, "done"), "a kind that this program does not know"));
  CHECK(test::contains(message(Field::detail, "no reason"), "its detail does not say"));
  CHECK(made.summary().records == 1);  // the one that names the store
  auto good = refused(trail, act);
  CHECK(trail.append(good, DeviceId::from_number(1)) == 1);  // and the device's chain begins here
  CHECK(good.number(Field::device_seq) == 1);
}

TEST_CASE("records are numbered without gaps and chained for each device") {
  const test::Scratch scratch;
  auto made = Registry::create(scratch.path("registry.db"));
  const Clock clock([] { return noon; });
  const auto policy = policy::Policy::shipped();
  trail::RecordWriter trail(made, clock, policy);
  const auto a = DeviceId::from_number(1), b = DeviceId::from_number(~std::uint64_t{0});
  const trail::AuditContext act{.name = "key.generate",
                                .operation_id = "op-1",
                                .authority = {"s1sp:a", "dco:b", "CHG-1"},
                                .reason = "operational"};
  const std::optional<DeviceId> order[] = {a, b, std::nullopt, a, a, b};
  std::size_t done = 0;
  for (const auto& each : order) {
    auto record = refused(trail, act);
    trail.append(record, each);
    if (++done != 4)
      continue;  // as two transactions: what records are chained to is read anew in the second
    trail.end();
    trail.begin();
  }
  trail.end();
  std::uint64_t index = 0;
  for (const auto& entry : made.records(0, 100)) {
    CHECK(entry.index == index++);
    CHECK(audit::to_hex(audit::leaf_hash(entry.bytes)) == entry.leaf_hash);
    const auto record = audit::Record::decode(entry.bytes);
    CHECK(record.encode() == entry.bytes);
    CHECK(record.text(audit::Field::time) == "2026-11-22T12:00:00.123Z");
    const bool names_store = entry.index == 0;
    CHECK(record.text(audit::Field::requested_by) == (names_store ? "" : "s1sp:a"));
    CHECK(record.text(audit::Field::authorised_by) == (names_store ? "" : "dco:b"));
    CHECK(record.text(audit::Field::salt).size() == 32);
  }
  CHECK(index == 1 + std::size(order));
  for (const auto& [id, count] : {std::pair(a, 3U), std::pair(b, 2U)}) {
    const auto entries = made.trail(id);
    REQUIRE(entries.size() == count);
    std::string previous(64, '0');
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const auto record = audit::Record::decode(entries[i].bytes);
      CHECK(record.text(audit::Field::device) == id.to_string());
      CHECK(record.number(audit::Field::device_seq) == i + 1);
      CHECK(record.text(audit::Field::device_prev) == previous);
      previous = entries[i].leaf_hash;
    }
    CHECK(made.head(id).sequence == count);
    CHECK(audit::to_hex(made.head(id).leaf) == previous);
  }
  CHECK(made.trail(DeviceId::from_number(5)).empty());
  CHECK(made.summary().records == 1 + std::size(order));
}

TEST_CASE("a trail with a record missing is not shown as whole") {
  const test::Scratch scratch;
  auto made = Registry::create(scratch.path("registry.db"));
  const Clock clock([] { return noon; });
  const auto policy = policy::Policy::shipped();
  trail::RecordWriter trail(made, clock, policy);
  for (int i = 0; i < 3; ++i) {
    auto record = refused(trail, {.name = "key.generate", .operation_id = "op", .authority = {}});
    trail.append(record, DeviceId::from_number(1));
  }
  trail.end();
  made.database().execute("DELETE FROM record WHERE idx=1");
  CHECK(
      test::contains(message_of<StorageError>([&] { (void)made.trail(DeviceId::from_number(1)); }),
                     "record 1 of the trail is missing"));
}

TEST_CASE("a forgotten blob is in no file of the registry, however its pages were moved") {
  const test::Scratch scratch;
  const auto file = scratch.path("registry.db");
  auto made = Registry::create(file);
  std::vector<std::pair<Key, Bytes>> all;
  for (std::uint64_t i = 0; i < 400; ++i) {
    // Scattered, so that pages split in their middle, as when fleets come in one after another.
    auto key = planned(DeviceId::from_number(i * 0x9E3779B97F4A7C15U), KeyRole::guek, 1);
    sqlite::Transaction transaction(made.database());
    made.add_key(key);
    all.emplace_back(std::move(key), random_blob());
    auto& [added, blob] = all.back();
    added.state = KeyState::pre_active;
    made.update_key(added, blob);
    transaction.commit();
  }
  const auto count_in_files = [&] {
    std::size_t found = 0;
    for (const char* suffix : {"", "-wal", "-shm"}) {
      const auto bytes = bytes_of(file.string() + suffix);
      for (const auto& [key, blob] : all)
        if (std::search(bytes.begin(), bytes.end(),
                        std::boyer_moore_horspool_searcher(blob.begin(), blob.end())) !=
            bytes.end())
          ++found;
    }
    return found;
  };
  CHECK(count_in_files() >= all.size());
  for (auto& [key, blob] : all) made.forget_wrapped(key);
  made.database().execute("PRAGMA wal_checkpoint(TRUNCATE)");
  CHECK(count_in_files() == 0);
}

TEST_CASE(
    "what rests in the sealed vault is in its row until it is forgotten, and found by its storage "
    "key") {
  const test::Scratch scratch;
  auto registry = Registry::create(scratch.path("r.db"));
  const auto old_storage = KeyId::random(), new_storage = KeyId::random();
  std::vector<Key> keys;
  for (const std::uint64_t number :
       {0x00DB000000000001ull, 0x00DB000000000002ull, 0xFFDB000000000003ull}) {
    registry.add_device(device(number));
    for (const auto role : {KeyRole::guek, KeyRole::kek}) {
      keys.push_back(planned(DeviceId::from_number(number), role, 1));
      registry.add_key(keys.back());
      CHECK_FALSE(registry.sealed(keys.back()).has_value());
      registry.set_sealed(keys.back(),
                          {.under = old_storage, .blob = random_blob(), .mac = Bytes(16, 7)},
                          40 + static_cast<std::int64_t>(keys.size()));
    }
  }
  CHECK(registry.keys(keys[0].device)[0].is_sealed);
  const auto row = registry.sealed(keys[1]);
  REQUIRE(row.has_value());
  CHECK(row->key.under == old_storage);
  CHECK(row->key.blob.size() == 24);
  CHECK(row->key.mac == Bytes(16, 7));
  CHECK(row->record == 42);

  // Two at a time, in order, each once; a device of a high number is a negative integer to SQLite.
  std::vector<KeyId> seen;
  std::optional<KeyRef> last;
  for (auto some = registry.sealed_under(old_storage, last, 2); !some.empty();
       some = registry.sealed_under(old_storage, last, 2)) {
    CHECK(some.size() <= 2);
    for (const auto& key : some) seen.push_back(key.id);
    last = some.back().ref();
  }
  CHECK(seen.size() == keys.size());
  for (const auto& key : keys) CHECK(std::ranges::count(seen, key.id) == 1);
  registry.set_sealed(keys[0], {.under = new_storage, .blob = random_blob(), .mac = Bytes(16)}, 50);
  CHECK(registry.sealed_under(old_storage, std::nullopt, 10).size() == 5);
  CHECK(registry.count_sealed_under(new_storage) == 1);
  registry.forget_sealed(keys[0]);
  CHECK_FALSE(registry.sealed(keys[0]).has_value());
  CHECK(registry.count_sealed_under(new_storage) == 0);
  CHECK(registry.count_sealed_under(old_storage) == 5);
}
