// SPDX-License-Identifier: Apache-2.0
#include "audit/rich_story.hpp"

#include <algorithm>

namespace test {

using namespace smets1kms::audit;

const TestKey& former_key() {
  static const TestKey key;
  return key;
}
const TestKey& last_key() {
  static const TestKey key;
  return key;
}

MemoryLog::MemoryLog(const SampleLog& sample, const std::vector<Head>& heads)
    : sample_(sample), bytes_(sample.bytes()), previous_(sample.previous()) {
  CompactRange tree;
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    tree.append(leaf_hash(bytes_[i]));
    if (sample.entries[i].record.text(Field::op) == op::audit_device_map) maps_.push_back(i);
    for (const auto& [size, signs] : heads) {
      if (size != i + 1) continue;
      std::vector<Issuer::Signer> signers;
      for (const auto& key : signs) signers.push_back(key.signer());
      notes_.push_back(
          Issuer(SampleLog::origin, signers, std::nullopt).issue(size, tree.root(), {}));
    }
  }
}

std::optional<StoredRecord> MemoryLog::next_record() {
  if (next_ == bytes_.size()) return std::nullopt;
  const auto i = next_++;
  return StoredRecord{.bytes = bytes_[i], .leaf = leaf_hash(bytes_[i]), .previous = previous_[i]};
}

std::optional<Note> MemoryLog::next_checkpoint() {
  return next_note_ == notes_.size() ? std::nullopt : std::optional(notes_[next_note_++]);
}

void MemoryLog::for_each_head(std::uint64_t map,
                              const std::function<void(const DeviceHead&)>& visit) {
  std::ranges::for_each(sample_.heads(map), visit);
}

namespace {

constexpr std::uint64_t a = 0x00DB123456789000, b = a + 1, c = a + 2, d = a + 3;

/// A record of the token or the log.
Record of_token(std::string_view operation, std::string_view phase, std::string_view result,
                std::string_view id) {
  return SampleLog::record(operation, phase, result,
                           "op-" + std::string(operation) + "-" + std::string(id));
}

class Story {
 public:
  SampleLog log;

  void token_key(std::string_view operation, const std::string& name, std::string_view mechanism,
                 std::string_view detail, std::string_view public_key = "another's") {
    const auto id = key_id(0, name, 1);
    auto intent = of_token(operation, "intent", "", name),
         outcome = of_token(operation, "outcome", "ok", name);
    for (auto* each : {&intent, &outcome}) log.two_identities(*each);
    intent.set(Field::key_id, id).set(Field::mechanism, mechanism);
    outcome.set(Field::key_id, id).set(Field::ckr, "CKR_OK");
    if (!detail.empty())
      for (auto* each : {&intent, &outcome}) each->set(Field::detail, detail);
    if (mechanism.ends_with("PAIR_GEN"))
      outcome.set(Field::public_key_sha256, to_hex(sha256(public_key)));
    log.add(intent, {});
    log.add(outcome, {});
  }

  void destroy_token_key(std::string_view operation, const std::string& name) {
    const auto id = key_id(0, name, 1);
    auto intent = of_token(operation, "intent", "", name),
         outcome = of_token(operation, "outcome", "ok", name);
    for (auto* each : {&intent, &outcome}) log.two_identities(each->set(Field::key_id, id));
    outcome.set(Field::ckr, "CKR_OK").set(Field::detail, "absence-checked");
    log.add(intent, {});
    log.add(outcome, {});
  }

  void note(std::string_view operation, std::string_view result, std::string_view detail,
            bool dual = false) {
    auto made = of_token(operation, "note", result, std::to_string(log.entries.size()));
    if (!detail.empty()) made.set(Field::detail, detail);
    if (dual) log.two_identities(made);
    log.add(made, {});
  }

  /// Adds a record of a key that changes nothing, composed from one that is there.
  void key_note(std::uint64_t device, const std::string& role, std::uint64_t generation,
                std::string_view operation, std::string_view phase, std::string_view result,
                std::string_view from, std::string_view to, bool dual = false,
                const std::function<void(Record&)>& more = {}) {
    auto made = of_token(operation, phase, result, role + std::to_string(generation));
    made.set(Field::role, role)
        .set(Field::generation, generation)
        .set(Field::key_id, key_id(device, role, generation))
        .set(Field::state_from, from)
        .set(Field::state_to, to);
    if (operation == op::key_generate) made.set(Field::reason, "operational");
    if (operation == op::key_enrol) made.set(Field::mechanism, "CKM_AES_KEY_WRAP");
    if (dual) log.two_identities(made);
    if (more) more(made);
    log.add(made, device);
  }
};

}  // namespace

SampleLog opening_story(const TestKey& key) {
  Story story;
  story.token_key(op::audit_key_generate, "audit", "CKM_EC_KEY_PAIR_GEN", "",
                  key.audit_key().pem());
  story.note(op::audit_heartbeat, "", "interval-s 3600");
  return std::move(story.log);
}

SampleLog rich_story() {
  Story story{opening_story(former_key())};
  auto& log = story.log;
  const auto hash = [](std::string_view text) { return to_hex(sha256(text)); };
  const auto detail = [](std::string text) {
    return [text = std::move(text)](Record& record) { record.set(Field::detail, text); };
  };
  story.note(op::token_self_test, "ok",
             "30 of 30 held; needed and not held: none; wished and not held: none");
  story.note(op::audit_document, "", "sha256 " + hash("protections") + " token-protections");
  story.note(op::audit_document, "", "sha256 " + hash("policy") + " policy");
  story.token_key(op::import_key_generate, "import", "CKM_RSA_PKCS_KEY_PAIR_GEN", "");
  story.token_key(op::enrolment_key_generate, "enrolment", "CKM_AES_KEY_GEN", "");
  story.token_key(op::storage_key_generate, "storage", "CKM_AES_KEY_GEN", "storage key of KEKs");
  log.admit("head-end");
  log.admit("tool", "guek", true);
  story.note(op::fleet_import, "begun",
             "fleet file sha256 " + hash("fleet") +
                 ", KEKs 3, of them moved 0, devices without one 1, signed by " + hash("signer"),
             true);
  for (const auto device : {a, b, c})
    log.register_device(device, "ESME", "guek+gak+kek", "2026-11-20T00:00:00.000Z");
  log.register_device(d, "GPF", "guek", "2026-11-20T00:00:00.000Z", "lost");
  for (const auto device : {a, b, c}) log.import_kek(device);
  story.note(op::fleet_import, "nothing-new",
             "fleet file sha256 " + hash("fleet") +
                 ", KEKs 0, of them moved 0, devices without one 0, unsigned",
             true);
  log.end_target("tool", "retire");
  log.rotate(a, "guek", 1);
  log.receive(a, "guek", 1, "head-end/1");
  log.entries.back().record.set(Field::state_from, "active").set(Field::state_to, "active");
  story.key_note(a, "guek", 1, op::key_prove, "note", "asked", "active", "active", false,
                 detail("challenge sha256 " + hash("challenge")));
  log.rotate(a, "gak", 1);
  log.release(a, "gbek", 1);
  story.key_note(a, "gbek", 1, op::transfer_release_again, "note", "handed-out-again", "pre-active",
                 "pre-active");
  story.key_note(a, "gbek", 1, op::key_generate, "note", "handed-out-again", "pre-active",
                 "pre-active", true);
  log.answer(a, "gbek", 1, "in-doubt");
  log.answer(a, "gbek", 1, "unproven");
  log.answer(a, "gbek", 1, "not-held");
  log.release(a, "guek", 2, "the device was replaced");
  log.hand_over_again(a, "guek", 2, "head-end/1");
  story.key_note(a, "guek", 2, op::transfer_resolve, "note", "confirmed", "pre-active", "active",
                 true, detail("the meter answers under it"));
  story.key_note(a, "guek", 1, op::transfer_resolve, "note", "superseded", "active", "deactivated",
                 true);
  log.release(a, "gbek", 2);
  story.key_note(a, "gbek", 2, op::transfer_resolve, "note", "not-held", "pre-active", "pre-active",
                 true, detail("never sent"));
  log.destroy(a, "guek", 1);
  // The other device waits for a target's receipt.
  log.admit("tool", "guek", true);
  log.release(b, "guek", 1);
  log.receive(b, "guek", 1, "tool/2");
  log.release_withheld(b, "guek", 1);
  log.answer(b, "guek", 1, "confirmed");
  log.end_target("tool", "compromise");
  log.compromise(b, "guek", 1, "active", "compromised-through-target");
  log.entries.back().record.set(Field::target, "tool/2");
  log.destroy_target("tool", 2);
  log.rotate(b, "gak", 1);
  story.key_note(b, "gak", 1, op::key_retire, "note", "retired", "active", "deactivated", true);
  story.key_note(b, "gak", 1, op::key_destroy, "intent", "", "deactivated", "destroyed", true);
  story.key_note(b, "gak", 1, op::operation_settle, "outcome", "not-executed", "deactivated",
                 "deactivated", false, detail("key.destroy, objects found 1"));
  for (auto entry = log.entries.end() - 2; entry != log.entries.end(); ++entry)
    entry->record.set(Field::op_id, "op-settled");
  log.refuse(b, "key.generate", "kek-not-usable");
  log.refuse({}, "batch.run", "unknown-device");
  log.change_device(b, "suspend", "2026-11-22T00:00:10.000Z");
  log.change_device(b, "resume", "2026-11-22T00:00:10.100Z");
  log.change_device(b, "decommission", "2026-11-22T00:00:10.200Z");
  log.change_device(b, "recommission", "2026-11-22T00:00:10.300Z");
  // A third: its KEK is suspected, with all under it.
  log.rotate(c, "guek", 1);
  log.rotate(c, "gak", 1);
  log.compromise_kek(c, 1);
  log.import_kek(c, 2);
  log.entries.back().record.set(Field::sealed_sha256, hash("waits"));
  story.key_note(c, "kek", 2, op::key_reseal, "note", "resealed", "active", "active", true,
                 [&](Record& record) { record.set(Field::sealed_sha256, hash("blob")); });
  story.key_note(c, "kek", 2, op::key_enrol, "intent", "", "active", "active", true);
  story.key_note(c, "kek", 2, op::key_enrol, "outcome", "ok", "active", "active", true,
                 [](Record& record) { record.set(Field::attributes, "sensitive,trusted"); });
  story.destroy_token_key(op::storage_key_destroy, "storage");
  story.note(op::audit_anchor, "", "the token does not keep the head");
  story.note(op::clock_step, "", "from 2026-11-22T00:00:20.000Z");
  log.state_map();
  log.import_kek(d);
  log.rotate(d, "guek", 1);
  story.note(op::audit_heartbeat, "", "interval-s 3600");
  story.token_key(op::audit_key_generate, "audit-2", "CKM_EC_KEY_PAIR_GEN", "",
                  last_key().audit_key().pem());
  story.destroy_token_key(op::audit_key_destroy, "audit");
  log.seal();
  return std::move(log);
}

}  // namespace test
