// SPDX-License-Identifier: Apache-2.0
#include "audit/sample_log.hpp"

#include <algorithm>

#include "audit/record_rules.hpp"
#include "audit/text.hpp"

namespace test {

using namespace smets1kms::audit;

std::string key_id(std::uint64_t device, const std::string& role, std::uint64_t generation) {
  return to_hex(sha256(std::to_string(device) + role + std::to_string(generation))).substr(0, 32);
}

Record without(const Record& record, std::initializer_list<Field> fields) {
  Record rest;
  for (std::size_t i = 0; i < field_count; ++i) {
    const auto field = static_cast<Field>(i);
    if (const auto& value = record.get(field);
        value && std::ranges::find(fields, field) == fields.end())
      std::visit([&](const auto& content) { rest.set(field, content); }, *value);
  }
  return rest;
}

namespace {

std::string time_of(std::size_t index) {
  // A tenth of a second apart: a million records in a day.
  return "2026-11-" + padded(22 + index / 864000, 2) + "T" + padded(index / 36000 % 24, 2) + ":" +
         padded(index / 600 % 60, 2) + ":" + padded(index / 10 % 60, 2) + "." +
         padded(index % 10, 1) + "00Z";
}

}  // namespace

Record SampleLog::record(std::string_view operation, std::string_view phase,
                         std::string_view result, std::string_view operation_id) {
  Record record;
  record.set(Field::op, operation).set(Field::phase, phase).set(Field::op_id, operation_id);
  if (!result.empty()) record.set(Field::result, result);
  return record;
}

void SampleLog::two_identities(Record& record) const {
  record.set(Field::requested_by, "s1sp:ops-1")
      .set(Field::authorised_by, "dco:ops-7")
      .set(Field::reference, "CHG-1");
}

void SampleLog::add(Record record, std::optional<std::uint64_t> device) {
  const std::string id(record.text(Field::key_id)), operation(record.text(Field::op));
  const bool makes = operation == "key.generate" || operation == "key.import";
  if (makes && record.text(Field::phase) == "intent") {
    made_[id] = record;
  } else if (const auto made = made_.find(id); made != made_.end()) {
    record = without(record, {Field::kek_id, Field::transfer, Field::predecessor});
    for (const auto field : {Field::kek_id, Field::transfer, Field::predecessor})
      if (const auto& value = made->second.get(field))
        std::visit([&](const auto& content) { record.set(field, content); }, *value);
  }
  const auto at = first_index + entries.size();
  record.set(Field::v, 1)
      .set(Field::event_id, "01a2052d-4984-7901-9e5b-" + padded(at, 12))
      .set(Field::time, now.empty() ? time_of(at) : now)
      .set(Field::clock, "synchronised")
      .set(Field::boot_id, "e31e11be-6ef5-4562-8da1-4c144d8e7db8")
      .set(Field::mono_us, 1000 + at)
      .set(Field::host, "host")
      .set(Field::software, "smets1-kms/test")
      .set(Field::salt, "017a1ff51723d1ead8be00672f553c3d")
      .set(Field::token, "SoftHSM v2/smets1-demo/9663245a91a7b410");
  if (device) record.set(Field::device, device_name(*device));
  entries.push_back({std::move(record), device});
}

Record SampleLog::key_record(std::string_view operation, std::string_view phase,
                             std::string_view result, std::uint64_t device, const std::string& role,
                             std::uint64_t generation, std::string_view from,
                             std::string_view to) const {
  auto made = record(operation, phase, result,
                     "op-" + std::string(operation) + "-" + role + std::to_string(generation));
  made.set(Field::role, role)
      .set(Field::generation, generation)
      .set(Field::key_id, key_id(device, role, generation))
      .set(Field::state_from, from)
      .set(Field::state_to, to);
  if (operation == "key.generate") made.set(Field::mechanism, "CKM_AES_KEY_GEN,CKM_AES_KEY_WRAP");
  if (operation == "key.generate" && phase == "outcome") made.set(Field::ckr, "CKR_OK");
  if (operation == "key.generate")
    made.set(Field::transfer, 20 * generation + std::string_view("guek gbek gak kek").find(role))
        .set(Field::kek_id, key_id(device, "kek", 1))
        .set(Field::reason, "operational");
  if (operation == "key.generate" && together != 0)
    made.set(Field::transfer, together).set(Field::op_id, "op-together");
  return made;
}

void SampleLog::import_kek(std::uint64_t device, std::uint64_t generation) {
  auto intent = key_record("key.import", "intent", "", device, "kek", generation, "none", "active"),
       outcome =
           key_record("key.import", "outcome", "ok", device, "kek", generation, "none", "active");
  two_identities(intent);
  two_identities(outcome);
  intent.set(Field::wrapped_sha256, to_hex(sha256(key_id(device, "kek", generation))));
  outcome.set(Field::attributes, "sensitive,trusted").set(Field::ckr, "CKR_OK");
  intent.set(Field::mechanism, "CKM_RSA_PKCS_OAEP,CKM_AES_KEY_WRAP")
      .set(Field::wrapped_len, 24)
      .set(Field::detail, "transport key mfr-1");
  add(intent, device);
  add(outcome, device);
}

void SampleLog::move_kek(std::uint64_t device, std::uint64_t generation, const std::string& from,
                         bool retired) {
  import_kek(device, generation);
  for (auto entry = entries.end() - 2; entry != entries.end(); ++entry)
    entry->record.set(Field::predecessor, key_id(device, "kek", generation - 1));
  made_[key_id(device, "kek", generation)] = (entries.end() - 2)->record;
  (entries.end() - 2)->record.set(Field::wrapped_sha256, to_hex(sha256(from)));
  if (!retired) return;
  auto note = key_record("key.retire", "note", "retired", device, "kek", generation - 1, "active",
                         "deactivated");
  two_identities(note);
  add(note, device);
}

void SampleLog::compromise_kek(std::uint64_t device, std::uint64_t generation) {
  auto note = key_record("key.compromise", "note", "compromised", device, "kek", generation,
                         "active", "compromised");
  note.set(Field::notify, "SMKI PMA, SSC").set(Field::reason, "suspected-compromise");
  two_identities(note.set(Field::detail, "a laptop was stolen"));
  add(note, device);
  std::map<std::pair<std::string, std::uint64_t>, std::string> wrapped;  // their states
  for (const auto& [record, of] : entries)
    if (of == device && record.text(Field::kek_id) == key_id(*of, "kek", generation) &&
        record.text(Field::phase) != "intent")
      wrapped[{std::string(record.text(Field::role)), *record.number(Field::generation)}] =
          record.text(Field::state_to);
  for (const auto& [key, state] : wrapped) {
    if (state.find("compromised") != std::string::npos) continue;
    compromise(device, key.first, key.second, state, "compromised-through-kek");
    if (state == "destroyed") entries.back().record.set(Field::state_to, "destroyed-compromised");
  }
}

void SampleLog::rotate(std::uint64_t device, const std::string& role, std::uint64_t generation,
                       const std::string& reply) {
  release(device, role, generation);
  answer(device, role, generation, reply);
}

void SampleLog::release(std::uint64_t device, const std::string& role, std::uint64_t generation,
                        const std::string& justification) {
  auto intent =
      key_record("key.generate", "intent", "", device, role, generation, "none", "pre-active");
  const auto handed = handovers(device, role, generation);
  auto outcome = key_record("key.generate", "outcome",
                            handed.find(":before") == std::string::npos ? "ok" : "withheld", device,
                            role, generation, "none", "pre-active");
  if (!handed.empty()) outcome.set(Field::handovers, handed);
  for (auto* each : {&intent, &outcome}) {
    two_identities(*each);
    if (!justification.empty()) each->set(Field::reason, "periodic");
  }
  if (!justification.empty()) intent.set(Field::justification, justification);
  outcome.set(Field::attributes, "local,sensitive")
      .set(Field::wrapped_sha256, to_hex(sha256("wrapped")))
      .set(Field::wrapped_len, 24);
  add(intent, device);
  add(outcome, device);
}

void SampleLog::answer(std::uint64_t device, const std::string& role, std::uint64_t generation,
                       const std::string& answer) {
  const bool confirmed = answer == "confirmed";
  // Under the operation that made the key.
  const auto operation = "op-key.generate-" + role + std::to_string(generation);
  add(key_record("transfer.reply", "note", answer, device, role, generation, "pre-active",
                 confirmed ? "active" : "pre-active")
          .set(Field::op_id, operation)
          .set(Field::detail, answer == "in-doubt"   ? "no-answer"
                              : answer == "not-held" ? "a GAK under the old KEK was accepted"
                                                     : "answer:C701C10000"),
      device);
  if (confirmed && generation > 1)
    add(key_record("transfer.reply", "note", "superseded", device, role, generation - 1, "active",
                   "deactivated")
            .set(Field::op_id, operation),
        device);
}

std::string SampleLog::blob(std::uint64_t device, const std::string& role, std::uint64_t generation,
                            const std::string& target) {
  return key_id(device, role, generation) + " for " + target;
}

std::string SampleLog::handovers(std::uint64_t device, const std::string& role,
                                 std::uint64_t generation) const {
  std::string all;
  for (const auto& [name, target] : targets) {
    if (("+" + target.roles + "+").find("+" + role + "+") == std::string::npos) continue;
    const auto full = name + "/" + std::to_string(target.generation);
    all += (all.empty() ? "" : ",") + full + ":" + target.hash + ":" +
           to_hex(sha256(blob(device, role, generation, full))) +
           (target.before_transfer ? ":before-transfer" : "");
  }
  return all;
}

std::vector<std::string> SampleLog::handover_lines() const {
  std::vector<std::string> lines;
  for (const auto& [record, at] : entries) {
    if (record.text(Field::handovers).empty()) continue;
    const auto all = parse_handovers(record.text(Field::handovers)).value();
    for (const auto& each : all) {
      const auto device = std::string(record.text(Field::device)),
                 wrapped = blob(*at, std::string(record.text(Field::role)),
                                *record.number(Field::generation), std::string(each.target));
      const auto text = [](const char* name, std::string_view value) {
        return ",\"" + std::string(name) + "\":\"" + std::string(value) + "\"";
      };
      const auto number = [](const char* name, std::uint64_t value) {
        return ",\"" + std::string(name) + "\":" + std::to_string(value);
      };
      const auto upper = [](std::string_view bytes) {
        return smets1kms::to_hex(
            {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
      };
      lines.push_back(
          "{\"schema\":\"smets1-kms-handover-1\"" + text("device_id", device) +
          text("role", record.text(Field::role)) + text("key_id", record.text(Field::key_id)) +
          number("generation", *record.number(Field::generation)) + text("target", each.name.name) +
          number("target_generation", each.name.generation) + text("hash", each.hash) +
          text("wrapped", upper(wrapped)) + text("sha256", to_hex(sha256(wrapped))) +
          text("transfer_id",
               device + "/" + std::to_string(record.number(Field::transfer).value_or(0))) +
          text("challenge", smets1kms::to_hex(sha256(wrapped))) + "}");
    }
  }
  return lines;
}

std::string SampleLog::checkpoint_line(const Note& note) {
  std::string text;
  for (const char c : note.format()) text += c == '\n' ? std::string("\\n") : std::string(1, c);
  return R"({"schema":"smets1-kms-handover-1","checkpoint":")" + text + "\"}";
}

Record SampleLog::target_record(const char* operation, const char* phase, const char* result,
                                const std::string& name, std::uint64_t generation) const {
  auto made = record(operation, phase, result,
                     "op-" + std::string(operation) + "-" + name + std::to_string(generation));
  two_identities(made);
  if (std::string_view(phase) != "note")
    made.set(Field::key_id, key_id(0, "target " + name, generation));
  return made.set(Field::target, name + "/" + std::to_string(generation));
}

void SampleLog::admit(const std::string& name, const std::string& roles, bool before_transfer,
                      const std::string& hash) {
  const auto generation = ++generations_[name];
  auto intent = target_record("target.admit", "intent", "", name, generation),
       outcome = target_record("target.admit", "outcome", "ok", name, generation);
  intent.set(Field::mechanism, "CKM_RSA_PKCS_OAEP");
  outcome.set(Field::mechanism, "CKM_RSA_PKCS_OAEP," + hash)
      .set(Field::ckr, "CKR_OK")
      .set(Field::roles, roles)
      .set(Field::certificate_sha256, to_hex(sha256("certificate of " + name)))
      .set(Field::public_key_sha256, to_hex(sha256("public key of " + name)))
      .set(Field::attributes, "trusted,wrap")
      .set(Field::detail, before_transfer ? "vault token, before-transfer" : "vault token");
  add(intent, std::nullopt);
  add(outcome, std::nullopt);
  targets[name] = {generation, roles, hash, before_transfer};
}

void SampleLog::end_target(const std::string& name, const std::string& how) {
  auto note = target_record(("target." + how).c_str(), "note", (how + "d").c_str(), name,
                            generations_[name]);
  if (how == "compromise")
    note.set(Field::detail, "its private key was copied")
        .set(Field::notify, "SMKI PMA, SSC")
        .set(Field::reason, "suspected-compromise");
  end_ = note.text(Field::op_id);
  add(note, std::nullopt);
  targets.erase(name);
}

void SampleLog::destroy_target(const std::string& name, std::uint64_t generation) {
  auto intent = target_record("target.destroy", "intent", "", name, generation),
       outcome = target_record("target.destroy", "outcome", "ok", name, generation);
  outcome.set(Field::detail, "absence-checked").set(Field::op_id, end_);
  add(intent.set(Field::op_id, end_), std::nullopt);
  add(outcome, std::nullopt);
}

void SampleLog::receive(std::uint64_t device, const std::string& role, std::uint64_t generation,
                        const std::string& target) {
  add(key_record("handover.receive", "note", "received", device, role, generation, "pre-active",
                 "pre-active")
          .set(Field::target, target),
      device);
}

void SampleLog::hand_over_again(std::uint64_t device, const std::string& role,
                                std::uint64_t generation, const std::string& target) {
  add(key_record("handover.release-again", "note", "handed-out-again", device, role, generation,
                 "pre-active", "pre-active")
          .set(Field::target, target),
      device);
}

void SampleLog::release_withheld(std::uint64_t device, const std::string& role,
                                 std::uint64_t generation) {
  add(key_record("transfer.release", "note", "released", device, role, generation, "pre-active",
                 "pre-active"),
      device);
}

void SampleLog::register_device(std::uint64_t device, const std::string& kind,
                                const std::string& supports, const std::string& commissioned_at,
                                const std::string& no_kek_reason) {
  auto note = record("device.register", "note",
                     no_kek_reason.empty() ? "registered" : "registered-without-kek");
  if (!no_kek_reason.empty()) note.set(Field::detail, "no usable KEK: " + no_kek_reason);
  two_identities(note);
  note.set(Field::kind, kind)
      .set(Field::model, "M-1")
      .set(Field::suite, "0")
      .set(Field::supports, supports);
  if (!commissioned_at.empty()) note.set(Field::at, commissioned_at);
  add(note, device);
}

void SampleLog::change_device(std::uint64_t device, const std::string& what,
                              const std::string& at) {
  auto note = record("device." + what, "note", what + (what.ends_with('e') ? "d" : "ed"));
  two_identities(note);
  note.set(Field::at, at);
  add(note, device);
}

void SampleLog::compromise(std::uint64_t device, const std::string& role, std::uint64_t generation,
                           const std::string& state, const std::string& result) {
  auto note =
      key_record("key.compromise", "note", result, device, role, generation, state, "compromised");
  two_identities(note);
  if (result == "compromised-through-token") note.set(Field::op_id, "op-1");  // the suspicion's
  if (result == "compromised-through-target") note.set(Field::op_id, end_);
  note.set(Field::detail, "a laptop was stolen")
      .set(Field::notify, "SMKI PMA, SSC")
      .set(Field::reason, "suspected-compromise");
  add(note, device);
}

void SampleLog::refuse(std::optional<std::uint64_t> device, const std::string& operation,
                       const std::string& rule) {
  auto note = record(operation, "note", "refused");
  note.set(Field::detail, rule).set(Field::reason, "periodic");
  two_identities(note);
  add(note, device);
}

void SampleLog::add_document(const std::string& name, const std::string& content) {
  documents[name] = content;
  auto note = record("audit.document", "note");
  note.set(Field::detail, "sha256 " + to_hex(sha256(content)) + " " + name);
  add(note, std::nullopt);
}

void SampleLog::destroy(std::uint64_t device, const std::string& role, std::uint64_t generation) {
  auto intent =
      key_record("key.destroy", "intent", "", device, role, generation, "deactivated", "destroyed");
  auto outcome = key_record("key.destroy", "outcome", "ok", device, role, generation, "deactivated",
                            "destroyed");
  two_identities(intent);
  two_identities(outcome);
  outcome.set(Field::detail, "absence-checked");
  add(intent, device);
  add(outcome, device);
}

void SampleLog::state_map() { add(record("audit.device-map", "note"), std::nullopt); }

SampleLog SampleLog::of(std::uint64_t devices, std::uint64_t first_device,
                        std::uint64_t first_index, bool registered) {
  SampleLog log;
  log.first_index = first_index;
  if (first_index == 0)
    log.admit("head-end");
  else
    log.targets["head-end"] = {1, "guek+gak", "SHA-256", false};
  for (std::uint64_t i = 0; i < devices && registered; ++i)
    log.register_device(0x00DB123456789000 + first_device + i, "ESME", "guek+gak+kek",
                        "2026-11-20T00:00:00.000Z");
  for (std::uint64_t i = 0; i < devices; ++i) log.import_kek(0x00DB123456789000 + first_device + i);
  for (std::uint64_t i = 0; i < devices; ++i) {
    const auto device = 0x00DB123456789000 + first_device + i;
    log.rotate(device, "guek", 1);
    log.rotate(device, "gak", 1);
    log.rotate(device, "guek", 2);
    log.destroy(device, "guek", 1);
  }
  log.state_map();
  auto beat = record("audit.heartbeat", "note");
  beat.set(Field::detail, "interval-s 3600");
  log.add(beat, std::nullopt);
  log.seal();
  return log;
}

void SampleLog::seal() {
  std::map<std::uint64_t, std::pair<std::uint64_t, Hash>> last;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    auto& [record, device] = entries[i];
    if (record.text(Field::op) == "audit.device-map") {
      CompactRange tree;
      for (const auto& head : heads(i)) tree.append(leaf_hash(head.format()));
      record.set(Field::detail,
                 MapStatement{.records = i, .devices = tree.size(), .root = tree.root()}.format());
    }
    if (!device) continue;
    auto& [sequence, leaf] = last[*device];
    record.set(Field::device_seq, ++sequence).set(Field::device_prev, to_hex(leaf));
    leaf = leaf_hash(record.encode());
  }
}

std::vector<std::string> SampleLog::bytes() const {
  std::vector<std::string> all;
  for (const auto& entry : entries) all.push_back(entry.record.encode());
  return all;
}

std::vector<std::optional<std::uint64_t>> SampleLog::previous() const {
  std::vector<std::optional<std::uint64_t>> all;
  std::map<std::uint64_t, std::uint64_t> last;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto device = entries[i].device;
    all.push_back(device && last.contains(*device) ? std::optional(last[*device]) : std::nullopt);
    if (device) last[*device] = i;
  }
  return all;
}

std::vector<DeviceHead> SampleLog::heads(std::uint64_t records) const {
  std::map<std::uint64_t, DeviceHead> last;
  for (std::uint64_t i = 0; i < records; ++i)
    if (const auto device = entries[i].device)
      last[*device] = {.device = *device,
                       .sequence = last[*device].sequence + 1,
                       .index = i,
                       .leaf = leaf_hash(entries[i].record.encode())};
  std::vector<DeviceHead> all;
  for (const auto& [device, head] : last) all.push_back(head);
  return all;
}

void SampleLog::export_to(const std::filesystem::path& directory, const TestKey& key,
                          std::uint64_t every) {
  seal();
  ExportWriter writer(directory, origin);
  const auto all = bytes();
  const auto before = previous();
  CompactRange tree;
  for (std::uint64_t i = 0; i < writer.size(); ++i) tree.append(leaf_hash(all.at(i)));
  if (tree.root() != writer.root()) throw std::runtime_error("the export is of another log");
  for (std::uint64_t i = writer.size(); i < all.size(); ++i) {
    writer.add({.bytes = all[i], .leaf = leaf_hash(all[i]), .previous = before[i]});
    if ((i + 1) % every != 0 && i + 1 != all.size()) continue;
    Issuer issuer(origin, {key.signer()}, std::nullopt);
    writer.add(issuer.issue(writer.size(), writer.root(), {}));
  }
  for (std::uint64_t i = 0; i < all.size(); ++i) {
    if (entries[i].record.text(Field::op) != "audit.device-map") continue;
    (void)writer.add_map(i, [&](const auto& visit) { std::ranges::for_each(heads(i), visit); });
  }
  writer.add(key.audit_key());
  for (const auto& [name, content] : documents) writer.add_document(name, content);
  writer.finish();
}

}  // namespace test
