// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "audit/log.hpp"
#include "registry/sqlite.hpp"

namespace smets1kms::registry {

/// The log as a registry's database holds it: `record` and `device_head`, and where the service
/// signs its log, `checkpoint(note)` in order, `node(idx, hash)` for each 256 records, and the
/// setting "audit.device_map" with the number of records that the map stated last covers. Read in
/// one snapshot, beside a writer.
class DatabaseLog : public audit::Log {
 public:
  /// Opens a database. Throws audit::VerificationFailed where it is not a registry.
  explicit DatabaseLog(const std::filesystem::path& file);
  /// Passes over the first records and checkpoints, which the caller has checked.
  void skip(std::uint64_t records, std::uint64_t checkpoints);
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  std::optional<audit::StoredRecord> next_record() override;
  std::optional<audit::Note> next_checkpoint() override;
  [[nodiscard]] std::vector<std::uint64_t> maps() const override;
  [[nodiscard]] bool is_own_table() const override { return true; }
  void for_each_head(std::uint64_t map,
                     const std::function<void(const audit::DeviceHead&)>& visit) override;
  void check_node(std::uint64_t index, const audit::Hash& hash) override;
  std::optional<std::string> document(const std::string& sha256) override;
  [[nodiscard]] std::vector<audit::AuditKey> audit_keys() override;
  void for_each_timestamp(const std::function<void(const std::string&)>& visit) override;

  std::string record(std::uint64_t index) override;
  std::optional<std::uint64_t> previous(std::uint64_t index) override;
  audit::TreeStore tree() override;
  std::optional<audit::Note> last_checkpoint() override;
  std::optional<std::pair<audit::DeviceHead, std::uint64_t>> head(std::uint64_t map,
                                                                  std::uint64_t device) override;
  audit::TreeStore map_tree(std::uint64_t map) override;

 private:
  audit::Hash hash(const sqlite::Query& row, int column) const;
  /// Returns the row of a record, which must be there.
  sqlite::Query record_row(const char* sql, std::uint64_t index);
  sqlite::Database database_;
  std::uint64_t size_ = 0, at_ = 0, first_note_ = 0;
  bool is_signed_ = false;
  std::optional<std::uint64_t> stated_map_;
  std::optional<sqlite::Query> records_, notes_;
  std::string bytes_;
};

/// Reads a setting of a time stamp: how many records its head has, and its DER. Throws
/// audit::VerificationFailed.
[[nodiscard]] std::pair<std::uint64_t, std::string> read_timestamp(std::string_view setting);

}  // namespace smets1kms::registry
