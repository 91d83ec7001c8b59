// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <vector>

#include "audit/checkpoint.hpp"
#include "vault/token_connection.hpp"

namespace smets1kms::trail {

/// A head that was found outside of the database.
struct AnchoredHead {
  std::string where;
  audit::Checkpoint head;
};

/// Where the last head is kept beside the database, so that an older copy of it, or one that went
/// another way, is noticed: an append-only file, a command of the site's (syslog, another machine),
/// the token itself.
class Anchors {
 public:
  Anchors(std::shared_ptr<vault::TokenConnection> token, const Config& config,
          const std::string& origin);
  /// The largest head of each place that one of the keys has signed. Throws TokenUnavailable,
  /// StorageError.
  [[nodiscard]] std::vector<AnchoredHead> read(const std::vector<audit::AuditKey>& keys) const;
  [[nodiscard]] std::string file() const { return config_.anchor_file.string(); }
  /// The file and the command: of every head. Throws StorageError: the head is not kept, or not in
  /// time.
  void anchor(const audit::Note& note) const;
  /// The token: at the end of a session of work, and now and then (it costs a token object). False:
  /// the token has no room for it, or does not take such an object.
  [[nodiscard]] bool anchor_in_token(const audit::Note& note) const;

 private:
  std::shared_ptr<vault::TokenConnection> token_;
  Config::Audit config_;
  std::string origin_;
};

}  // namespace smets1kms::trail
