// SPDX-License-Identifier: Apache-2.0
#pragma once
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
  [[nodiscard]] audit::Issuer::Signer signer(const KeyId& id, const std::string& pem) const;

  registry::Registry& registry_;
  registry::LogTables tables_;
  std::shared_ptr<vault::TokenConnection> token_;
  std::chrono::seconds deadline_{}, token_interval_{};
  std::optional<std::chrono::steady_clock::time_point> token_tried_;
  std::optional<Anchors> anchors_;
  bool open_ = false;
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
