// SPDX-License-Identifier: Apache-2.0
#include "history/history.hpp"

namespace test {

using namespace smets1kms;
using namespace std::chrono_literals;

/// Each device is one story; what its duties become is in tests/token/lifecycle_history.cpp.
void History::write_stories() {
  const auto on = [](const char* text) { return parse_time(text); };
  const std::string two = "guek+gak+kek", three = "guek+gbek+gak+kek";
  const auto first = Reason::post_commissioning;

  // Under S1SR clause 20: within 7 days, then every 15 months.
  const char* march = "2020-03-02T10:00:00Z";
  add("on-time", "ESME", three, march);
  rotate("on-time", on("2020-03-03T10:00Z"), first, on("2020-03-03T10:05Z"));
  rotate("on-time", on("2021-05-20T09:00Z"), Reason::periodic, on("2021-05-20T09:10Z"));
  add("late", "GSME", two, march);
  rotate("late", on("2020-03-11T10:00Z"), first,
         on("2020-03-11T10:05Z"));  // two days late, and never again
  add("no-keys", "CHF", "kek", march);
  add("late-interval", "ESME", two, march);
  rotate("late-interval", on("2020-03-04T10:00Z"), first, on("2020-03-04T10:05Z"));
  rotate("late-interval", on("2021-06-30T09:00Z"), Reason::periodic, on("2021-06-30T09:10Z"));
  add("last-breach", "ESME", two, "2020-09-15T12:00:00Z");
  rotate("last-breach", on("2020-09-16T12:00Z"), first,
         on("2020-09-16T12:00Z"));  // due on 2021-12-16, the last day of the old rule
  add("lapsed", "ESME", two, "2020-09-15T12:00:00Z");
  rotate("lapsed", on("2020-09-17T12:00Z"), first,
         on("2020-09-17T12:00Z"));  // a day later: the rule had gone

  // The spring clock change: the end of the seventh day comes before 168 hours.
  add("spring-on-time", "ESME", two, "2021-03-27T23:30:00Z");
  rotate("spring-on-time", on("2021-04-03T22:00Z"), first, on("2021-04-03T23:00Z"));
  add("spring-late", "ESME", two, "2021-03-27T23:30:00Z");
  rotate("spring-late", on("2021-04-03T22:00Z"), first, on("2021-04-03T23:00:00.001Z"));

  // Under SEC Appendix AT.
  const char* may = "2024-05-06T10:00:00Z";
  add("never", "GPF", two, may);
  add("in-doubt", "ESME", two, may);
  rotate("in-doubt", on("2024-05-08T10:00Z"), first, on("2024-05-08T10:10Z"));
  at(on("2024-05-08T10:05Z"), [this] { answer("in-doubt", Answer::lost); });
  add("resolved", "ESME", two, may);
  rotate("resolved", on("2024-05-08T11:00Z"), first, on("2024-05-08T11:10Z"));
  at(on("2024-05-08T11:05Z"), [this] { answer("resolved", Answer::lost); });
  at(on("2024-05-09T11:00Z"), [this] {
    for (const auto role : {KeyRole::guek, KeyRole::gak})
      kms_->resolve({.device = device("resolved"), .role = role, .generation = 1},
                    ProbeResult::new_key, "key proof over a fresh challenge", authority());
  });
  add("closed", "PPMID", "guek+kek", may);
  change("closed", DeviceChange::decommissioned, on("2024-05-09T15:00Z"));
  add("gone-after-breach", "ESME", two, may);
  change("gone-after-breach", DeviceChange::decommissioned, on("2024-06-09T15:00Z"));
  add("suspended", "ESME", two, may);
  change("suspended", DeviceChange::suspended, on("2024-05-08T08:00Z"));
  change("suspended", DeviceChange::resumed, on("2024-05-20T08:00Z"));
  rotate("suspended", on("2024-05-21T09:00Z"), first, on("2024-05-21T09:05Z"));
  add("a-week-over", "ESME", two, "2024-05-08T09:00:00Z");
  rotate("a-week-over", on("2024-05-22T09:00Z"), first, on("2024-05-22T09:05Z"));
  add("recommissioned", "ESME", two, march);
  rotate("recommissioned", on("2020-03-05T10:00Z"), first, on("2020-03-05T10:05Z"));
  change("recommissioned", DeviceChange::decommissioned, on("2021-02-01T10:00Z"));
  change("recommissioned", DeviceChange::recommissioned, on("2024-05-06T08:00Z"));
  rotate("recommissioned", on("2024-05-10T09:00Z"), Reason::recommissioning,
         on("2024-05-10T09:05Z"));
  add("periodic-again", "ESME", two, may);
  rotate("periodic-again", on("2024-05-08T12:00Z"), first, on("2024-05-08T12:05Z"));
  at(on("2025-08-01T09:00Z"), [this] {
    open();
    try {
      (void)kms_->rotate({.device = device("periodic-again"),
                          .roles = {},
                          .reason = Reason::periodic,
                          .authority = authority()});
      throw std::runtime_error("a periodic rotation without justification was not refused");
    } catch (const Refused&) {  // and that is in the trail
    }
  });
  rotate("periodic-again", on("2025-08-01T10:00Z"), Reason::periodic, on("2025-08-01T10:05Z"), {},
         "the site's own plan asks for fresh keys after a change of firmware");

  // Suspicion.
  add("suspected-key", "ESME", two, may);
  rotate("suspected-key", on("2024-05-08T13:00Z"), first, on("2024-05-08T13:05Z"));
  suspect("suspected-key", KeyRole::guek, 1, on("2025-02-03T09:00Z"));
  rotate("suspected-key", on("2025-02-05T09:00Z"), Reason::suspected_compromise,
         on("2025-02-05T09:05Z"), {KeyRole::guek});
  add("suspected-kek", "GSME", two, may);
  rotate("suspected-kek", on("2024-05-08T14:00Z"), first, on("2024-05-08T14:05Z"));
  suspect("suspected-kek", KeyRole::kek, 1, on("2025-02-03T10:00Z"));
  at(on("2025-02-12T09:00Z"), [this] { import({"suspected-kek"}, true); });
  rotate("suspected-kek", on("2025-02-12T10:00Z"), Reason::suspected_compromise,
         on("2025-02-12T10:05Z"));
  add("waits-for-kek", "ESME", two, may);
  rotate("waits-for-kek", on("2024-05-08T15:00Z"), first, on("2024-05-08T15:05Z"));

  // As the day of the report finds them.
  const auto before = [this](std::chrono::hours hours) { return format_time(end_ - hours); };
  suspect("waits-for-kek", KeyRole::kek, 1, end_ - 30h);
  add("due-soon", "ESME", three, before(6 * 24h));
  add("pending", "GSME", two, before(2 * 24h));
}

}  // namespace test
