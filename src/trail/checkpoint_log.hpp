// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <optional>

#include "audit/checkpoint.hpp"
#include "audit/log.hpp"
#include "registry/log_tables.hpp"
#include "trail/anchors.hpp"

namespace smets1kms::trail {

/// Signed heads of the log. A record is under a signature of the token before any result of it is
/// released: `sign` runs inside the transaction that records it, `publish` once that is durable. A
/// head that was signed for a transaction which then failed is published nowhere, and the next one
/// is signed as if it had not been.
class CheckpointLog {
 public:
  explicit CheckpointLog(registry::Registry& registry)
      : registry_(registry), tables_(registry.database()) {}

  /// Mismatch between the registry and what is anchored elsewhere.
  struct AnchorMismatch {
    std::string where;
    /// An anchored head that this registry's log does not have; nullopt: the file of heads does not
    /// have this log's.
    std::optional<audit::Checkpoint> lost;
  };
  /// Reads keys and last head. Without an audit key nothing is signed (before 'init' has ended).
  /// Returns a mismatch of registry and anchors: then nothing is signed or anchored either, until
  /// `accept_mismatch`. Throws StorageError where the registry's own log contradicts itself.
  [[nodiscard]] std::optional<AnchorMismatch> open(std::shared_ptr<vault::TokenConnection> token,
                                                   const Config& config);
  void accept_mismatch(bool accepted = true) { open_ = accepted; }
  [[nodiscard]] bool is_open() const { return open_; }
  /// Throws StorageError where another than this process has written records since: they would come
  /// under its next head.
  void check_covered();
  /// Returns the number of records under the last head as it was on opening. Those behind it are an
  /// officer's, of his ceremony, whom the user's key could not sign.
  [[nodiscard]] std::uint64_t covered_on_opening() const { return covered_; }
  /// Visits the records from this one on, and proves them: hashed anew, they must lead to the last
  /// head. Throws StorageError where they do not; what was visited is not to be believed then.
  using Visit = std::function<void(const TrailEntry&, const audit::RecordView&)>;
  void for_each_proved(std::uint64_t from, const Visit& visit);
  /// Returns a function that is true for a record under the last head, or newer than it: by the
  /// path from its leaf to the root. Valid in the transaction under way.
  [[nodiscard]] std::function<bool(std::uint64_t, const audit::Hash&)> prover();
  /// Returns the number of records under the last head.
  [[nodiscard]] std::uint64_t size() const { return state_.range.size(); }

  /// Signs a head over all records there are, inside the transaction that wrote the last of them.
  /// Nullopt: nothing is new, or the log is not open. Throws TokenUnavailable, also where the token
  /// does not sign in time.
  [[nodiscard]] std::optional<audit::Note> sign();
  /// Anchors a signed head after the commit, in the token at most every
  /// Config::Audit::token_anchor. Throws StorageError.
  void publish(const audit::Note& note);
  /// Anchors a head again that could not be anchored, before anything else is done. Throws
  /// StorageError.
  void retry_anchor();
  /// Names the next audit key, inside a transaction: its head is signed by both keys, and later
  /// ones by the new one alone.
  void rotate_signing_key(const KeyId& id, const std::string& pem);
  /// Returns the signer that the next head brings, for a caller that undoes a part of a
  /// transaction.
  [[nodiscard]] const auto& new_signer() const { return successor_; }
  void set_new_signer(std::optional<audit::Issuer::Signer> signer) {
    successor_ = std::move(signer);
  }
  /// Puts the last head into the token, where it does not stand there yet. False: the token does
  /// not take it.
  bool anchor_in_token();
  /// True if the token has the last head.
  [[nodiscard]] bool is_in_token() const { return !newest_ || newest_->head.body() == in_token_; }

 private:
  /// Throws StorageError where the registry, its log and the token are not of one store: the audit
  /// key that the registry names is not in the token, or the log's first record names another
  /// store.
  void check_store(const KeyId& audit_key, const std::string& pem, const std::string& store);
  /// Throws StorageError where records behind the last head are not those of an officer's ceremony.
  void check_tail(std::uint64_t size);
  [[nodiscard]] audit::Issuer::Signer signer(const KeyId& id, const std::string& pem) const;

  registry::Registry& registry_;
  registry::LogTables tables_;
  std::shared_ptr<vault::TokenConnection> token_;
  std::chrono::seconds deadline_{}, token_interval_{};
  std::optional<std::chrono::steady_clock::time_point> token_tried_;
  std::optional<Anchors> anchors_;
  bool open_ = false;
  std::uint64_t records_ = 0;  ///< as this process has left them
  std::uint64_t covered_ = 0;
  std::optional<audit::Issuer::Signer>
      successor_;  ///< set from `rotate_signing_key` to the next head
  /// State as of the last head published, and of the one that waits for its commit.
  struct State {
    audit::CompactRange range;
    std::optional<audit::Checkpoint> last;
    std::optional<audit::Issuer::Signer> signer;
  };
  State state_, signed_;
  std::optional<audit::Note> newest_;
  std::string origin_, in_token_;
  bool anchored_ = true;  ///< newest_ stands in the file of heads and was given to the command
};

}  // namespace smets1kms::trail
