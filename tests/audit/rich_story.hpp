// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "audit/log.hpp"
#include "audit/sample_log.hpp"

namespace test {

/// The key whose renewal rich_story tells of, and the one that it has in its place at the end.
[[nodiscard]] const TestKey& former_key();
[[nodiscard]] const TestKey& last_key();
/// Returns the records that every log begins with; `key` signs it.
[[nodiscard]] SampleLog opening_story(const TestKey& key);

/// Returns a log with every kind of record that the product writes, but those that end in
/// INCONCLUSIVE; `last_key` signs it.
[[nodiscard]] SampleLog rich_story();

/// A sealed sample log as a verifier reads it, signed in memory.
class MemoryLog : public smets1kms::audit::Log {
 public:
  struct Head {
    std::uint64_t size;
    std::vector<TestKey> keys;
  };
  MemoryLog(const SampleLog& sample, const std::vector<Head>& heads);
  /// Makes a log with one head over all of it.
  MemoryLog(const SampleLog& sample, const TestKey& key)
      : MemoryLog(sample, {{sample.entries.size(), {key}}}) {}
  std::vector<smets1kms::audit::AuditKey> keys;  ///< beside it
  [[nodiscard]] std::vector<smets1kms::audit::AuditKey> audit_keys() override { return keys; }
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  std::optional<smets1kms::audit::StoredRecord> next_record() override;
  std::optional<smets1kms::audit::Note> next_checkpoint() override;
  [[nodiscard]] std::vector<std::uint64_t> maps() const override { return maps_; }
  void for_each_head(
      std::uint64_t map,
      const std::function<void(const smets1kms::audit::DeviceHead&)>& visit) override;
  void check_node(std::uint64_t, const smets1kms::audit::Hash&) override {}
  std::optional<std::string> document(const std::string&) override { return std::nullopt; }
  std::string record(std::uint64_t index) override { return bytes_.at(index); }
  std::optional<std::uint64_t> previous(std::uint64_t index) override {
    return previous_.at(index);
  }
  smets1kms::audit::TreeStore tree() override { return {}; }
  std::optional<smets1kms::audit::Note> last_checkpoint() override { return notes_.back(); }
  std::optional<std::pair<smets1kms::audit::DeviceHead, std::uint64_t>> head(
      std::uint64_t, std::uint64_t) override {
    return std::nullopt;
  }
  smets1kms::audit::TreeStore map_tree(std::uint64_t) override { return {}; }

 private:
  const SampleLog& sample_;
  std::vector<std::string> bytes_;
  std::vector<std::optional<std::uint64_t>> previous_;
  std::vector<std::uint64_t> maps_;
  std::vector<smets1kms::audit::Note> notes_;
  std::size_t next_ = 0, next_note_ = 0;
};

}  // namespace test
