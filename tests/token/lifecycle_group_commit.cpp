// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "audit/verify.hpp"
#include "registry/database_log.hpp"
#include "smets1kms/audit_log.hpp"
#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;

namespace {

std::size_t heads(const Config& config) {
  registry::DatabaseLog log(config.database);
  std::size_t count = 0;
  audit::VerifyOptions options{
      .keys = {audit::AuditKey::from_pem(audit_identity(config).public_key)}};
  const auto report = audit::verify(log, options);
  CHECK(report.why == "");
  CHECK(report.verdict == audit::Verdict::verified);
  count = report.checkpoints;
  return count;
}

}  // namespace

TEST_CASE(
    "rotations and answers of many threads share signed heads, and a refusal is only its own") {
  constexpr std::size_t threads = 8, each = 4;
  Service service;
  const auto meters = service.commission_fleet(std::vector<Order>(threads * each));
  service.kms.reset();
  auto config = service.config();
  config.audit.anchor_command = {"/bin/sh", "-c", "cat >/dev/null; sleep 0.02"};
  std::optional kms(KeyManager::open(config, service.callbacks()));
  const auto before = heads(config);
  std::atomic<std::size_t> rotated = 0, confirmed = 0, refused = 0, other = 0;
  std::vector<std::thread> all;
  for (std::size_t t = 0; t < threads; ++t)
    all.emplace_back([&, t] {
      for (std::size_t i = 0; i < each; ++i) {
        const auto& meter = meters[t * each + i];
        try {
          const auto rotation = kms->rotate(request(meter, {KeyRole::guek}));
          ++rotated;
          const auto& transfer = rotation.transfers().front();
          if (kms->record_reply(transfer, ActionResult::success).delivery == Delivery::confirmed)
            ++confirmed;
          (void)kms->rotate(request(meter, {KeyRole::kek, KeyRole::gak}));  // the KEK goes alone
        } catch (const Refused& refusal) {
          CHECK(refusal.refusal() == RefusalReason::kek_alone);
          CHECK(refusal.operation_id() != "");
          ++refused;
        } catch (...) {
          ++other;
        }
      }
    });
  for (auto& thread : all) thread.join();
  CHECK(rotated == threads * each);
  CHECK(confirmed == threads * each);
  CHECK(refused == threads * each);
  CHECK(other == 0);
  const auto signed_heads = heads(config) - before;
  CHECK(signed_heads >= each);
  CHECK(signed_heads < threads * each * 3);  // each alone would have had so many
  kms.reset();
  service.open();
  std::size_t recorded = 0;
  for (const auto& meter : meters)
    for (const auto& entry : service.kms->fleet().trail(meter.id(), {}, 1000))
      recorded +=
          audit::Record::decode(entry.bytes).text(audit::Field::result) == "refused" ? 1 : 0;
  CHECK(recorded == threads * each);
}
