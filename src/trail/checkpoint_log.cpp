// SPDX-License-Identifier: Apache-2.0
#include "trail/checkpoint_log.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "base/deadline.hpp"
#include "vault/audit_key.hpp"

namespace smets1kms::trail {
namespace {

using audit::Checkpoint;
using audit::Hash;
using audit::Note;

/// The complete subtrees of a tree, by level and index.
using Nodes = std::map<std::pair<unsigned, std::uint64_t>, Hash>;

/// Returns the complete subtrees that a tree ends with.
Nodes peaks_of(const audit::CompactRange& tree) {
  Nodes nodes;
  std::uint64_t at = 0;
  auto peak = tree.peaks().begin();
  for (unsigned level = 64; level-- > 0;) {
    if ((tree.size() >> level & 1) == 0) continue;
    nodes[{level, at >> level}] = *peak++;
    at += std::uint64_t{1} << level;
  }
  return nodes;
}

}  // namespace

audit::Issuer::Signer CheckpointLog::signer(const KeyId& id, const std::string& pem) const {
  const auto object =
      std::make_shared<vault::AuditKeyObject>(token_->pool(), id, token_->token_profile());
  // The call keeps the token connection, so that one that does not return keeps what it works with.
  return {audit::AuditKey::from_pem(pem),
          [object, token = token_, limit = deadline_](const Checkpoint& head) {
            const auto digest = audit::sha256(head.body());
            const auto signature = within(limit, [object, token, digest] {
              return vault::with_token([&] { return object->sign(digest); });
            });
            if (!signature)
              throw TokenUnavailable("the token did not sign the head of the audit trail within " +
                                     std::to_string(limit.count()) +
                                     " s (audit.deadline): nothing is released. Check it "
                                     "('smets1-kms doctor'), then run the command again");
            audit::RawSignature raw{};
            if (signature->size() != raw.size())
              throw TokenUnavailable("the token's ECDSA signature has " +
                                     std::to_string(signature->size()) + " bytes, not 64");
            std::ranges::copy(*signature, raw.begin());
            return raw;
          }};
}

std::optional<CheckpointLog::AnchorMismatch> CheckpointLog::open(
    std::shared_ptr<vault::TokenConnection> token, const Config& config) {
  const auto id = registry_.setting(registry::setting::audit_key),
             pem = registry_.setting(registry::setting::audit_key_pem),
             origin = registry_.setting(registry::setting::origin);
  if (!id || !pem || !origin) return std::nullopt;
  token_ = std::move(token);
  deadline_ = config.audit.deadline;
  token_interval_ = config.audit.token_anchor;
  origin_ = *origin;
  state_.signer = signer(KeyId::parse(*id), *pem);
  std::vector<audit::AuditKey> keys{state_.signer->key};
  registry_.for_each_setting(registry::setting::former_audit_keys, [&](const std::string& former) {
    keys.push_back(audit::AuditKey::from_pem(former));
  });

  const auto damaged = [](const std::string& what) {
    return StorageError(
        "the registry's audit trail contradicts itself: " + what +
        ". Nothing is done on it: 'smets1-audit verify' says where; restore it from its backup");
  };
  auto [size, peaks] = tables_.peaks();
  try {
    state_.range = audit::CompactRange(size, std::move(peaks));
    if (const auto text = tables_.last_checkpoint()) {
      newest_ = Note::parse(*text);
      state_.last = newest_->head;
      if (audit::check_signatures(*newest_, std::span(&keys.front(), 1)) != audit::Signed::yes)
        throw damaged("its last head is not signed by the audit key");
    }
  } catch (const std::invalid_argument& error) {
    throw damaged(error.what());
  }
  const bool fits = state_.last
                        ? state_.last->size == size && state_.last->root == state_.range.root() &&
                              state_.last->origin == origin_
                        : size == 0;
  if (!fits) throw damaged("its last head is not of the tree that it keeps");
  if (tables_.record_count() < size)
    throw damaged("it has fewer records than its last head covers");

  anchors_.emplace(token_, config, origin_);
  anchored_ = !newest_;
  std::uint64_t in_file = 0;
  for (const auto& [where, head] : anchors_->read(keys)) {
    if (where == "the token") {
      in_token_ = head.body();
    } else {
      anchored_ = anchored_ || head == newest_->head;
      in_file = head.size;
    }
    // A writer to the database can put a row with that head into it, but not sign a later one over
    // it.
    if (!state_.last || head.size > state_.last->size) return AnchorMismatch{where, head};
    const auto ours = tables_.checkpoint_of(head.size);
    const bool known = ours && Note::parse(*ours).head.root == head.root;
    if (!known) return AnchorMismatch{where, head};
  }
  // No head is signed before the one in front of it stands in the file: a file without that one was
  // removed or cut.
  if (const auto before = tables_.checkpoint_before_last();
      before && in_file < Note::parse(*before).head.size)
    return AnchorMismatch{anchors_->file(), std::nullopt};
  open_ = true;
  return std::nullopt;
}

std::optional<Note> CheckpointLog::sign() {
  // A successor that was named in a failed transaction is gone with it.
  const auto successor = std::exchange(successor_, std::nullopt);
  if (!is_open()) return std::nullopt;
  const auto leaves = tables_.leaves_from(state_.range.size());
  if (leaves.empty()) return std::nullopt;
  signed_ = state_;
  std::vector<audit::Issuer::Signer> signers{*state_.signer};
  if (successor) {
    signers.push_back(*successor);
    signed_.signer = successor;
  }
  auto nodes = peaks_of(state_.range);
  for (const auto& leaf : leaves) {
    nodes[{0, signed_.range.size()}] = leaf;
    signed_.range.append(leaf, [&](unsigned level, std::uint64_t index, const Hash& hash) {
      nodes[{level, index}] = hash;
      if (level == audit::node_level) tables_.add_node(index, hash);
    });
  }
  const auto size = signed_.range.size();
  audit::Proof proof;
  if (state_.last && state_.last->size < size)
    proof =
        audit::prove_consistency(state_.last->size, size, [&](unsigned level, std::uint64_t index) {
          return nodes.at({level, index});
        });
  audit::Issuer issuer(origin_, std::move(signers), state_.last);
  auto note = issuer.issue(size, signed_.range.root(), proof);
  signed_.last = issuer.last();
  tables_.set_peaks(size, signed_.range.peaks());
  tables_.add_checkpoint(size, note.format());
  return note;
}

void CheckpointLog::publish(const Note& note) {
  state_ = signed_;
  newest_ = note;
  anchored_ = false;
  retry_anchor();
  const auto now = std::chrono::steady_clock::now();
  if (token_tried_ && now - *token_tried_ < token_interval_) return;
  token_tried_ = now;
  (void)anchor_in_token();  // the file has it; doctor says that the token has not
}

void CheckpointLog::retry_anchor() {
  if (!open_ || anchored_) return;
  anchors_->anchor(*newest_);
  anchored_ = true;
}

void CheckpointLog::rotate_signing_key(const KeyId& id, const std::string& pem) {
  successor_ = signer(id, pem);
}

bool CheckpointLog::anchor_in_token() {
  if (!open_ || is_in_token()) return true;
  // The call keeps the anchors, so that one that does not return keeps what it works with.
  const auto kept = within(
      deadline_, [anchors = *anchors_, note = *newest_] { return anchors.anchor_in_token(note); });
  if (!kept.value_or(false)) return false;
  in_token_ = newest_->head.body();
  return true;
}

}  // namespace smets1kms::trail
