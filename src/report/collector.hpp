// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <map>

#include "report/event.hpp"

namespace smets1kms::report {

/// Count of items that may be many, with the first of them.
template <class Item>
struct Capped {
  static constexpr std::size_t most = 200;
  std::uint64_t count = 0;
  std::vector<Item> first{};
  void add(Item item) {
    ++count;
    if (first.size() < most) first.push_back(std::move(item));
  }
};

/// A record by itself, as far as a page shows it.
struct RecordNote {
  std::uint64_t index;
  Time time;
  std::string device, text;
};

struct Document {
  std::uint64_t index;
  Time time;  ///< of the record that names it
  std::string sha256, name;
};

/// Keys of one role that a handover target was handed.
struct HandedKeys {
  std::uint64_t count = 0, received = 0;
  std::map<KeyState, std::uint64_t> states{};
};

/// A handover target, by one of its certificates.
struct HandoverTarget {
  audit::Admission admission;
  std::string certificate;  ///< its SHA-256
  std::uint64_t record;     ///< the one that admits it
  Time admitted;
  std::string who;  ///< who asked, who authorised, under which reference
  std::string status = "admitted";
  std::optional<Time> until{};  ///< moment at which it was renewed, retired or compromised
  std::uint64_t until_record = UINT64_MAX;
  bool is_former = false;  ///< its party was retired or compromised, by whatever certificate
  std::map<KeyRole, HandedKeys> keys{};
  /// Returns "head-end/2".
  [[nodiscard]] std::string name() const {
    return admission.name + "/" + std::to_string(admission.generation);
  }
};

/// Times between which the clock was set, or nothing was recorded for longer than promised.
struct DoubtfulTime {
  Time from, to;
};

/// Facts of the trail about itself and the token, not about one device.
struct LogFacts {
  std::uint64_t records = 0;
  /// Records passed over, which tell of what came after the report's moment.
  std::uint64_t later = 0;
  std::optional<Time> first, last;  ///< times of the first and the last record
  std::vector<Document> documents;
  std::vector<DoubtfulTime> doubtful;  ///< the last thousand
  /// Records by the token they name; the first twenty.
  std::map<std::string, std::uint64_t> tokens;
  std::uint64_t unprotected = 0;  ///< records made with a token that was taken for testing only
  std::map<std::string, Capped<RecordNote>>
      refusals;  ///< by the rule's word; the first hundred words
  Capped<HandoverTarget> targets;
  Capped<RecordNote> justified, token_compromises, gaps, audit_keys;
};

/// Collector that takes a trail apart while it is verified: each device's events to be sorted, the
/// rest as it is.
class Collector {
 public:
  /// Makes a collector. `until`: later records are passed over.
  Collector(Events& events, std::optional<Time> until) : events_(events), until_(until) {}
  /// Adds a record. Throws audit::VerificationFailed for a time that can't be.
  void add(const audit::RecordView& record, const audit::RecordSummary& step);
  [[nodiscard]] const LogFacts& facts() const { return facts_; }
  /// Returns the number of devices with a first record.
  [[nodiscard]] std::uint64_t devices() const { return devices_; }

 private:
  void add_log(const audit::RecordView& record, std::uint64_t index, Time time);
  void add_document(std::string_view detail, std::uint64_t index, Time time);
  void check_clock(const audit::RecordView& record, Time time);
  void count_token(std::string_view token);
  void add_target(const audit::RecordView& record, std::uint64_t index, Time when);
  [[nodiscard]] std::uint16_t target_number(std::string_view target) const;
  Events& events_;
  std::optional<Time> until_;
  LogFacts facts_;
  std::uint64_t devices_ = 0;
  std::chrono::seconds heartbeat_{0};
  std::string token_;
  std::uint64_t* token_count_ = nullptr;
};

}  // namespace smets1kms::report
