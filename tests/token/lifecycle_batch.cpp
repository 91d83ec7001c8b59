// SPDX-License-Identifier: Apache-2.0
// Batches: more devices than share a transaction, stopped, broken off by the caller, run again.
#include <set>

#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;

namespace {

constexpr std::size_t several_batches = 600;  // 256 share a transaction, 512 are in hand

std::vector<RotationRequest> named_requests(const std::vector<Meter>& meters) {
  std::vector<RotationRequest> requests;
  for (const auto& meter : meters)
    requests.push_back(request(meter, {KeyRole::gak}, "batch:" + meter.id().to_string()));
  return requests;
}

RequestSource source(const std::vector<RotationRequest>& requests) {
  return [&requests, next = requests.begin()]() mutable {
    return next == requests.end() ? std::nullopt : std::optional(*next++);
  };
}

}  // namespace

TEST_CASE(
    "batches flow: each device once, each transfer opens under its own KEK, one head for many") {
  Service service;
  auto meters = service.commission_fleet(std::vector<Order>(several_batches));
  const auto before = service.kms->fleet().summary().records;
  std::map<DeviceId, KeyTransfer> released;
  const auto summary =
      service.kms->rotate(source(named_requests(meters)), [&](RotationResult result) {
        REQUIRE(result.rotation.has_value());
        CHECK(released.emplace(result.device, result.rotation->transfers().front()).second);
      });
  CHECK(summary.rotated == several_batches);
  CHECK(summary.failed == 0);
  CHECK_FALSE(summary.stopped);
  CHECK(service.kms->fleet().summary().records == before + 2 * several_batches);
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
  CHECK(confirmed == several_batches);
  CHECK(service.same_key(meters.front(), KeyRole::gak, 1));
  CHECK(service.same_key(meters.back(), KeyRole::gak, 1));
}

TEST_CASE(
    "a batch that is stopped finishes what is in hand, and the same requests go on with the "
    "others") {
  Service service;
  const auto meters = service.commission_fleet(std::vector<Order>(several_batches));
  const auto requests = named_requests(meters);
  std::set<DeviceId> first, second;
  const auto stopped = service.kms->rotate(
      source(requests),
      [&](RotationResult result) {
        CHECK((result.rotation && first.insert(result.device).second));
      },
      [&] { return !first.empty(); });
  CHECK(stopped.stopped);
  CHECK(stopped.rotated == first.size());
  CHECK(stopped.failed == 0);
  CHECK(first.size() < several_batches);
  std::size_t again = 0;
  for (const auto& meter : meters)
    if (!first.contains(meter.id())) CHECK(service.count(meter.id(), KeyRole::gak) == 0);
  const auto rest = service.kms->rotate(source(requests), [&](RotationResult result) {
    REQUIRE(result.rotation.has_value());
    if (result.rotation->transfers().front().released_before())
      ++again;
    else
      CHECK(second.insert(result.device).second);
  });
  CHECK(again == first.size());
  CHECK(second.size() == several_batches - first.size());
  CHECK(rest.rotated == several_batches);
  for (const auto& meter : meters) CHECK(service.count(meter.id(), KeyRole::gak) == 1);
}

TEST_CASE(
    "what the caller throws ends the batch; what was in hand is recorded, and nothing is lost") {
  Service service;
  const auto meters = service.commission_fleet(std::vector<Order>(8));
  const auto requests = named_requests(meters);
  struct Full {};
  std::size_t calls = 0;
  CHECK_THROWS_AS((void)service.kms->rotate(source(requests),
                                            [&](RotationResult) {
                                              ++calls;
                                              throw Full{};
                                            }),
                  Full);
  CHECK(calls == 1);
  CHECK(service.kms->fleet().summary().open_operations == 0);
  for (const auto& meter : meters)
    CHECK(service.standing(meter.id(), KeyRole::gak, 1) == "pre-active released");
  std::size_t handed_out = 0;
  (void)service.kms->rotate(source(requests), [&](RotationResult result) {
    handed_out += result.rotation && result.rotation->transfers().front().released_before() ? 1 : 0;
  });
  CHECK(handed_out == meters.size());
  CHECK_THROWS_AS(
      (void)service.kms->rotate([]() -> std::optional<RotationRequest> { throw Full{}; },
                                [](RotationResult) {}),
      Full);
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
