// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <vector>

#include "audit/checkpoint.hpp"
#include "vault/audit_key.hpp"
#include "vault/token_connection.hpp"

namespace smets1kms::trail {

/// A head that was found outside of the database.
struct AnchoredHead {
  std::string where;
  audit::Checkpoint head;
};

/// Places beside the database that keep the last head, so that an older copy of it, or one that
/// went another way, is noticed: an append-only file, a command of the site's (syslog, another
/// machine), the token itself.
class Anchors {
 public:
  Anchors(std::shared_ptr<vault::TokenConnection> token, const Config& config,
          const std::string& origin, const std::string& store);
  /// Returns the largest head of each place that one of the keys has signed. Throws
  /// TokenUnavailable, StorageError; also where the token's is of another store.
  [[nodiscard]] std::vector<AnchoredHead> read(const std::vector<audit::AuditKey>& keys) const;
  [[nodiscard]] std::string file() const { return config_.anchor_file.string(); }
  /// Anchors a head in the file and by the command; called for every head. Throws StorageError: the
  /// head is not kept, or not in time.
  void anchor(const audit::Note& note) const;
  /// Anchors a head in the token, at the end of a session of work, and now and then (it makes an
  /// object and destroys one). False: the token has no room for it, or does not take such an
  /// object.
  [[nodiscard]] bool anchor_in_token(const audit::Note& note) const;

 private:
  std::shared_ptr<vault::TokenConnection> token_;
  Config::Audit config_;
  std::string origin_, store_;
  std::shared_ptr<vault::AnchorObject> object_;
};

}  // namespace smets1kms::trail
