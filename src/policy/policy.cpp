// SPDX-License-Identifier: Apache-2.0
#include "policy/policy.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <tuple>

#include "base/text_reader.hpp"
#include "base/toml_reader.hpp"

namespace smets1kms::policy {
namespace {

bool overlap(const Adjustment& a, const Adjustment& b) {
  return a.edition == b.edition && a.rule == b.rule && (!a.until || b.from < *a.until) &&
         (!b.until || a.from < *b.until);
}

/// Moves the cut-over within its day: the day is the regulator's, the time of day a project rule.
void move_cut_over(TomlTable& top, std::vector<Edition>& editions) {
  const auto moved = london_time(top, "cut_over");
  if (!moved) return;
  if (editions.size() != 2 || !editions[1].from)
    top.refuse("cut_over", "there are not two editions to go from one to the other");
  const Time day = *editions[1].from;
  if (*moved < day || *moved >= limit(day, {1, Unit::days}).deadline)
    top.refuse("cut_over", "its day is the regulator's (it begins " + format_time(day) +
                               "): only the time of day is a project rule");
  editions[0].until = editions[1].from = moved;
}

Adjustment read_adjustment(TomlTable& in, const Policy& policy) {
  const auto period = [&in](const std::string& key) -> std::optional<Period> {
    return in.has(key) ? std::optional(in.parsed(key, parse_period)) : std::nullopt;
  };
  Adjustment result{.edition = in.text("edition"),
                    .rule = in.parsed("rule", parse_rule_id),
                    .within = period("within"),
                    .due_soon = period("due_soon"),
                    .from = {},
                    .until = london_time(in, "until"),
                    .who = in.text("who"),
                    .authorised_by = in.has("authorised_by") ? in.text("authorised_by") : "",
                    .why = in.text("why"),
                    .deviation = false};
  in.require("from");
  result.from = result.stated_from = *london_time(in, "from");
  const auto edition = std::ranges::find(policy.editions(), result.edition, &Edition::name);
  if (edition == policy.editions().end())
    in.refuse("edition", result.edition + " is not among the editions of this file");
  const Rule* rule = edition->rule(result.rule);
  if (rule == nullptr || !rule->terms)
    in.refuse("rule", result.edition + " has no such rule with numbers");
  if (!result.within && !result.due_soon)
    in.refuse_table("nothing is changed: give within, due_soon or both");
  if (result.due_soon) (void)in.at("due_soon", [&] { return length(*result.due_soon); });
  if (result.until && *result.until <= result.from) in.refuse("until", "is not after from");
  result.deviation = rule->origin == RuleOrigin::regulator && result.within;
  if (result.deviation && !result.until)
    in.refuse("within", "the number is the regulator's (" + rule->source +
                            "): a deviation from it says until when (until), besides who and why");
  if (result.deviation) {
    in.require("authorised_by");
    const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
    if (std::ranges::equal(result.who, result.authorised_by, {}, lower, lower))
      in.refuse("authorised_by", "who and authorised_by are one identity: a deviation needs two");
  }
  in.refuse_unknown();
  return result;
}

constexpr std::string_view heading = "smets1-kms policy, form 1\n";

void add_part(std::string& document, std::string_view kind, std::string_view text) {
  document += std::string(kind) + " " + std::to_string(text.size()) + "\n" + std::string(text);
}

/// Takes a part off: its kind, a space, its length in bytes, a line's end, its bytes.
std::string_view take_part(std::string_view& rest, std::string_view kind) {
  const auto end = rest.find('\n');
  std::size_t length = 0;
  if (end != std::string_view::npos && rest.starts_with(kind) && end > kind.size() + 1 &&
      rest[kind.size()] == ' ') {
    const char* last = rest.data() + end;
    const auto [stop, error] = std::from_chars(rest.data() + kind.size() + 1, last, length);
    if (error == std::errc() && stop == last && length <= rest.size() - end - 1) {
      const auto text = rest.substr(end + 1, length);
      rest.remove_prefix(end + 1 + length);
      return text;
    }
  }
  throw BadInput("the policy's document ends, or has something else, where its " +
                 std::string(kind) + " is expected");
}

}  // namespace

Policy::Policy(std::vector<Edition> editions) : editions_(std::move(editions)) {
  if (editions_.empty()) throw BadInput("no edition of the policy is given");
  std::ranges::stable_sort(editions_, {},
                           [](const Edition& each) { return each.from.value_or(Time::min()); });
  if (editions_.front().from)
    throw BadInput("the first edition, " + editions_.front().name + ", leaves a hole before " +
                   format_time(*editions_.front().from));
  if (editions_.back().until)
    throw BadInput("the last edition, " + editions_.back().name + ", leaves a hole after " +
                   format_time(*editions_.back().until));
  for (std::size_t i = 1; i < editions_.size(); ++i) {
    const Edition &before = editions_[i - 1], &after = editions_[i];
    const std::string pair = before.name + " and " + after.name;
    if (!after.from || !before.until || *before.until > *after.from)
      throw BadInput("the editions " + pair + " overlap: the one begins before the other ends");
    if (*before.until < *after.from)
      throw BadInput("the editions " + pair + " leave a hole from " + format_time(*before.until) +
                     " to " + format_time(*after.from));
  }
}

Policy Policy::shipped() {
  return parse_site("version = 1\neditions = [\"s1sr-15-month\", \"sec-appendix-at\"]\n",
                    "the shipped policy");
}

Policy Policy::parse_site(std::string_view text, const std::string& file, const Shelf& edition) {
  auto top = TomlTable::parse(text, file);
  std::vector<Edition> chosen;
  for (const auto* each :
       top.list("editions", [&](const std::string& name) { return &edition(name); }))
    chosen.push_back(*each);
  std::ranges::sort(chosen, {},
                    [](const Edition& each) { return each.from.value_or(Time::min()); });
  move_cut_over(top, chosen);
  auto policy = top.at("editions", [&] { return Policy(std::move(chosen)); });
  if (top.has("recorded_late")) {
    policy.recorded_late_ = top.parsed("recorded_late", parse_period);
    (void)top.at("recorded_late", [&] { return length(policy.recorded_late_); });
  }
  for (auto& each : top.tables("adjust")) {
    Adjustment next = read_adjustment(each, policy);
    if (std::ranges::any_of(policy.adjustments_,
                            [&](const Adjustment& other) { return overlap(other, next); }))
      each.refuse("from", "another [[adjust]] of this rule is in force then");
    policy.adjustments_.push_back(std::move(next));
  }
  top.refuse_unknown();
  policy.site_text_ = text;
  return policy;
}

Policy Policy::load(const std::filesystem::path& site_file) {
  return parse_site(read_text(site_file,
                              "It is the policy's site file; hsm-config/policy-site.toml is an "
                              "example with every key"),
                    site_file.string());
}

std::string Policy::to_document() const {
  std::string document(heading);
  add_part(document, "site", site_text_);
  for (const auto& each : editions_) add_part(document, "edition", each.file_text);
  return document;
}

Policy Policy::parse_document(std::string_view document) {
  if (!document.starts_with(heading))
    throw BadInput(
        "this is not the document of a policy that this program knows: a newer one is needed");
  std::string_view rest = document.substr(heading.size());
  const auto site = take_part(rest, "site");
  std::vector<Edition> editions;
  while (!rest.empty())
    editions.push_back(
        parse_edition(take_part(rest, "edition"), "an edition of the policy's document"));
  return parse_site(site, "the site file of the policy's document",
                    [&](const std::string& name) -> const Edition& {
                      const auto found = std::ranges::find(editions, name, &Edition::name);
                      if (found == editions.end())
                        throw BadInput("edition " + name + " is not in the document");
                      return *found;
                    });
}

const Edition& Policy::at(Time moment) const {
  return *std::ranges::find_if(
      editions_, [&](const Edition& each) { return !each.until || moment < *each.until; });
}

const Adjustment* Policy::adjustment(const Edition& edition, RuleId rule, Time start) const {
  const auto found = std::ranges::find_if(adjustments_, [&](const Adjustment& each) {
    return each.edition == edition.name && each.rule == rule && each.from <= start &&
           (!each.until || start < *each.until);
  });
  return found == adjustments_.end() ? nullptr : &*found;
}

bool Adjustment::is_same(const Adjustment& other) const {
  const auto all = [](const Adjustment& a) {
    return std::tie(a.edition, a.rule, a.within, a.due_soon, a.stated_from, a.until, a.who,
                    a.authorised_by, a.why);
  };
  return all(*this) == all(other);
}

void Policy::begin_deviations(Time recorded, const Policy* before) {
  for (auto& each : adjustments_) {
    if (!each.deviation) continue;
    const Adjustment* known = nullptr;
    if (before != nullptr)
      for (const auto& other : before->adjustments_)
        if (each.is_same(other)) known = &other;
    each.from = known != nullptr ? known->from : std::max(each.stated_from, recorded);
  }
}

std::string Policy::begins() const {
  std::string text;
  for (const auto& each : adjustments_)
    text += (text.empty() ? "" : " ") + std::to_string(each.from.time_since_epoch().count());
  return text;
}

void Policy::set_begins(std::string_view begins) {
  for (auto& each : adjustments_) {
    std::int64_t ms = 0;
    const auto [rest, error] = std::from_chars(begins.data(), begins.data() + begins.size(), ms);
    if (error != std::errc{}) return;
    each.from = Time(std::chrono::milliseconds(ms));
    begins.remove_prefix(static_cast<std::size_t>(rest - begins.data()));
    if (!begins.empty()) begins.remove_prefix(1);
  }
}

std::optional<std::chrono::milliseconds> Policy::late_by(const Moment& moment) const {
  const auto late = moment.recorded.value_or(moment.at) - moment.at;
  return late > length(recorded_late_) ? std::optional(late) : std::nullopt;
}

std::optional<std::string> refuses(Reason reason, const Edition& edition,
                                   std::string_view justification) {
  const bool justified = justification.find_first_not_of(" \t\r\n") != std::string_view::npos;
  if (reason != Reason::periodic || justified || edition.rule(RuleId::p2) != nullptr)
    return std::nullopt;
  return "the edition in force, " + edition.name + " (" + edition.title +
         "), has no periodic replacement: give a justification for the record, or the reason that "
         "this is done for";
}

std::vector<std::string> Policy::differs_from_shipped() const {
  // The day of the cut-over is the regulator's; its time of day is a project rule, which a site may
  // change.
  const auto same_day = [](const std::optional<Time>& a, const std::optional<Time>& b) {
    return a.has_value() == b.has_value() &&
           (!a || std::chrono::abs(*a - *b) < std::chrono::hours(24));
  };
  const auto is_regulators = [](const Rule* rule) {
    return rule != nullptr && rule->origin == RuleOrigin::regulator;
  };
  // The project's own numbers may differ in another release: those of its rules, and of every rule
  // the time before the deadline at which a duty is due soon.
  const auto same = [&](const Rule* x, const Rule* y) {
    if (!is_regulators(x) && !is_regulators(y)) return true;
    return x != nullptr && y != nullptr && x->origin == y->origin && x->source == y->source &&
           x->terms.has_value() == y->terms.has_value() &&
           (!x->terms ||
            (x->terms->within == y->terms->within && x->terms->roles == y->terms->roles &&
             x->terms->kinds == y->terms->kinds));
  };
  const auto has_regulators = [](const Edition& edition) {
    return std::ranges::any_of(
        edition.rules, [](const Rule& rule) { return rule.origin == RuleOrigin::regulator; });
  };
  std::vector<std::string> unlike;
  if (std::ranges::none_of(editions_, has_regulators))
    return unlike;  // a laboratory's editions, none of which has the regulator's name
  for (const auto& edition : editions_) {
    const auto* ours = find_shipped_edition(edition.name);
    const auto differs = [&](RuleId id) { return !same(edition.rule(id), ours->rule(id)); };
    if (ours == nullptr || !same_day(edition.from, ours->from) ||
        !same_day(edition.until, ours->until) ||
        std::ranges::any_of(std::array{RuleId::p1, RuleId::p2, RuleId::p3, RuleId::p4}, differs))
      unlike.push_back(edition.name);
  }
  return unlike;
}

}  // namespace smets1kms::policy
