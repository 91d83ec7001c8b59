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

void CheckpointLog::check_store(const KeyId& audit_key, const std::string& pem,
                                const std::string& store) {
  const auto own =
      vault::with_token([&] { return vault::audit_public_key(token_->pool(), audit_key); });
  std::string others;
  if (!own)
    for (const auto& anchor :
         vault::with_token([&] { return vault::read_anchors(token_->pool()); }))
      if (anchor.store != store) others += (others.empty() ? "" : ", ") + anchor.store;
  if (!own || audit::AuditKey::from_pem(*own).pem() != audit::AuditKey::from_pem(pem).pem())
    throw StorageError("the registry (store " + store + ") and the token " +
                       token_->pool().token().label +
                       " do not belong together: the token has no "
                       "audit key " +
                       audit_key.to_string() + (own ? " with this public half" : "") +
                       (others.empty() ? "" : ", and the signed head of the store " + others) +
                       ". Nothing is done; name the token of this registry, or its registry");
  const auto first = registry_.record(0);
  if (first && audit::Record::decode(first->bytes).text(audit::Field::detail) != "store " + store)
    throw StorageError("the registry says that it is the store " + store +
                       ", and the first record of its audit trail names another: it was changed "
                       "behind our back. Restore it from its backup");
}

void CheckpointLog::check_tail(std::uint64_t size) {
  namespace op = audit::op;
  static constexpr std::string_view ceremony[] = {op::import_key_generate,
                                                  op::enrolment_key_generate, op::target_admit,
                                                  op::target_destroy, op::clock_step};
  for (auto page = registry_.records(size, 1024); !page.empty();
       page = registry_.records(page.back().index + 1, 1024))
    for (const auto& entry : page) {
      const auto record = audit::RecordView::parse(entry.bytes);
      const auto operation = record.text(audit::Field::op),
                 result = record.text(audit::Field::result);
      const bool fits = std::ranges::find(ceremony, operation) != std::end(ceremony) ||
                        result == "refused" || result == "nothing-new" ||
                        (operation == op::key_enrol && result == "failed");
      if (!fits || audit::to_hex(audit::leaf_hash(entry.bytes)) != entry.leaf_hash)
        throw StorageError(
            "record " + std::to_string(entry.index) + " of the audit trail (" +
            std::string(operation) + ") stands behind its last signed head, of " +
            std::to_string(size) +
            " records: this product does not write it so. Nothing is done on it; restore the "
            "registry from its backup and find out who can write to it");
    }
}

std::optional<CheckpointLog::AnchorMismatch> CheckpointLog::open(
    std::shared_ptr<vault::TokenConnection> token, const Config& config) {
  const auto id = registry_.setting(registry::setting::audit_key),
             pem = registry_.setting(registry::setting::audit_key_pem),
             origin = registry_.setting(registry::setting::origin);
  if (!id || !pem || !origin) return std::nullopt;
  const auto store = registry_.setting(registry::setting::store).value_or("");
  token_ = std::move(token);
  check_store(KeyId::parse(*id), *pem, store);
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
      if (audit::check_signatures(*newest_, std::span(&state_.signer->key, 1)) !=
          audit::Signed::yes)
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
  records_ = tables_.record_count();
  if (records_ < size) throw damaged("it has fewer records than its last head covers");
  covered_ = size;
  if (state_.last) check_tail(size);

  anchors_.emplace(token_, config, origin_, store);
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

void CheckpointLog::check_covered() {
  if (open_ && tables_.record_count() != records_)
    throw StorageError(
        "records stand in the audit trail that this process did not write: somebody else writes to "
        "the registry. Nothing more is done on it; 'smets1-audit verify' says which they are");
}

void CheckpointLog::for_each_proved(std::uint64_t from, const Visit& visit) {
  constexpr std::size_t at_once = 1024;
  const auto size = state_.range.size();
  try {
    auto range = audit::StoredTree(tables_.tree(size)).range(std::min(from, size));
    while (range.size() < size) {
      const auto page = registry_.records(
          range.size(),
          static_cast<std::size_t>(std::min<std::uint64_t>(at_once, size - range.size())));
      if (page.empty()) break;
      for (const auto& entry : page) {
        visit(entry, audit::RecordView::parse(entry.bytes));
        range.append(audit::leaf_hash(entry.bytes));
      }
    }
    if (range.size() == size && range.root() == state_.range.root()) return;
  } catch (const std::logic_error&) {  // no record, or no tree of that size
  }
  throw StorageError("the records of the audit trail from " + std::to_string(from) +
                     " on are not those that its last head was signed over: nothing that they ask "
                     "for is done. 'smets1-audit verify' says where; restore the registry from its "
                     "backup");
}

std::function<bool(std::uint64_t, const Hash&)> CheckpointLog::prover() {
  const auto size = state_.range.size();
  return [size, root = state_.range.root(),
          tree = std::make_shared<audit::StoredTree>(tables_.tree(size))](std::uint64_t index,
                                                                          const Hash& leaf) {
    try {
      return index >= size ||
             audit::is_included(leaf, index, size, tree->inclusion(index, size), root);
    } catch (const std::logic_error&) {  // a leaf is missing
      return false;
    }
  };
}

void CheckpointLog::publish(const Note& note) {
  state_ = signed_;
  records_ = state_.range.size();
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
