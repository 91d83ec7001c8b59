// SPDX-License-Identifier: Apache-2.0
#include "report/rich_fleet.hpp"

#include <algorithm>

#include "policy/policy.hpp"
#include "smets1kms/types.hpp"

namespace test {

using smets1kms::audit::Field;

namespace {

/// "2026-11-02T10:00Z" in the one spelling of records.
std::string spelt(const std::string& time) {
  return smets1kms::format_time(smets1kms::parse_time(time));
}

constexpr const char* site = R"(version = 1
editions = ["s1sr-15-month", "sec-appendix-at"]
[[adjust]]
edition = "sec-appendix-at"
rule = "P1"
within = "10 days"
from = 2026-03-01T00:00:00
until = 2026-04-01T00:00:00
who = "SEC Panel <ref 123>"
authorised_by = "security"
why = "the network was down in the north & west"
[[adjust]]
edition = "sec-appendix-at"
rule = "P3"
within = "3 days"
from = 2026-01-01T00:00:00
who = "head of operations"
why = "the site's incident plan"
)";

constexpr const char* protections =
    "token\tSoftHSM v2/smets1-demo/9663245a91a7b410\n"
    "no-extract-kek\tneeded\theld\tC_GetAttributeValue: CKR_ATTRIBUTE_SENSITIVE\n"
    "no-wrap-untrusted\twished\tnot held\tCKA_WRAP_WITH_TRUSTED <ignored>\n";

}  // namespace

Chronicle& Chronicle::at(const std::string& time, std::function<void(SampleLog&)> act) {
  acts_.push_back({spelt(time), std::move(act)});
  return *this;
}

Chronicle& Chronicle::commission(std::uint64_t n, const std::string& when,
                                 const std::string& supports, const std::string& kind) {
  return at(when, [=](SampleLog& log) {
    log.register_device(device(n), kind, supports, spelt(when));
    log.import_kek(device(n));
  });
}

Chronicle& Chronicle::replace(std::uint64_t n, std::uint64_t generation,
                              const std::string& released, const std::string& confirmed) {
  for (const char* role : {"guek", "gak"}) {
    at(released, [=](SampleLog& log) { log.release(device(n), role, generation); });
    at(confirmed, [=](SampleLog& log) { log.answer(device(n), role, generation, "confirmed"); });
  }
  return *this;
}

Chronicle& Chronicle::change(std::uint64_t n, const std::string& what, const std::string& when) {
  return at(when, [=](SampleLog& log) { log.change_device(device(n), what, spelt(when)); });
}

SampleLog Chronicle::log() const {
  auto sorted = acts_;
  std::ranges::stable_sort(sorted, {}, &Act::time);
  SampleLog log;
  for (const auto& [time, act] : sorted) {
    log.now = time;
    act(log);
  }
  return log;
}

SampleLog rich_fleet() {
  Chronicle all;
  const std::string november = "2026-11-";
  all.at("2019-12-01T09:00Z",
         [](SampleLog& log) { log.add_document("token-protections", protections); });
  // Under the old rule. 1: replaced every 15 months until that rule ended. 2: P1 in time, the
  // interval missed for good. 3: the interval kept late. 4: P1 late.
  all.commission(1, "2020-01-10T10:00Z")
      .replace(1, 1, "2020-01-11T10:00Z", "2020-01-12T10:00Z")
      .replace(1, 2, "2021-03-01T10:00Z", "2021-03-01T11:00Z");
  all.commission(2, "2020-01-10T10:00Z").replace(2, 1, "2020-01-11T10:00Z", "2020-01-12T10:00Z");
  all.commission(3, "2020-02-01T10:00Z")
      .replace(3, 1, "2020-02-02T10:00Z", "2020-02-02T10:05Z")
      .replace(3, 2, "2021-06-01T10:00Z", "2021-06-01T10:05Z");
  all.commission(4, "2021-03-27T23:30Z").replace(4, 1, "2021-04-03T22:00Z", "2021-04-03T23:15Z");
  // A deviation from P1: 10 days in March 2026.
  all.commission(5, "2026-03-02T10:00Z").replace(5, 1, "2026-03-10T10:00Z", "2026-03-11T10:00Z");
  // On time, spread over the week.
  for (std::uint64_t n = 10; n < 34; ++n) {
    const auto day = 1 + (n * 7 % 6) % 7, took = n * n % 7;
    const auto two = [&](std::uint64_t d) {
      return november + (d < 10 ? "0" : "") + std::to_string(d);
    };
    all.commission(n, two(day) + "T08:00Z", n % 4 == 0 ? "guek+gbek+gak+kek" : "guek+gak+kek",
                   n % 3 == 0 ? "GSME" : "ESME");
    all.replace(n, 1, two(day + took) + "T09:00Z", two(day + took) + "T10:00Z");
    if (n % 4 == 0)
      all.at(two(day + took) + "T10:30Z",
             [=](SampleLog& log) { log.rotate(device(n), "gbek", 1); });
  }
  // 40, 41, 42: late by days, weeks, a month and a half. 43: nothing done. 44: half of it done.
  all.commission(40, "2026-11-01T10:00Z").replace(40, 1, "2026-11-08T10:00Z", "2026-11-08T10:30Z");
  all.commission(41, "2026-10-20T10:00Z").replace(41, 1, "2026-11-01T10:00Z", "2026-11-05T10:30Z");
  all.commission(42, "2026-09-20T10:00Z").replace(42, 1, "2026-11-05T10:00Z", "2026-11-05T10:45Z");
  all.commission(43, "2026-11-02T10:00Z");
  all.commission(44, "2026-11-03T10:00Z").at("2026-11-05T10:00Z", [](SampleLog& log) {
    log.rotate(device(44), "guek", 1);
  });
  // 45: due soon. 46: pending. 47, 48: in doubt, past the deadline and before it.
  all.commission(45, "2026-11-14T10:00Z")
      .commission(46, "2026-11-19T10:00Z", "guek+gak+kek", "PPMID");
  for (const auto& [n, day] : {std::pair(47, "2026-11-04"), {48, "2026-11-17"}})
    all.commission(static_cast<std::uint64_t>(n), std::string(day) + "T10:00Z")
        .at(std::string(day) + "T12:00Z", [n](SampleLog& log) {
          for (const char* role : {"guek", "gak"})
            log.rotate(device(static_cast<std::uint64_t>(n)), role, 1, "in-doubt");
        });
  // 49: supports nothing. 50: gone before it was due. 51: gone after. 52: recommissioned. 53:
  // suspended.
  all.commission(49, "2026-11-01T10:00Z", "none", "CHF");
  all.commission(50, "2026-11-01T10:00Z").change(50, "decommission", "2026-11-04T10:00Z");
  all.commission(51, "2026-11-01T10:00Z").change(51, "decommission", "2026-11-10T10:00Z");
  all.commission(52, "2026-10-01T10:00Z")
      .replace(52, 1, "2026-10-02T10:00Z", "2026-10-02T10:30Z")
      .change(52, "decommission", "2026-10-20T10:00Z");
  all.change(52, "recommission", "2026-11-10T10:00Z")
      .replace(52, 2, "2026-11-11T10:00Z", "2026-11-11T10:30Z");
  all.commission(53, "2026-11-18T10:00Z").change(53, "suspend", "2026-11-19T10:00Z");
  // 54: compromised and replaced. 55: through its KEK, not replaced. 56: destroyed. 57: a KEK not
  // proved. 58: an open intent.
  all.commission(54, "2026-10-01T10:00Z").replace(54, 1, "2026-10-02T10:00Z", "2026-10-02T10:30Z");
  all.at("2026-11-01T10:00Z",
         [](SampleLog& log) { log.compromise(device(54), "guek", 1, "active"); });
  all.at("2026-11-02T10:00Z", [](SampleLog& log) {
    log.release(device(54), "guek", 2);
    auto reply = SampleLog::record("transfer.reply", "note", "confirmed");
    log.answer(device(54), "guek", 2, "confirmed");
    log.entries.pop_back();  // "superseded": the old key is compromised, and stays so
  });
  all.commission(55, "2026-10-01T10:00Z").replace(55, 1, "2026-10-02T10:00Z", "2026-10-02T10:30Z");
  all.at("2026-11-01T11:00Z", [](SampleLog& log) {
    log.compromise(device(55), "kek", 1, "active");
    for (const char* role : {"guek", "gak"})
      log.compromise(device(55), role, 1, "active", "compromised-through-kek");
  });
  all.commission(56, "2026-10-01T10:00Z").replace(56, 1, "2026-10-02T10:00Z", "2026-10-02T10:30Z");
  all.at("2026-10-15T10:00Z", [](SampleLog& log) {
    log.release(device(56), "guek", 2, "the customer moved out");
    log.answer(device(56), "guek", 2, "confirmed");
    log.destroy(device(56), "guek", 1);
  });
  all.commission(57, "2026-10-01T10:00Z").replace(57, 1, "2026-10-02T10:00Z", "2026-10-02T10:30Z");
  all.at("2026-11-12T10:00Z", [](SampleLog& log) { log.rotate(device(57), "kek", 2, "unproven"); });
  all.commission(58, "2026-10-01T10:00Z").replace(58, 1, "2026-10-02T10:00Z", "2026-10-02T10:30Z");
  all.at("2026-11-13T10:00Z", [](SampleLog& log) {
    log.release(device(58), "guek", 2);
    log.entries.pop_back();
  });
  // 59: of a log from before devices were recorded. 60: two records that contradict each other. 61:
  // a conflict.
  all.at("2026-10-01T10:00Z", [](SampleLog& log) { log.import_kek(device(59)); });
  all.commission(60, "2026-10-01T10:00Z").at("2026-10-03T10:00Z", [](SampleLog& log) {
    log.register_device(device(60), "GSME", "guek+gak+kek", spelt("2026-10-01T10:00Z"));
  });
  all.commission(61, "2026-10-01T10:00Z").replace(61, 1, "2026-10-02T10:00Z", "2026-10-02T10:30Z");
  all.at("2026-11-13T11:00Z", [](SampleLog& log) {
    log.release(device(61), "gak", 2);
    log.entries.pop_back();
    auto settled = test::without(log.entries.back().record,
                                 {Field::mechanism, Field::requested_by, Field::authorised_by,
                                  Field::reference, Field::reason, Field::justification});
    settled.set(Field::phase, "outcome")
        .set(Field::op, "operation.settle")
        .set(Field::result, "conflict")
        .set(Field::detail, "key.generate, objects found 2");
    settled.set(Field::state_from, "none").set(Field::state_to, "none");
    log.add(settled, device(61));
  });
  // Handover targets: "head-end" from November on, renewed; "dco" is served before the transfer,
  // and compromised. 62: the GUEK was received and is in use, the GAK is withheld. 63: of before.
  all.at("2026-11-01T00:00Z", [](SampleLog& log) { log.admit("head-end"); });
  all.at("2026-11-10T00:00Z", [](SampleLog& log) {
    log.admit("head-end", "guek+gbek+gak", false, "SHA-1");
    log.destroy_target("head-end", 1);
  });
  all.commission(63, "2026-10-01T10:00Z").replace(63, 1, "2026-10-02T10:00Z", "2026-10-02T10:30Z");
  all.commission(62, "2026-11-18T10:00Z");
  all.at("2026-11-18T11:00Z", [](SampleLog& log) {
    log.admit("dco", "guek+gak", true);
    for (const char* role : {"guek", "gak"}) log.release(device(62), role, 1);
    log.receive(device(62), "guek", 1, "dco/1");
    log.receive(device(62), "guek", 1, "head-end/2");
    log.hand_over_again(device(62), "gak", 1, "dco/1");
    log.release_withheld(device(62), "guek", 1);
    log.answer(device(62), "guek", 1, "confirmed");
  });
  all.at("2026-11-19T12:00Z", [](SampleLog& log) { log.end_target("dco", "compromise"); });
  all.at("2026-11-14T09:00Z", [](SampleLog& log) {
    log.refuse(device(10), "key.generate", "policy");
    log.refuse(std::nullopt, "key.destroy", "dual-control");
    auto note = SampleLog::record("token.compromise", "note", "compromised");
    log.two_identities(note);
    note.set(Field::detail, "a backup of an old token is missing")
        .set(Field::notify, "SMKI PMA, SSC")
        .set(Field::reason, "suspected-compromise");
    log.add(note, std::nullopt);
  });
  all.at("2025-12-01T09:00Z", [](SampleLog& log) {
    log.add_document("policy", smets1kms::policy::Policy::parse_site(site, "site").to_document());
  });
  all.at("2026-11-20T10:00Z", [](SampleLog& log) { log.state_map(); });
  return all.log();
}

std::string rich_list() {
  std::string list = "device_id,kind,commissioned_at\n";
  const auto log = rich_fleet();
  for (const auto& entry : log.entries) {
    if (entry.record.text(Field::op) != "device.register") continue;
    const auto n = *entry.device - device(0);
    if (n == 12 || n == 51 || n == 60 || n == 52) continue;  // 12 is missing on the list
    list += std::string(entry.record.text(Field::device)) + "," +
            (n == 13 ? "CHF" : std::string(entry.record.text(Field::kind))) + "," +
            (n == 14 ? "2026-10-31T00:00:00Z" : std::string(entry.record.text(Field::at))) + "\n";
  }
  list += "00-DB-12-34-56-78-90-34,ESME,2026-11-10T10:00:00Z\n";  // 52, by its second commissioning
  list += "00-DB-12-34-56-78-99-99,GSME,2026-11-01T10:00:00Z\n";  // the trail has never heard of it
  return list;
}

}  // namespace test
