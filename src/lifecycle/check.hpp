// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <set>

#include "audit/external_sort.hpp"
#include "audit/verify.hpp"
#include "registry/columns.hpp"
#include "smets1kms/check.hpp"
#include "vault/key_name.hpp"
#include "vault/token_connection.hpp"

/// The parts of a check: each compares some tables with the log.
namespace smets1kms::lifecycle {

using audit::Digest;

/// Collector of contradictions: all are counted, the first thousand kept.
class Contradictions {
 public:
  explicit Contradictions(CheckResult& result) : result_(result) {}
  void add(std::string what, std::string finding, std::optional<std::uint64_t> record = {},
           std::string remedy = {});

 private:
  CheckResult& result_;
};

/// Comparison of one row, column by column, with what a record says.
class RowCheck {
 public:
  RowCheck(Contradictions& found, const sqlite::Query& row, std::string name, std::uint64_t record)
      : found_(found), row_(row), name_(std::move(name)), record_(record) {}
  /// Names the record for the columns that follow.
  RowCheck& by(std::uint64_t record) {
    record_ = record;
    return *this;
  }
  /// Compares a number; nullopt: it has to be NULL.
  void number(int column, std::optional<std::int64_t> wanted) const;
  /// Compares an enumeration, which the finding names in words.
  template <class Enum>
  void word(int column, Enum wanted) const {
    if (is_number(column, registry::column(wanted))) return;
    const auto value = row_.integer(column);
    const bool known = value >= 0 && value <= registry::column(registry::last(Enum{}));
    fail(column, known ? std::string(to_string(static_cast<Enum>(value))) : show(column),
         std::string(to_string(wanted)));
  }
  /// Compares a blob of 16 bytes; nullopt: it has to be NULL.
  void id(int column, const std::optional<Digest>& wanted) const;
  /// Compares the digest of a blob or text; nullopt: it has to be NULL.
  void digest(int column, const std::optional<Digest>& wanted) const;
  [[nodiscard]] Digest digest_of(int column) const;
  void fail(int column, const std::string& is, const std::string& wanted) const;
  void fail(const std::string& finding) const { found_.add(name_, finding, record_); }

 private:
  [[nodiscard]] bool is_number(int column, std::int64_t wanted) const;
  [[nodiscard]] std::string show(int column) const;
  Contradictions& found_;
  const sqlite::Query& row_;
  std::string name_;
  std::uint64_t record_;
};

/// Rows of a table in the order of their devices, as unsigned numbers. `sql` selects the device
/// first, "WHERE device BETWEEN ? AND ? ORDER BY device, …".
class DeviceRows {
 public:
  DeviceRows(sqlite::Database& database, const char* sql, const char* table);
  /// Passes on to the rows of a device, and reports those of others that stand before. Then
  /// `row` is the device's first, as long as `is_of` is true.
  void seek(std::uint64_t device, Contradictions& found);
  [[nodiscard]] bool is_of(std::uint64_t device) const { return has_row_ && device_ == device; }
  [[nodiscard]] const sqlite::Query& row() const { return *row_; }
  void next();
  /// Reports all rows that are left.
  void finish(Contradictions& found);

 private:
  void read(std::int64_t from, std::int64_t to);
  sqlite::Database& database_;
  const char* sql_;
  const char* table_;
  std::optional<sqlite::Query> row_;
  bool has_row_ = false, is_second_half_ = false;
  std::uint64_t device_ = 0;
};

/// Facts of the log that no device has, as its records are read.
struct LogFacts {
  /// A key of the token's own.
  struct OwnKey {
    std::string operation, id, detail, public_key;  ///< of its outcome
    std::uint64_t record;
    bool is_destroyed = false;
  };
  std::vector<OwnKey> keys;  ///< in the order of their making
  struct Target {
    std::uint64_t record;
    std::int64_t time;
    TargetStatus status = TargetStatus::admitted;
  };
  std::map<std::string, Target, std::less<>> targets;         ///< by label
  std::map<std::string, std::string, std::less<>> documents;  ///< by SHA-256: what each is
  /// Policies by their SHA-256, with the time of their record; the last is in force.
  std::vector<std::pair<std::string, Time>> policies;
  std::string store;
  std::uint64_t last_map = 0, gaps = 0;
  std::map<Digest, std::uint64_t> open_operations;  ///< an intent of each that has no outcome
  std::set<Digest> conflicts;                       ///< left open for a person to decide
  /// Intents without an outcome, of the token's own keys, by the operation and the key.
  std::map<std::pair<Digest, Digest>, std::uint64_t> open;
  void add(const audit::RecordView& record, const audit::RecordSummary& summary);
  /// Returns the last key that an operation made; with `detail`, of that purpose.
  [[nodiscard]] const OwnKey* last(std::string_view operation, std::string_view detail = {}) const;
};

/// Returns "key guek 1 of 00-DB-…".
[[nodiscard]] inline std::string named(std::optional<KeyRole> role, std::uint32_t generation,
                                       std::uint64_t device) {
  return "key " + std::string(audit::role_name(role)) + " " + std::to_string(generation) + " of " +
         DeviceId::from_number(device).to_string();
}
[[nodiscard]] constexpr bool is_gone(KeyState state) {
  return state == KeyState::destroyed || state == KeyState::destroyed_compromised;
}
/// True for a record that says something of a key of a device.
[[nodiscard]] inline bool is_of_key(const audit::RecordSummary& record) {
  return !record.is_claim && record.has_key && !audit::record_type_of(record).operation.empty();
}
/// What the rows of a key have beside its replayed state.
struct KeyFacts {
  Digest operation{}, content{}, blob{};
  std::uint32_t transfer = 0;
  std::uint64_t made = 0, blob_record = 0;
  std::optional<std::int64_t> created, in_doubt, confirmed, not_held, compromised;
};

/// Check of the tables that have rows for devices, beside the replay.
class DeviceTables {
 public:
  DeviceTables(sqlite::Database& database, CheckResult& result, Contradictions& found,
               LogFacts& facts);
  void add(const audit::DeviceReplay& replay, std::span<const audit::RecordSummary> records);
  /// Reports what is left in the tables behind the last device.
  void finish();

 private:
  [[nodiscard]] KeyFacts facts_of(const audit::DeviceReplay::Key& key,
                                  std::span<const audit::RecordSummary> records) const;
  void check_device(std::uint64_t device, std::span<const audit::RecordSummary> records);
  void check_keys(const audit::DeviceReplay& replay, std::uint64_t device,
                  std::span<const audit::RecordSummary> records);
  void check_key(const audit::DeviceReplay::Key& key, const KeyFacts& facts);
  void check_handovers(const audit::DeviceReplay& replay, std::uint64_t device,
                       std::span<const audit::RecordSummary> records);
  void check_operation_keys(std::uint64_t device, std::span<const audit::RecordSummary> records);

  struct ImportedKek {
    Digest sha256;
    std::uint64_t device, record;  ///< record: that of the log; UINT64_MAX: a row
    friend bool operator<(const ImportedKek& a, const ImportedKek& b) {
      return std::tie(a.sha256, a.device, a.record) < std::tie(b.sha256, b.device, b.record);
    }
  };
  sqlite::Database& database_;
  CheckResult& result_;
  Contradictions& found_;
  LogFacts& facts_;
  DeviceRows devices_, keys_, events_, handovers_, operation_keys_;
  audit::ExternalSort<ImportedKek, (std::size_t{4} << 20)> imported_;
};

/// Compares rows of operations with the records that they name. `after` the log was read.
void check_operations(sqlite::Database& database, Contradictions& found, const LogFacts& facts);
/// Compares settings, targets, and the tables of the log itself.
void check_settings(registry::Registry& registry, Contradictions& found, const LogFacts& facts);
void check_targets(registry::Registry& registry, Contradictions& found, const LogFacts& facts);
void check_log_tables(registry::Registry& registry, Contradictions& found,
                      const audit::Report& report);
/// Compares the schema with the one that is made for a new registry, and has SQLite check the file.
void check_file(registry::Registry& registry, Contradictions& found);
/// Compares the objects of the token with the registry's rows, both ways.
void check_token_objects(registry::Registry& registry, vault::TokenConnection& token,
                         CheckResult& result, Contradictions& found);

/// Does the same for the token's own keys, and for the keys of up to `devices` devices spread over
/// the registry.
void check_token_sample(registry::Registry& registry, vault::TokenConnection& token,
                        std::size_t devices, CheckResult& result, Contradictions& found);

/// Reader of single records, by their index.
class RecordReader {
 public:
  explicit RecordReader(sqlite::Database& database) : database_(database) {}
  /// Returns a record, valid until the next call; one without fields where it is not there or
  /// can't be read.
  const audit::RecordView& at(std::int64_t index);

 private:
  sqlite::Database& database_;
  std::string bytes_;
  audit::RecordView record_;
};

}  // namespace smets1kms::lifecycle
