// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/checkpoint.hpp"
#include "audit/merkle.hpp"

/// Stored logs as a reader meets them, in an export or a database. Nothing in them is trusted.
namespace smets1kms::audit {

struct StoredRecord {
  std::string_view bytes;
  Hash leaf{};  ///< as stored beside it
  /// Index of the same device's previous record, as stored beside it.
  std::optional<std::uint64_t> previous{};
};

/// A device's last record: a line of a device-head map, which is sorted by device and says with its
/// root that a device had these records and no others. Written as text of a fixed width, 115
/// characters: `00-DB-12-34-56-78-90-A0 0000000012 000000000001234 <leaf, 64 hex digits>`: device,
/// its last sequence number, that record's index in the log, its leaf hash. A leaf of the map's
/// tree is such a line without its newline.
struct DeviceHead {
  std::uint64_t device = 0, sequence = 0, index = 0;
  Hash leaf{};
  [[nodiscard]] std::string format() const;
  /// Reads a line. Throws std::invalid_argument for anything that `format` would not write.
  static DeviceHead parse(std::string_view line);
};

/// Content of the record that puts a map into the log, at the index that is the number of records
/// the map covers. Its detail is "records <covered> devices <lines> root <64 hex digits>".
struct MapStatement {
  std::uint64_t records = 0, devices = 0;
  Hash root{};
  [[nodiscard]] std::string format() const;
  /// Reads a detail. Throws std::invalid_argument.
  static MapStatement parse(std::string_view detail);
};

/// Level of the subtrees that are kept, of 256 leaves: with them a proof reads 256 leaf hashes and
/// no more.
inline constexpr unsigned node_level = 8;

/// Stored parts of a tree: its leaves, and the roots of its complete subtrees of 256, of which
/// `kept` are there.
struct TreeStore {
  using Read = std::function<std::vector<Hash>(std::uint64_t first, std::uint64_t count)>;
  std::uint64_t size = 0, kept = 0;
  Read leaves{}, nodes{};
};

class Log {
 public:
  virtual ~Log() = default;
  /// Returns the number of records that the log claims to have.
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Returns the head that the log claims without a signature, if it claims one.
  [[nodiscard]] virtual std::optional<Checkpoint> claims() const { return std::nullopt; }
  /// Returns the next record, in order; its bytes are valid until the next call. Nullopt behind the
  /// last. Throws VerificationFailed.
  virtual std::optional<StoredRecord> next_record() = 0;
  /// True if next_record may run in one thread while another makes the other calls.
  [[nodiscard]] virtual bool reads_beside() const { return false; }
  /// Returns the next checkpoint, in order.
  virtual std::optional<Note> next_checkpoint() = 0;
  /// Returns the sizes of the device-head maps that are there, ascending.
  [[nodiscard]] virtual std::vector<std::uint64_t> maps() const = 0;
  /// True for a database's own table of heads, whose present content no record states yet.
  [[nodiscard]] virtual bool is_own_table() const { return false; }
  virtual void for_each_head(std::uint64_t map,
                             const std::function<void(const DeviceHead&)>& visit) = 0;
  /// Throws VerificationFailed where the log keeps another hash for this complete subtree of 256
  /// leaves, also of a map's tree.
  virtual void check_node(std::uint64_t index, const Hash& hash) = 0;
  virtual void check_map_node(std::uint64_t, std::uint64_t, const Hash&) {}
  /// Checks everything else that is stored. Returns the SHA-256 of each document beside the log.
  /// Throws VerificationFailed.
  virtual std::vector<std::string> check_rest() { return {}; }
  /// Returns the document beside the log with this SHA-256 (hex), which is checked; nullopt: it is
  /// not there.
  virtual std::optional<std::string> document(const std::string& sha256) = 0;

  /// Returns the public audit keys that stand beside the log. They are trusted only where the log
  /// introduces them under a key that is trusted. Throws VerificationFailed.
  [[nodiscard]] virtual std::vector<AuditKey> audit_keys() { return {}; }

  /// Visits the time stamps on heads: each a TimeStampResp (RFC 3161), DER. Throws
  /// VerificationFailed.
  virtual void for_each_timestamp(const std::function<void(const std::string&)>&) {}

  // Access by index, for proofs.
  virtual std::string record(std::uint64_t index) = 0;
  virtual std::optional<std::uint64_t> previous(std::uint64_t index) = 0;
  virtual TreeStore tree() = 0;
  /// Returns the head that covers most.
  virtual std::optional<Note> last_checkpoint() = 0;
  /// Returns the line of a device in a map, and its place among the lines; nullopt where the map
  /// does not name it.
  virtual std::optional<std::pair<DeviceHead, std::uint64_t>> head(std::uint64_t map,
                                                                   std::uint64_t device) = 0;
  /// Returns the tree over a map's lines.
  virtual TreeStore map_tree(std::uint64_t map) = 0;
};

/// Source of proofs from stored hashes. It keeps the blocks read last, and what it has worked out
/// for subtrees of 65,536 leaves and more.
class StoredTree {
 public:
  explicit StoredTree(TreeStore store) : store_(std::move(store)) {}
  [[nodiscard]] std::uint64_t size() const { return store_.size; }
  [[nodiscard]] Hash node(unsigned level, std::uint64_t index);
  [[nodiscard]] Proof inclusion(std::uint64_t index, std::uint64_t size);
  /// Returns the tree of the first `count` leaves, at most size(), to append to; and its root.
  [[nodiscard]] CompactRange range(std::uint64_t count);
  [[nodiscard]] Hash root(std::uint64_t count) { return range(count).root(); }

 private:
  struct Block {
    std::uint64_t first = 0;
    std::vector<Hash> hashes{};
  };
  TreeStore store_;
  Block leaves_, nodes_;
  std::map<std::pair<unsigned, std::uint64_t>, Hash> known_;
};

}  // namespace smets1kms::audit
