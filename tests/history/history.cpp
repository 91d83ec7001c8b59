// SPDX-License-Identifier: Apache-2.0
#include "history/history.hpp"

#include <algorithm>
#include <fstream>
#include <stdexcept>

namespace test {

using namespace smets1kms;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t first_device =
    0x00DB200000000001;  // apart from those of the demo and of other tests

}  // namespace

History::History(Config config, std::string officer_pin, std::filesystem::path directory, Time end,
                 Sign sign)
    : config_(std::move(config)),
      officer_pin_(std::move(officer_pin)),
      directory_(std::move(directory)),
      end_(end),
      now_(parse_time("2020-01-06T09:00:00Z")),
      sign_(std::move(sign)) {}

Callbacks History::callbacks() {
  Callbacks result;
  result.clock = [this] { return now_; };
  return result;
}

Authority History::authority() const {
  return {.requested_by = "s1sp:ops-1",
          .authorised_by = "dco:ops-7",
          .reference = "HIST-" + format_time(now_).substr(0, 10)};
}

void History::open() {
  if (!kms_) kms_.emplace(KeyManager::open(config_, callbacks()));
}

void History::add(const std::string& story, const std::string& kind, const std::string& supports,
                  const std::string& commissioned_at, const std::string& imported_at) {
  names_.push_back(story);
  const auto model = std::ranges::find_if(config_.models, [](const auto& each) {
    return each.second.activation == Activation::immediate;
  });
  if (model == config_.models.end())
    throw std::runtime_error("the configuration has no model that begins to use a new key at once");
  lives_[story].order = {.model = model->first,
                         .supports = supports,
                         .kind = kind,
                         .commissioned_at = commissioned_at};
  arrivals_[imported_at.empty() ? parse_time(commissioned_at) : parse_time(imported_at)].push_back(
      story);
}

void History::rotate(const std::string& story, Time when, Reason reason, Time answered,
                     std::vector<KeyRole> roles, const std::string& justification) {
  at(when, [=, this] {
    open();
    auto& life = lives_.at(story);
    const auto rotation = kms_->rotate({.device = life.meter->id(),
                                        .roles = roles,
                                        .reason = reason,
                                        .authority = authority(),
                                        .justification = justification});
    life.open = rotation.transfers();
  });
  at(answered, [=, this] { answer(story, Answer::takes); });
}

void History::answer(const std::string& story, Answer how) {
  open();
  auto& life = lives_.at(story);
  for (const auto& transfer : life.open) {
    const auto answered = life.meter->receive(transfer.action_request());
    (void)kms_->record_reply(transfer,
                             how == Answer::takes ? std::optional(answered) : std::nullopt);
  }
  life.open.clear();
}

void History::change(const std::string& story, DeviceChange to, Time when) {
  at(when + 2h, [=, this] {  // the field tells it later
    open();
    kms_->change_device(device(story), to, when, authority());
  });
}

void History::suspect(const std::string& story, KeyRole role, std::uint32_t generation, Time when) {
  at(when, [=, this] {
    open();
    (void)kms_->compromise({.device = device(story), .role = role, .generation = generation},
                           "a laptop of the field force is missing", authority());
  });
}

void History::import(const std::vector<std::string>& stories, bool another_kek) {
  const auto file = directory_ / ("history-" + format_time(now_).substr(0, 10) + ".csv");
  std::ofstream out(file);
  out << Manufacturer::header;
  for (const auto& story : stories) {
    auto& life = lives_.at(story);
    if (another_kek) {
      life.meter->take_kek(random_bytes(16));
      out << manufacturer_->line(life.order, *life.meter);
    } else {
      auto [line, meter] = manufacturer_->make(life.order);
      out << line;
      life.meter = std::move(meter);
    }
  }
  out.close();
  kms_.reset();
  const auto result = Enrolment(config_, authority(), officer_pin_, callbacks())
                          .import_fleet({.csv = file,
                                         .signature = sign_ ? sign_(file) : std::filesystem::path(),
                                         .transport_keys = {manufacturer_->transport_key()}});
  if ((another_kek ? result.replaced : result.imported) != stories.size())
    throw std::runtime_error(file.string() + ": not every KEK was imported");
}

void History::live(const std::function<void(const std::string&)>& tell) {
  manufacturer_.emplace(Enrolment(config_, authority(), officer_pin_, callbacks()).make_keys(),
                        first_device);
  write_stories();
  for (const auto& [when, stories] : arrivals_)
    plan_.emplace_hint(plan_.lower_bound(when), when,
                       [this, &names = stories] { import(names, false); });
  std::string year;
  for (const auto& [when, what] : plan_) {
    if (when > end_)
      throw std::runtime_error("a story goes on behind its end, at " + format_time(when));
    for (; now_ + config_.audit.heartbeat < when; now_ += config_.audit.heartbeat) {
      open();
      (void)kms_->checkpoint();
    }
    now_ = when;
    what();
    if (tell && year != format_time(when).substr(0, 4)) tell(year = format_time(when).substr(0, 4));
  }
  now_ = end_;
  open();
  (void)kms_->checkpoint();
  kms_.reset();
}

std::string History::operators_list() const {
  std::string list = "device_id,kind,commissioned_at\n";
  for (const auto& story : names_)
    list += device(story).to_string() + "," + lives_.at(story).order.kind + "," +
            lives_.at(story).order.commissioned_at + "\n";
  return list;
}

}  // namespace test
