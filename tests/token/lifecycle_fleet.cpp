// SPDX-License-Identifier: Apache-2.0
// The readers beside a service that is at work.
#include <algorithm>
#include <atomic>
#include <thread>

#include "registry/registry.hpp"
#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;

TEST_CASE("readers in four threads beside rotations and a destruction, which empties the log") {
  Service service;
  auto meters = service.commission_fleet(std::vector<Order>(3));
  const auto& fleet = service.kms->fleet();
  CHECK(fleet.now() == Service::now);  // the clock of the key manager's callbacks
  std::atomic<bool> stop = false;
  std::atomic<int> failed = 0, pages = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i)
    readers.emplace_back([&] {
      try {
        for (; !stop; ++pages) {
          (void)fleet.histories({}, 1000);
          (void)fleet.waiting("", 1000);
          (void)fleet.due(Service::now, {}, {}, 100);
          (void)fleet.trail(meters[0].id(), {}, 1000);
          (void)fleet.keys_in_token();
        }
      } catch (const std::exception&) {
        ++failed;
      }
    });
  std::vector<KeyRef> old;
  std::vector<Bytes> blobs;
  for (auto& meter : meters) {
    blobs.push_back(wrapped_in(service.rotate_one(meter, KeyRole::guek)));
    service.rotate_one(meter, KeyRole::guek);
    old.push_back({.device = meter.id(), .role = KeyRole::guek, .generation = 1});
  }
  const auto id = meters[0].id().to_string() + ".end";
  service.kms->destroy(old, both, id);
  while (pages < 8) std::this_thread::yield();
  stop = true;
  for (auto& each : readers) each.join();
  CHECK(failed == 0);
  for (const auto& text : service.log) CHECK_FALSE(contains(text, "-wal open"));
  for (const auto& blob : blobs) CHECK_FALSE(service.registry_holds(blob));

  auto listed = old;
  std::ranges::sort(listed);
  CHECK(fleet.operation(id).keys == listed);
  CHECK(to_string(fleet.operation(id).state) == "done");

  // A page that was read, and a reader that stays open, are in nobody's way.
  const auto reader = Fleet::open(service.config());
  const auto page = reader.keys({}, 10);
  const auto last = service.key(meters[1].id(), KeyRole::guek, 2);
  (void)service.rotate_one(meters[1], KeyRole::guek);
  service.kms->destroy(std::vector{last.ref()}, both);
  CHECK(std::filesystem::file_size(service.config().database.string() + "-wal") == 0);
  CHECK(reader.keys(meters[1].id()).size() == 4);
}

TEST_CASE("what waits of one device, until it has ended") {
  Service service;
  auto meter = service.commission();
  const auto waiting = [&] {
    std::string text;
    for (const auto& each : service.kms->fleet().waiting("", 10'000).items)
      if (each.key && each.key->device == meter.id())
        text += std::string(to_string(each.kind)) + " " + std::string(to_string(each.key->role)) +
                " " + std::to_string(each.transfer) + ";";
    return text;
  };
  CHECK(waiting().empty());
  const auto guek = service.release_one(meter, KeyRole::guek);
  CHECK(waiting() == "released guek 1;");
  service.kms->record_reply(guek, std::nullopt);
  CHECK(waiting() == "in-doubt guek 1;");
  service.kms->resolve({.device = meter.id(), .role = KeyRole::guek, .generation = 1},
                       ProbeResult::old_key, "association refused", both);
  CHECK(waiting().empty());
  const auto kek = service.release_one(meter, KeyRole::kek);
  service.kms->record_reply(kek, meter.receive(kek.action_request()));
  CHECK(waiting() == "unproven-kek kek 2;");
  service.rotate_one(meter, KeyRole::gak);
  CHECK(waiting().empty());
}

TEST_CASE("a device whose row is damaged is refused as damage, and no other") {
  Service service;
  const auto meters = service.commission_fleet(std::vector<Order>(2));
  const auto set_suite = [&](int suite) {
    sqlite::Database(service.config().database, sqlite::Mode::read_write)
        .execute(("UPDATE device SET suite=" + std::to_string(suite) +
                  " WHERE id=" + std::to_string(static_cast<std::int64_t>(meters[0].id().number())))
                     .c_str());
  };
  set_suite(4);
  CHECK(contains(message_of<StorageError>(
                     [&] { (void)service.kms->rotate(request(meters[0], {KeyRole::guek})); }),
                 "4 as suite: it is damaged"));
  CHECK_NOTHROW((void)service.release_one(meters[1], KeyRole::guek));
  set_suite(0);
  CHECK_NOTHROW((void)service.release_one(meters[0], KeyRole::guek));
}
