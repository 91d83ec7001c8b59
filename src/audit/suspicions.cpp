// SPDX-License-Identifier: Apache-2.0
#include "audit/suspicions.hpp"

#include <algorithm>

namespace smets1kms::audit {

constexpr std::size_t most_suspicions = 100'000;

std::size_t Suspicions::add(const RecordSummary& summary) {
  if (all_.size() == most_suspicions)
    throw VerificationInconclusive("the log has more suspicions than this program follows, " +
                                   std::to_string(most_suspicions));
  all_.push_back({.operation = summary.operation, .index = summary.index});
  return all_.size() - 1;
}

std::size_t Suspicions::add_target(std::string_view name, std::uint32_t from, std::uint32_t to,
                                   const RecordSummary& summary) {
  const auto number = add(summary);
  while (from < to)
    by_tag_.emplace(target_tag(std::string(name) + "/" + std::to_string(++from)), number);
  return number;
}

void Suspicions::end(std::size_t number, const RecordSummary& summary) {
  auto& ended = all_.at(number);
  if (ended.operation == summary.operation) ended.due = std::min(ended.due, summary.index);
}

const Suspicions::Suspicion* Suspicions::of_token(std::uint64_t after, std::uint64_t before) const {
  const auto next = std::ranges::lower_bound(of_token_, before, {},
                                             [&](std::size_t each) { return all_[each].index; });
  if (next == of_token_.begin()) return nullptr;
  const auto& newest = all_[*std::prev(next)];
  return newest.index > after ? &newest : nullptr;
}

const Suspicions::Suspicion* Suspicions::of_targets(const HandoverTags& tags, std::uint64_t after,
                                                    std::uint64_t before) const {
  for (std::size_t i = 0; i < tags.count; ++i)
    if (const auto found = by_tag_.find(tags.targets.at(i)); found != by_tag_.end())
      if (const auto& each = all_[found->second]; each.index > after && each.index < before)
        return &each;
  return nullptr;
}

bool Suspicions::vouch_for(const RecordSummary& mark) const {
  const auto is_its = [&](std::size_t number) {
    return all_[number].operation == mark.operation && all_[number].index < mark.index;
  };
  const auto result = record_type_of(mark).result;
  if (result == "compromised-through-token") return std::ranges::any_of(of_token_, is_its);
  if (result != "compromised-through-target") return true;
  const auto found = by_tag_.find(mark.target);
  return found != by_tag_.end() && is_its(found->second);
}

}  // namespace smets1kms::audit
