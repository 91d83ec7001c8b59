// SPDX-License-Identifier: Apache-2.0
// Batches: more devices than share a transaction, stopped, broken off by the caller, run again.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "audit/record_rules.hpp"
#include "registry/registry.hpp"
#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;

namespace {

constexpr std::size_t several_groups = 600;  // 256 share a transaction, 512 are in hand

BatchRequest batch_of(const std::vector<Meter>& meters, std::string name = {}) {
  BatchRequest request{.name = std::move(name),
                       .roles = {KeyRole::gak},
                       .reason = Reason::operational,
                       .authority = both};
  for (const auto& meter : meters) request.selection.devices.push_back(meter.id());
  return request;
}

void ignore(const RotationResult& /*result*/) {}

/// A name that no other test case has.
std::string name_for(const std::vector<Meter>& meters) {
  return "B" + std::to_string(meters.front().id().number() % 1000000);
}

/// What a run of a batch handed over.
struct HandedOver {
  std::map<DeviceId, KeyTransfer> fresh, again;
  std::map<DeviceId, std::string> failures;
  void operator()(const RotationResult& result) {
    if (result.failure) {
      failures[result.device] = rule_of([&] { std::rethrow_exception(result.failure); });
      return;
    }
    const auto& transfer = result.rotation->transfers().front();
    auto& list = transfer.released_before() ? again : fresh;
    CHECK(list.emplace(result.device, transfer).second);
  }
};

std::string operation_of_error(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.operation_id();
  }
  return "none";
}

struct Full {};

}  // namespace

TEST_CASE(
    "batches flow: each device once, each transfer opens under its own KEK, one head for many") {
  Service service;
  auto meters = service.commission_fleet(std::vector<Order>(several_groups));
  const auto before = service.kms->fleet().summary().records;
  HandedOver handed;
  const auto summary = service.kms->rotate(batch_of(meters), std::ref(handed));
  auto& released = handed.fresh;
  CHECK(summary.rotated == several_groups);
  CHECK(summary.failed == 0);
  CHECK(summary.done_before == 0);
  CHECK_FALSE(summary.stopped);
  CHECK(summary.name.size() == 26);
  CHECK(summary.name.starts_with("batch-"));
  CHECK(released.size() == several_groups);
  CHECK(service.kms->fleet().summary().records == before + 2 * several_groups);
  for (auto& meter : meters)
    CHECK(meter.receive(released.at(meter.id()).action_request()) == success);
  std::size_t confirmed = 0;
  auto transfer = released.begin();
  service.kms->record_replies(
      [&]() -> std::optional<Reply> {
        if (transfer == released.end()) return std::nullopt;
        const auto& [device, each] = *transfer++;
        return Reply{.device = device, .transfer = each.number(), .content = success};
      },
      [&](const ReplyOutcome& outcome) {
        confirmed += outcome.result && outcome.result->delivery == Delivery::confirmed ? 1 : 0;
      });
  CHECK(confirmed == several_groups);
  CHECK(service.same_key(meters.front(), KeyRole::gak, 1));
  CHECK(service.same_key(meters.back(), KeyRole::gak, 1));

  const auto info = service.kms->fleet().batch(summary.name);
  CHECK(info.devices == several_groups);
  CHECK(info.done == several_groups);
  CHECK(info.failed == 0);
  CHECK(info.started == Service::now);
  CHECK(info.ended == Service::now);
  CHECK(info.request.name == summary.name);
  CHECK(info.request.roles == std::vector{KeyRole::gak});
  CHECK(info.request.reason == Reason::operational);
  CHECK(info.request.authority.reference == both.reference);
  CHECK(info.request.selection.kind == Selection::Kind::devices);
  CHECK(info.request.selection.devices.empty());
}

TEST_CASE("a batch that is stopped finishes what is in hand, and goes on by its name") {
  Service service;
  const auto meters = service.commission_fleet(std::vector<Order>(several_groups));
  const auto name = name_for(meters);
  HandedOver first, second, third;
  const auto stopped = service.kms->rotate(batch_of(meters, name), std::ref(first),
                                           [&] { return !first.fresh.empty(); });
  CHECK(stopped.name == name);
  CHECK(stopped.stopped);
  CHECK(stopped.rotated == first.fresh.size());
  CHECK(stopped.failed == 0);
  CHECK(first.fresh.size() < several_groups);
  CHECK_FALSE(service.kms->fleet().batch(name).ended);
  CHECK(service.kms->fleet().batch(name).done == first.fresh.size());
  for (const auto& meter : meters)
    if (!first.fresh.contains(meter.id())) CHECK(service.count(meter.id(), KeyRole::gak) == 0);
  service.kms.reset();  // another process goes on with it
  service.open();
  const auto rest = service.kms->resume(name, std::ref(second));
  CHECK(second.again.empty());
  CHECK(second.fresh.size() == several_groups - first.fresh.size());
  CHECK(rest.rotated == second.fresh.size());
  CHECK(rest.done_before == first.fresh.size());
  CHECK_FALSE(rest.stopped);
  for (const auto& meter : meters) CHECK(service.count(meter.id(), KeyRole::gak) == 1);
  CHECK(service.kms->fleet().batch(name).ended);
  // There is nothing left to do.
  const auto nothing = service.kms->rotate(batch_of(meters, name), std::ref(third));
  CHECK(nothing.rotated == 0);
  CHECK(nothing.failed == 0);
  CHECK(nothing.done_before == several_groups);
  CHECK(third.fresh.size() + third.again.size() + third.failures.size() == 0);
}

TEST_CASE(
    "what the caller throws ends the batch; what was in hand is recorded, and handed out again "
    "unless it was answered") {
  Service service;
  const auto meters = service.commission_fleet(std::vector<Order>(8));
  const auto name = name_for(meters);
  HandedOver first, second;
  CHECK_THROWS_AS((void)service.kms->rotate(batch_of(meters, name),
                                            [&](const RotationResult& result) {
                                              if (first.fresh.size() == 3) throw Full{};
                                              first(result);
                                            }),
                  Full);
  CHECK(first.fresh.size() == 3);
  CHECK(service.kms->fleet().summary().open_operations == 0);
  for (const auto& meter : meters)
    CHECK(service.standing(meter.id(), KeyRole::gak, 1) == "pre-active released");
  // One of them is answered all the same: its caller had it from somewhere.
  const auto& answered = *std::ranges::find_if(
      meters, [&](const Meter& meter) { return !first.fresh.contains(meter.id()); });
  service.kms->record_reply(answered.id(), 1, ActionResult::success);
  service.kms.reset();
  service.open();
  const auto before = service.kms->fleet().summary().records;
  const auto rest = service.kms->rotate(batch_of(meters, name), std::ref(second));
  CHECK(second.fresh.empty());
  CHECK(second.again.size() == 4);
  CHECK(rest.rotated == 4);
  CHECK(rest.done_before == 4);
  for (const auto& [device, transfer] : second.again) {
    CHECK_FALSE(first.fresh.contains(device));
    CHECK(device != answered.id());
    const auto last = service.trail(device).back();
    CHECK(last.text(audit_field::result) == "handed-out-again");
    CHECK(last.text(audit_field::op_id) == service.key(device, KeyRole::gak, 1).operation);
  }
  CHECK(service.kms->fleet().summary().records == before + 4);
}

TEST_CASE("what is handed out again and breaks off is handed out again") {
  Service service;
  const auto meters = service.commission_fleet(std::vector<Order>(6));
  const auto name = name_for(meters);
  const auto break_off = [](RotationResult) { throw Full{}; };
  CHECK_THROWS_AS((void)service.kms->rotate(batch_of(meters, name), break_off), Full);
  HandedOver second, third;
  CHECK_THROWS_AS((void)service.kms->resume(name,
                                            [&](const RotationResult& result) {
                                              if (second.again.size() == 2) throw Full{};
                                              second(result);
                                            }),
                  Full);
  (void)service.kms->resume(name, std::ref(third));
  CHECK(second.again.size() == 2);
  CHECK(third.again.size() == 4);
  for (const auto& [device, transfer] : second.again) CHECK_FALSE(third.again.contains(device));
  CHECK(third.fresh.empty());
  const auto stop_throws = [&]() -> bool { throw Full{}; };
  auto other = batch_of(meters, name + "s");
  other.roles = {KeyRole::guek};
  CHECK_THROWS_AS((void)service.kms->rotate(other, std::ref(third), stop_throws), Full);
}

TEST_CASE("what is released while its head can't be anchored is withheld, and handed out later") {
  for (const int kept : {0, 1}) {  // heads until the fault: of the intents, of the outcomes
    CAPTURE(kept);
    Service service;
    const auto meters = service.commission_fleet(std::vector<Order>(4));
    const auto name = name_for(meters);
    const auto left = service.config().database.string() + ".left";
    service.kms.reset();
    auto config = service.config();
    config.audit.anchor_command = {"/bin/sh", "-c",
                                   "cat >/dev/null; n=$(cat '" + left +
                                       "' 2>/dev/null) || exit 0; echo $((n-1)) >'" + left +
                                       "'; test $n -gt 0"};
    HandedOver first, second;
    {
      auto kms = KeyManager::open(config, service.callbacks());
      std::ofstream(left) << kept;
      CHECK(operation_of_error(
                [&] { (void)kms.rotate(batch_of(meters, name), std::ref(first)); }) == name);
      std::filesystem::remove(left);
      CHECK(first.fresh.empty());
      CHECK(kms.fleet().batch(name).done == (kept == 0 ? 0 : 4));
      CHECK_FALSE(kms.fleet().batch(name).ended);
      const auto rest = kms.resume(name, std::ref(second));
      CHECK(rest.rotated == 4);
      CHECK(rest.done_before == 0);
      CHECK(second.failures.empty());
      for (const auto& f : second.failures) MESSAGE(f.second);
    }
    // Without its head on record no key was made: they are new. With it they are the same again.
    CHECK(second.again.size() == (kept == 0 ? 0 : 4));
    CHECK(second.fresh.size() == (kept == 0 ? 4 : 0));
    service.open();
    CHECK(service.kms->fleet().batch(name).ended);
    CHECK(service.kms->resume(name, std::ref(first)).done_before == 4);
    CHECK(service.kms->fleet().summary().open_operations == 0);
  }
}

TEST_CASE("a failure is its device's own, and is tried again when the batch is gone on with") {
  Service service;
  auto meters = service.commission_fleet({{}, {.supports = "guek+gak"}, {}, {.suite = "2"}});
  const auto busy = service.release_one(meters[0], KeyRole::guek);
  auto request = batch_of(meters, name_for(meters));
  const auto unknown = DeviceId::from_number(0xFFFE);
  request.roles = {KeyRole::guek, KeyRole::gbek};
  request.selection.devices.push_back(unknown);
  HandedOver first, second;
  const auto summary = service.kms->rotate(request, std::ref(first));
  CHECK(summary.rotated == 2);
  CHECK(summary.failed == 3);
  CHECK(first.failures == decltype(first.failures){{meters[0].id(), "in-doubt"},
                                                   {meters[1].id(), "role-not-supported"},
                                                   {unknown, "unknown-device"}});
  CHECK(service.kms->fleet().batch(request.name).failed == 3);
  service.kms->record_reply(busy, success);
  const auto rest = service.kms->resume(request.name, std::ref(second));
  CHECK(rest.rotated == 1);
  CHECK(rest.failed == 2);
  CHECK(rest.done_before == 2);
  CHECK(second.fresh.contains(meters[0].id()));
  CHECK(service.count(meters[2].id(), KeyRole::guek) == 1);
}

TEST_CASE("a failure carries its operation's id, and what ends a batch carries the batch's name") {
  Service service;
  const auto meters = service.commission_fleet(std::vector<Order>(2));
  const auto name = name_for(meters);
  (void)service.release_one(meters[0], KeyRole::gak);
  std::string failed;
  (void)service.kms->rotate(batch_of(meters, name), [&](const RotationResult& result) {
    if (result.failure) failed = operation_of_error([&] { rethrow_exception(result.failure); });
  });
  CHECK(failed.starts_with(name + ":00DB"));
  CHECK(failed.ends_with(":operational"));
  auto alone = batch_of(meters, name + ".2");
  alone.authority.authorised_by = alone.authority.requested_by;
  CHECK(operation_of_error([&] { (void)service.kms->rotate(alone, ignore); }) == name + ".2");
  CHECK(operation_of_error([&] {
          (void)service.kms->rotate(batch_of(meters),
                                    [&](RotationResult) { throw BadInput("the caller's own"); });
        }).starts_with("batch-"));
  CHECK(operation_of_error([&] {
          (void)service.kms->rotate(request(meters[0], {KeyRole::gak}, name + ".one"));
        }) == name + ".one");
  const KeyRef ref{.device = meters[0].id(), .role = KeyRole::gak, .generation = 1};
  const auto id = name + ".end";
  CHECK(operation_of_error([&] { service.kms->retire(ref, both, id); }) == id);
  CHECK(operation_of_error([&] { service.kms->destroy(std::span(&ref, 1), both, id); }) == id);
  CHECK(operation_of_error(
            [&] { service.kms->resolve(ref, ProbeResult::new_key, "probe", both, id); }) == id);
  CHECK(operation_of_error([&] {
          service.kms->compromise({ref.device, ref.role, 9}, "seen", both, id);
        }) == id);
  CHECK(operation_of_error([&] {
          service.kms->change_device(ref.device, DeviceChange::resumed, Service::now, both, id);
        }) == id);
  CHECK(operation_of_error([&] {
          (void)service.kms->prove({ref.device, KeyRole::kek, 1}, Bytes(32));
        }).size() == 36);
  // A reply belongs to the operation that released the transfer.
  CHECK(operation_of_error([&] { service.kms->record_reply(ref.device, 1, Bytes{0x7E}); }) ==
        service.key(ref.device, KeyRole::gak, 1).operation);
}

TEST_CASE("a name belongs to one request") {
  Service service;
  const auto meters = service.commission_fleet(std::vector<Order>(2));
  const auto name = name_for(meters);
  const auto request = batch_of(meters, name);
  CHECK(service.kms->rotate(request, ignore).rotated == 2);
  const std::pair<const char*, void (*)(BatchRequest&)> others[] = {
      {"reason", [](BatchRequest& other) { other.reason = Reason::post_commissioning; }},
      {"roles", [](BatchRequest& other) { other.roles = {KeyRole::guek}; }},
      {"order",
       [](BatchRequest& other) {
         other.roles = {KeyRole::gak, KeyRole::guek};
       }},
      {"requester", [](BatchRequest& other) { other.authority.requested_by = "s1sp:else"; }},
      {"reference", [](BatchRequest& other) { other.authority.reference = "CHG-2"; }},
      {"action", [](BatchRequest& other) { other.single_action = true; }},
      {"KEK", [](BatchRequest& other) { other.wrap_under = WrapUnder::proven; }},
      {"justification", [](BatchRequest& other) { other.justification = "agreed"; }},
      {"devices", [](BatchRequest& other) { other.selection.devices.pop_back(); }},
      {"selection", [](BatchRequest& other) { other.selection = {.kind = Selection::Kind::all}; }}};
  for (const auto& [what, change] : others) {
    CAPTURE(std::string(what));
    auto other = request;
    change(other);
    CHECK(rule_of([&] { (void)service.kms->rotate(other, ignore); }) == "batch-changed");
    CHECK(service.kms->fleet().last_record()->bytes.find("batch-changed") != std::string::npos);
  }
  CHECK(rule_of([&] { (void)service.kms->resume(name + "x", ignore); }) == "unknown-batch");
  CHECK(rule_of([&] { service.kms->transfers(name + "x", ignore); }) == "unknown-batch");
  CHECK(rule_of([&] { (void)service.kms->fleet().batch(name + "x"); }) == "unknown-batch");
  // Another run of the same batch, from within it.
  auto next = batch_of(meters, name + "y");
  next.roles = {KeyRole::guek};
  std::string inner;
  (void)service.kms->rotate(next, [&](RotationResult) {
    inner = rule_of([&] { (void)service.kms->resume(next.name, ignore); });
  });
  CHECK(inner == "operation-open");
}

TEST_CASE("requests that are none are refused before anything is begun") {
  Service service;
  const auto meters = service.commission_fleet(std::vector<Order>(1));
  const std::pair<const char*, void (*)(BatchRequest&)> wrong[] = {
      {"26 characters", [](BatchRequest& bad) { bad.name = std::string(27, 'b'); }},
      {"A-Z a-z 0-9", [](BatchRequest& bad) { bad.name = "a b"; }},
      {"at least one", [](BatchRequest& bad) { bad.selection.devices.clear(); }},
      {"at least one", [](BatchRequest& bad) { bad.selection.kind = Selection::Kind::all; }},
      {"for a list of devices",
       [](BatchRequest& bad) { bad.selection = {.kind = Selection::Kind::superseded}; }},
      {"in the list twice",
       [](BatchRequest& bad) { bad.selection.devices.push_back(bad.selection.devices.front()); }},
      {"has a reason", [](BatchRequest& bad) { bad.reason.reset(); }},
      {"has a reason", [](BatchRequest& bad) { bad.selection = {.kind = Selection::Kind::due}; }},
      {"what is due",
       [](BatchRequest& bad) { bad.selection.within = std::chrono::milliseconds(1); }},
      {"justification", [](BatchRequest& bad) { bad.justification = "a \"quote\""; }}};
  for (const auto& [says, change] : wrong) {
    auto request = batch_of(meters);
    change(request);
    CAPTURE(std::string(says));
    CHECK(
        contains(message_of<BadInput>([&] { (void)service.kms->rotate(request, ignore); }), says));
  }
  auto periodic = batch_of(meters, name_for(meters));
  periodic.reason = Reason::periodic;
  CHECK(rule_of([&] { (void)service.kms->rotate(periodic, ignore); }) == "policy");
  CHECK(service.count(meters[0].id(), KeyRole::gak) == 0);
  CHECK(rule_of([&] { (void)service.kms->fleet().batch(periodic.name); }) == "unknown-batch");
}

TEST_CASE("batches are listed by name") {
  Service service;
  const auto meters = service.commission_fleet(std::vector<Order>(1));
  std::vector<std::string> names;
  for (const char* suffix : {".a", ".b", ".c"}) {
    auto request = batch_of(meters, "0" + name_for(meters) + suffix);
    request.roles = {suffix[1] == 'a'   ? KeyRole::guek
                     : suffix[1] == 'b' ? KeyRole::gbek
                                        : KeyRole::gak};
    names.push_back(request.name);
    (void)service.kms->rotate(request, [](RotationResult) {});
  }
  const auto page = service.kms->fleet().batches("0" + name_for(meters), 2);
  REQUIRE(page.size() == 2);
  CHECK(page[0].request.name == names[0]);
  CHECK(page[1].request.name == names[1]);
  CHECK(service.kms->fleet().batches(names[1], 1).front().request.name == names[2]);
}

TEST_CASE("the transfers of a batch, and one of them, once more: until they are answered") {
  Service service;
  auto meters = service.commission_fleet(std::vector<Order>(5));
  auto request = batch_of(meters, name_for(meters));
  request.roles = {KeyRole::gak, KeyRole::guek};
  request.single_action = true;
  HandedOver handed;
  (void)service.kms->rotate(request, std::ref(handed));
  service.kms->record_reply(handed.fresh.at(meters[0].id()), success);
  service.kms->record_reply(handed.fresh.at(meters[1].id()), std::nullopt);
  service.kms->compromise({meters[2].id(), KeyRole::gak, 1}, "seen", both);
  const auto confirmed = [&](KeyRole role) { return service.standing(meters[0].id(), role, 1); };
  CHECK(confirmed(KeyRole::gak) == "active confirmed");
  std::map<DeviceId, KeyTransfer> again;
  const auto keep = [&](const RotationResult& result) {
    REQUIRE(result.rotation);
    for (const auto& transfer : result.rotation->transfers())
      CHECK(again.emplace(transfer.device(), transfer).second);
  };
  service.kms->transfers(request.name, keep, [&](DeviceId device, std::uint32_t number) {
    CHECK(number == 1);
    return device == meters[3].id();
  });
  CHECK(again.size() == 1);
  CHECK(service.trail(meters[4].id()).back().text(audit_field::op) == "key.generate");
  again.clear();
  service.kms->transfers(request.name, keep);
  CHECK(again.size() == 2);
  for (const auto i : {3, 4}) {
    const auto device = meters[static_cast<std::size_t>(i)].id();
    CHECK(again.at(device).action_request() == handed.fresh.at(device).action_request());
    CHECK(again.at(device).released_before());
    const auto transfer = service.kms->transfer(device, 1);
    CHECK(transfer.action_request() == handed.fresh.at(device).action_request());
    CHECK(transfer.id() == handed.fresh.at(device).id());
    CHECK(transfer.released_before());
    const auto last = service.trail(device).back();
    CHECK(last.text(audit_field::op) == "transfer.release-again");
    CHECK(last.text(audit_field::result) == "handed-out-again");
    CHECK(last.text(audit_field::op_id) == service.key(device, KeyRole::gak, 1).operation);
    CHECK_NOTHROW((void)audit::summarise(audit::RecordView::parse(last.encode()), 0, {}));
  }
  CHECK(rule_of([&] { (void)service.kms->transfer(meters[0].id(), 1); }) == "not-unanswered");
  CHECK(rule_of([&] { (void)service.kms->transfer(meters[1].id(), 1); }) == "not-unanswered");
  CHECK(rule_of([&] { (void)service.kms->transfer(meters[2].id(), 1); }) == "compromised");
  CHECK(rule_of([&] { (void)service.kms->transfer(meters[3].id(), 2); }) == "not-released");
  CHECK(service.trail(meters[3].id()).back().text(audit_field::detail) == "not-released");
  CHECK(rule_of([&] { (void)service.kms->transfer(DeviceId::from_number(0xFFFE), 1); }) ==
        "unknown-device");
}

TEST_CASE("a result that its caller is about to get is not handed out by another call") {
  Service service;
  const auto meters = service.commission_fleet(std::vector<Order>(3));
  const auto request = batch_of(meters, name_for(meters));
  std::size_t results = 0;
  (void)service.kms->rotate(request, [&](const RotationResult& result) {
    REQUIRE(result.rotation);
    ++results;
    for (const auto& meter : meters)
      CHECK(rule_of([&] { (void)service.kms->transfer(meter.id(), 1); }) == "operation-open");
    CHECK(rule_of([&] { service.kms->transfers(request.name, ignore); }) == "operation-open");
  });
  CHECK(results == 3);
  for (const auto& meter : meters) CHECK_NOTHROW((void)service.kms->transfer(meter.id(), 1));
}

TEST_CASE("a transfer is not handed out again where its device or its keys have gone") {
  Service service;
  const auto meters = service.commission_fleet(std::vector<Order>(4));
  const auto request = batch_of(meters, name_for(meters));
  (void)service.kms->rotate(request, ignore);
  const auto open = [&](OperationState state) {
    auto registry = registry::Registry::open(service.config().database, sqlite::Mode::read_write);
    const KeyRef key{meters[1].id(), request.roles.front(), 1};
    registry.put_operation({.id = "open-" + request.name,
                            .kind = "key.destroy",
                            .device = {},
                            .digest = {},
                            .state = state},
                           std::span(&key, 1));
  };
  open(OperationState::open);
  service.kms->change_device(meters[2].id(), DeviceChange::decommissioned, Service::now, both);
  CHECK(rule_of([&] { (void)service.kms->transfer(meters[1].id(), 1); }) == "operation-open");
  CHECK(rule_of([&] { (void)service.kms->transfer(meters[2].id(), 1); }) == "decommissioned");
  HandedOver handed;
  service.kms->transfers(request.name, std::ref(handed));
  CHECK(handed.again.size() == 2);
  CHECK(handed.failures == decltype(handed.failures){{meters[1].id(), "operation-open"},
                                                     {meters[2].id(), "decommissioned"}});
  const auto last = service.trail(meters[2].id()).back();
  CHECK(last.text(audit_field::op) == "transfer.release-again");
  CHECK(last.text(audit_field::result) == "refused");
  open(OperationState::done);
  CHECK_NOTHROW((void)service.kms->transfer(meters[1].id(), 1));
}

TEST_CASE("names that no batch can have, and lists with a role given twice") {
  Service service;
  const auto meters = service.commission_fleet(std::vector<Order>(1));
  const auto records = service.kms->fleet().last_record()->index;
  for (const auto& name : {std::string("M\xC3\xA4rz"), std::string("a\"b"), std::string(5000, 'a'),
                           std::string(27, 'a')}) {
    CHECK_THROWS_AS((void)service.kms->resume(name, ignore), BadInput);
    CHECK_THROWS_AS(service.kms->transfers(name, ignore), BadInput);
  }
  auto request = batch_of(meters, name_for(meters));
  request.roles = {KeyRole::gak, KeyRole::gak};
  CHECK_THROWS_AS((void)service.kms->rotate(request, ignore), BadInput);
  CHECK(service.kms->fleet().last_record()->index == records);
}

TEST_CASE("an answer that can't be recorded fails with its operation's id") {
  Service service;
  auto meters = service.commission_fleet(std::vector<Order>(1));
  const auto blocked = service.config().database.string() + ".blocked";
  service.kms.reset();
  auto config = service.config();
  config.audit.anchor_command = {"/bin/sh", "-c", "cat >/dev/null; test ! -e '" + blocked + "'"};
  {
    auto kms = KeyManager::open(config, service.callbacks());
    const auto rotation = kms.rotate({.device = meters[0].id(),
                                      .roles = {KeyRole::gak},
                                      .reason = Reason::operational,
                                      .authority = both});
    std::ofstream(blocked).put('x');
    CHECK(operation_of_error([&] {
            (void)kms.record_reply(rotation.transfers().front(), ActionResult::success);
          }) == rotation.operation_id());
    std::filesystem::remove(blocked);
  }
  service.open();
}

TEST_CASE("in a group of answers each is judged by itself") {
  Service service;
  auto meters = service.commission_fleet({{}, {}, {}});
  std::vector<Reply> replies;
  for (const auto& meter : meters)
    replies.push_back({.device = meter.id(),
                       .transfer = service.release_one(meter, KeyRole::gak).number(),
                       .content = success});
  replies[1].content = std::nullopt;
  replies.insert(replies.begin() + 1,
                 {.device = meters[0].id(), .transfer = 77, .content = success});
  std::vector<std::string> outcomes;
  auto next = replies.begin();
  service.kms->record_replies(
      [&] { return next == replies.end() ? std::nullopt : std::optional(*next++); },
      [&](const ReplyOutcome& outcome) {
        if (outcome.result)
          outcomes.emplace_back(to_string(outcome.result->delivery));
        else
          try {
            std::rethrow_exception(outcome.failure);
          } catch (const Refused& refusal) {
            outcomes.push_back(std::string(refusal.reason()));
          }
      });
  CHECK(outcomes == std::vector<std::string>{"confirmed", "not-released", "in-doubt", "confirmed"});
  CHECK(service.trail(meters[0].id()).back().text(audit_field::detail) == "not-released");
}
