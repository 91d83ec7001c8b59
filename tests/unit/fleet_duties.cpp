// SPDX-License-Identifier: Apache-2.0
// What the policy asks for, as readers of the registry see it.
#include <algorithm>

#include "unit/fleet_world.hpp"

using namespace test;

TEST_CASE("what is due: within, by status, in pages of devices; what comes by itself, in order") {
  World world;
  const auto overdue = world.add_device(1, now - 20 * 24h);
  const auto pending = world.add_device(2, now - 24h);
  const auto met = world.add_device(3, now - 24h);
  for (const auto role : {KeyRole::guek, KeyRole::gak})
    world.add_key(met, role, KeyState::active, Delivery::confirmed, now - 12h);
  const auto contradictory = world.add_device(4);
  world.registry.add_event(contradictory,
                           {DeviceChange::suspended, {.at = now - 30 * 24h, .record = 0}});
  const auto soon = world.add_device(5, now - 6 * 24h);
  const auto no_kek = world.add_device(6, now - 2 * 24h, false);
  const auto fleet = world.fleet();
  CHECK(fleet.now() == now);

  const auto found = [](const DutyPage& page) {
    std::vector<std::uint64_t> devices;
    for (const auto& duty : page.duties) devices.push_back(duty.device.number());
    return devices;
  };
  using Devices = std::vector<std::uint64_t>;
  const auto all = fleet.due(now, {}, {}, 100);
  CHECK(found(all) == Devices{1, 2, 5, 6});
  CHECK(all.devices == 6);
  CHECK_FALSE(all.next.has_value());
  REQUIRE(all.not_judged.size() == 1);
  CHECK(all.not_judged[0].device == contradictory);
  CHECK(contains(all.not_judged[0].why, "order"));
  CHECK(all.counts.at(DutyStatus::overdue) == 1);
  CHECK(all.counts.at(DutyStatus::met) == 1);
  CHECK(all.counts.at(DutyStatus::due_soon) == 1);
  CHECK(all.counts.at(DutyStatus::pending) == 2);
  CHECK(found(fleet.due(now, 0ms, {}, 100)) == Devices{1});
  CHECK(found(fleet.due(now, 24h, {}, 100)) == Devices{1, 5});
  CHECK(found(fleet.due(now, 24h - 1ms, {}, 100)) == Devices{1});
  CHECK(found(fleet.due(now, std::chrono::milliseconds::max(), {}, 100)) == Devices{1, 2, 5, 6});
  CHECK(found(fleet.due(now, DutyStatus::met, {}, {}, 100)) == Devices{3});
  CHECK(found(fleet.due(now, DutyStatus::pending, {}, {}, 100)) == Devices{2, 6});
  CHECK(found(fleet.due(now, DutyStatus::pending, 5 * 24h, {}, 100)) == Devices{6});
  CHECK(found(fleet.due(now, DutyStatus::not_applicable, 24h, {}, 100)).empty());
  CHECK(found(fleet.due(now - 365 * 24h, {}, {}, 100)).empty());  // none was commissioned then

  Devices in_pages;
  std::optional<DeviceId> after;
  std::size_t pages = 0;
  for (;; ++pages) {
    const auto page = fleet.due(now, {}, after, 1);
    for (const auto each : found(page)) in_pages.push_back(each);
    if (!(after = page.next)) break;
  }
  CHECK(in_pages == Devices{1, 2, 5, 6});
  CHECK(pages <= 4);

  const auto& late = all.duties[0];
  CHECK(late.device == overdue);
  CHECK(to_string(late.rule) == "P1");
  CHECK(late.edition == "sec-appendix-at");
  CHECK(late.origin == RuleOrigin::regulator);
  CHECK(late.source == "SEC Appendix AT");
  CHECK(late.deadline == now - 13 * 24h);
  CHECK(late.after_hours == late.deadline);
  CHECK(late.due_soon_from == now - 15 * 24h);
  CHECK(late.margin == -13 * 24h);
  CHECK(contains(late.deadline_text, "168 h"));
  CHECK(late.breach);
  CHECK(late.wanted);
  CHECK(late.waits_for == "guek: a rotation; gak: a rotation");
  REQUIRE(late.facts.size() == 1);
  CHECK(late.facts[0].what == "commissioned");
  CHECK(late.roles[0].progress == RoleProgress::none);
  CHECK(all.duties[3].device == no_kek);
  CHECK(contains(all.duties[3].waits_for, "from its manufacturer"));
  CHECK(all.duties[3].no_kek_reason.empty());
  world.add_device(7, now - 2 * 24h, false, "lost by its maker");
  const auto lost = fleet.due(now, {}, no_kek, 100).duties;
  REQUIRE(lost.size() == 1);
  CHECK(lost[0].no_kek_reason == "lost by its maker");
  CHECK(lost[0].waits_for ==
        "no usable KEK: lost by its maker; then guek: a rotation; gak: a rotation");
  CHECK(lost[0].status == DutyStatus::pending);
  world.registry.set_status(DeviceId::from_number(7), DeviceStatus::decommissioned, 1);
  world.registry.add_event(DeviceId::from_number(7),
                           {DeviceChange::decommissioned, {.at = now, .record = 0}});

  const auto of_met = fleet.duties(met, now);
  CHECK(std::ranges::count(of_met, DutyStatus::met, &Duty::status) == 1);
  CHECK(of_met.size() == 3);  // P1 for what it supports and what not, no P2
  CHECK(rule_of([&] { (void)fleet.duties(DeviceId::from_number(9), now); }) == "unknown-device");
  CHECK_THROWS_AS((void)fleet.duties(contradictory, now), BadInput);

  std::vector<NotJudged> not_judged;
  const auto upcoming = fleet.upcoming(now, 100, &not_judged);
  std::vector<std::string> changes;
  for (const auto& each : upcoming)
    changes.push_back(std::to_string(each.duty.device.number()) + " " +
                      std::string(to_string(each.becomes)));
  CHECK(changes == std::vector<std::string>{"5 overdue", "6 due-soon", "2 due-soon", "6 overdue",
                                            "2 overdue"});
  CHECK(upcoming[0].at == now + 24h);
  CHECK(std::ranges::is_sorted(upcoming, {}, &UpcomingChange::at));
  CHECK(not_judged.size() == 1);
  CHECK(upcoming[0].duty.device == soon);
  const auto two = fleet.upcoming(now, 2, nullptr);
  REQUIRE(two.size() == 2);
  CHECK(two[1].at == upcoming[1].at);
  CHECK(fleet.upcoming(now + 10 * 24h, 5, nullptr).empty());
  CHECK(pending.number() == 2);
}

TEST_CASE("a clock that was set back is behind the last record") {
  World world;
  CHECK_FALSE(world.fleet().clock_behind(now).has_value());  // no record yet
  world.add_records(std::nullopt, 1);
  const auto fleet = world.fleet();
  CHECK_FALSE(fleet.clock_behind(now).has_value());
  CHECK(fleet.clock_behind(now - 1ms) == now);
  world.registry.database().execute("UPDATE record SET bytes='nonsense'");
  CHECK(contains(message_of<StorageError>([&] { (void)fleet.clock_behind(now); }), "damaged"));
}
