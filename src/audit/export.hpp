// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <memory>
#include <set>

#include "audit/export_format.hpp"
#include "audit/line_file.hpp"
#include "audit/log.hpp"

// clang-format off
/// The export: a directory that only ever grows. No byte that was written to it is changed later;
/// files get longer or more. src/audit/export.md describes it for readers with other tools.
///
///     manifest                 contents, and how far they are valid: the last thing written
///     records/00000000.jsonl   records, one a line, 4096 a file; the bytes that are hashed are the
///                              line without newline
///     records/00000000.index   for each record 48 bytes: leaf hash, end of its line in the file
///                              and index of the device's previous record plus 1 (both 8 bytes,
///                              the highest first)
///     nodes                    roots of the complete subtrees of 256 leaves, 32 bytes each
///     checkpoints              all checkpoints in the order of their making
///     maps/000000000001234     a device-head map of so many records, a line a device; beside it,
///                              with .nodes behind the name, what nodes is for the records
///     keys/5a7a78cc.pem        public audit keys; trusted only where the log introduces them under
///                              a key that the assessor has
///     documents/<sha256>       policy, token identity and the like, named by their content
///     timestamps/<sha256>.tsr  time stamps on heads (RFC 3161), named by their content
// clang-format on
namespace smets1kms::audit {

inline constexpr std::uint64_t segment_length = 4096;  ///< records a file

/// The manifest of an export. Line by line: "smets1-kms audit export 1", "origin NAME", then for
/// each export its news ("key ID", "document SHA256 NAME", "map RECORDS", "timestamp 1 SHA256") and
/// "head RECORDS ROOT CHECKPOINTS HASH": CHECKPOINTS is the length of that file in bytes, HASH the
/// SHA-256 of the manifest up to and with the space before it.
struct Manifest {
  std::string origin;
  std::uint64_t records = 0, checkpoint_bytes = 0;
  Hash root{};
  std::set<std::string> keys;
  std::map<std::string, std::string> documents;  ///< name by SHA-256 in hex
  std::set<std::uint64_t> maps;
  std::set<std::string> timestamps;  ///< SHA-256 in hex
  std::string text;                  ///< the whole of it
  /// Reads a manifest. Throws VerificationFailed for anything that a writer would not have written.
  static Manifest read(const std::filesystem::path& file);
};

/// Writer that appends to an export. What it wrote counts from `finish` on: an interrupted export
/// is as it was before.
class ExportWriter {
 public:
  /// Opens an export, or begins one. Throws std::runtime_error for another log's, a damaged one,
  /// and a directory that is not empty and no export.
  ExportWriter(std::filesystem::path directory, const std::string& origin);
  /// Returns the number of records; `root` is over them, and the caller's log must have the same
  /// root at this size.
  [[nodiscard]] std::uint64_t size() const { return tree_.size(); }
  [[nodiscard]] Hash root() const { return tree_.root(); }
  /// Returns the number of checkpoints.
  [[nodiscard]] std::uint64_t checkpoints() const { return checkpoints_; }
  /// Adds the record at index size(). Throws std::invalid_argument where its bytes are not what its
  /// leaf says.
  void add(const StoredRecord& record);
  /// Adds a checkpoint over the records there are now. Throws std::invalid_argument for another
  /// size or root.
  void add(const Note& checkpoint);
  using HeadVisitor = std::function<void(const DeviceHead&)>;
  /// Adds a map of the first `records` records: `each` visits its lines, sorted by device; none is
  /// kept in memory. Returns what the log has to state. A map that is there already is not written
  /// again.
  MapStatement add_map(std::uint64_t records, const std::function<void(const HeadVisitor&)>& each);
  void add(const AuditKey& key);
  /// Adds a document. `name`: 1 to 40 of [a-z0-9.-].
  void add_document(const std::string& name, const std::string& content);
  /// Adds a time stamp (a TimeStampResp, DER) on one of the heads.
  void add_timestamp(const std::string& response);
  /// Completes the export: brings everything to the disk, then writes the manifest.
  void finish();

 private:
  void open_segment();
  void recover();
  [[noreturn]] void no_room() const;
  void append(const Stream& file, std::string_view bytes) const;
  /// Writes the complete subtrees of 256 leaves to a file, if it is open.
  [[nodiscard]] NodeSink nodes_to(const Stream& file) const;
  [[nodiscard]] Stream append_to(const std::string& name) const;
  [[nodiscard]] Stream create(const std::string& name) const;
  void write_whole(const std::string& name, const std::string& content) const;
  void sync(const Stream& file) const;

  std::filesystem::path directory_;
  std::string news_;  ///< lines for the manifest
  Manifest manifest_;
  CompactRange tree_;
  std::uint64_t checkpoints_ = 0, segment_end_ = 0;
  Stream records_, index_, nodes_, notes_;
};

/// Reader of an export, in which anything unexpected is a failure.
class ExportReader : public Log {
 public:
  explicit ExportReader(std::filesystem::path directory);
  [[nodiscard]] const Manifest& manifest() const { return manifest_; }

  [[nodiscard]] std::uint64_t size() const override { return manifest_.records; }
  [[nodiscard]] std::optional<Checkpoint> claims() const override {
    return Checkpoint{
        .origin = manifest_.origin, .size = manifest_.records, .root = manifest_.root};
  }
  std::optional<StoredRecord> next_record() override;
  [[nodiscard]] bool reads_beside() const override { return true; }
  std::optional<Note> next_checkpoint() override;
  [[nodiscard]] std::vector<std::uint64_t> maps() const override {
    return {manifest_.maps.begin(), manifest_.maps.end()};
  }
  void for_each_head(std::uint64_t map,
                     const std::function<void(const DeviceHead&)>& visit) override;
  void check_node(std::uint64_t index, const Hash& hash) override;
  void check_map_node(std::uint64_t map, std::uint64_t index, const Hash& hash) override;
  std::vector<std::string> check_rest() override;
  std::optional<std::string> document(const std::string& sha256) override;
  [[nodiscard]] std::vector<AuditKey> audit_keys() override;
  void for_each_timestamp(const std::function<void(const std::string&)>& visit) override;

  std::string record(std::uint64_t index) override;
  std::optional<std::uint64_t> previous(std::uint64_t index) override;
  TreeStore tree() override;
  std::optional<Note> last_checkpoint() override;
  std::optional<std::pair<DeviceHead, std::uint64_t>> head(std::uint64_t map,
                                                           std::uint64_t device) override;
  TreeStore map_tree(std::uint64_t map) override;

 private:
  [[nodiscard]] std::filesystem::path segment(std::uint64_t number, const char* kind) const;
  [[nodiscard]] format::Entry entry(std::uint64_t index) const;
  void open_segment(std::uint64_t number);

  std::filesystem::path directory_;
  Manifest manifest_;
  std::uint64_t at_ = 0, offset_ = 0;
  std::unique_ptr<LineFile> lines_, notes_;
  Stream index_, nodes_, map_nodes_;
};

}  // namespace smets1kms::audit
