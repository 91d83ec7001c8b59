// SPDX-License-Identifier: Apache-2.0
// What must precede a record, honestly signed or not: keys of the token, devices in service, keys
// that wait, intents of the same operation.
#include <doctest/doctest.h>

#include "audit/rich_story.hpp"
#include "support/expect.hpp"

using namespace smets1kms::audit;
using test::MemoryLog;
using test::SampleLog;

namespace {

constexpr std::uint64_t device = 0x00DB1234567890A0;
const char* const day = "2026-11-20T00:00:00.000Z";

Record token_key(const char* operation, const char* phase, const char* result, const char* name) {
  SampleLog log;
  auto record = SampleLog::record(operation, phase, result, std::string("op-") + operation + name);
  log.two_identities(record);
  return record.set(Field::key_id, test::key_id(0, name, 1));
}

void generate(SampleLog& log, const char* operation, const char* name,
              const char* mechanism = "CKM_AES_KEY_GEN") {
  auto intent = token_key(operation, "intent", "", name).set(Field::mechanism, mechanism),
       outcome = token_key(operation, "outcome", "ok", name).set(Field::ckr, "CKR_OK");
  if (operation == op::storage_key_generate)
    for (auto* each : {&intent, &outcome}) each->set(Field::detail, "storage key of KEKs");
  else if (operation != op::enrolment_key_generate)
    outcome.set(Field::public_key_sha256, to_hex(sha256(test::last_key().audit_key().pem())));
  log.add(intent, {});
  log.add(outcome, {});
}

void destroy(SampleLog& log, const char* operation, const char* name) {
  log.add(token_key(operation, "intent", "", name), {});
  log.add(token_key(operation, "outcome", "ok", name)
              .set(Field::ckr, "CKR_OK")
              .set(Field::detail, "absence-checked"),
          {});
}

void commission(SampleLog& log) { log.change_device(device, "commission", day); }

/// Adds an intent to destroy a GUEK that is there, and its settlement in these words.
void settle(SampleLog& log, const char* detail) {
  log.import_kek(device);
  log.rotate(device, "guek", 1);
  log.rotate(device, "guek", 2);
  log.destroy(device, "guek", 1);
  auto& outcome = log.entries.back().record;
  outcome = test::without(outcome, {Field::requested_by, Field::authorised_by, Field::reference});
  outcome.set(Field::op, op::operation_settle)
      .set(Field::result, "not-executed")
      .set(Field::state_to, "deactivated")
      .set(Field::detail, detail);
}

struct Case {
  const char* what;
  void (*tell)(SampleLog& log);
  const char* why = "";  ///< empty: VERIFIED
};

const Case cases[] = {
    {"a storage key is made, renewed and destroyed",
     [](SampleLog& log) {
       generate(log, "storage-key.generate", "one");
       generate(log, "storage-key.generate", "two");
       destroy(log, "storage-key.destroy", "one");
     }},
    {"a storage key is destroyed twice",
     [](SampleLog& log) {
       generate(log, "storage-key.generate", "one");
       destroy(log, "storage-key.destroy", "one");
       destroy(log, "storage-key.destroy", "one");
     },
     "is not there"},
    {"a storage key is destroyed before it is made",
     [](SampleLog& log) {
       generate(log, "storage-key.generate", "one");
       log.entries.pop_back();
       destroy(log, "storage-key.destroy", "one");
     },
     "is not there"},
    {"the import key is destroyed as a storage key",
     [](SampleLog& log) {
       generate(log, "import-key.generate", "one", "CKM_RSA_PKCS_KEY_PAIR_GEN");
       destroy(log, "storage-key.destroy", "one");
     },
     "is of another kind"},
    {"a storage key is made by another mechanism",
     [](SampleLog& log) { generate(log, "storage-key.generate", "one", "CKM_DES3_KEY_GEN"); },
     "the field mechanism is not as it has to be"},
    {"the audit key that signs is destroyed",
     [](SampleLog& log) {
       generate(log, "audit-key.generate", "one", "CKM_EC_KEY_PAIR_GEN");
       destroy(log, "audit-key.destroy", "one");
     },
     "is the audit key that signs"},
    {"a device is commissioned, suspended, and gets keys",
     [](SampleLog& log) {
       log.register_device(device, "ESME", "guek", "");
       log.import_kek(device);
       commission(log);
       log.change_device(device, "suspend", day);
       log.rotate(device, "guek", 1);
     }},
    {"a device gets keys before it is commissioned",
     [](SampleLog& log) {
       log.register_device(device, "ESME", "guek", "");
       log.import_kek(device);
       log.rotate(device, "guek", 1);
     },
     "is not in service"},
    {"a device gets keys after it was decommissioned",
     [](SampleLog& log) {
       log.register_device(device, "ESME", "guek", day);
       log.import_kek(device);
       log.change_device(device, "decommission", day);
       log.rotate(device, "guek", 1);
     },
     "is not in service"},
    {"a device is commissioned that was in service",
     [](SampleLog& log) {
       log.register_device(device, "ESME", "guek", day);
       commission(log);
     },
     "does not follow"},
    {"a key is resealed that is in the token",
     [](SampleLog& log) {
       log.import_kek(device);
       auto note = log.entries.back().record;
       note = test::without(note, {Field::attributes, Field::ckr, Field::transfer});
       note.set(Field::op, op::key_reseal)
           .set(Field::phase, "note")
           .set(Field::result, "resealed")
           .set(Field::state_from, "active")
           .set(Field::sealed_sha256, to_hex(sha256("blob")));
       log.add(note, device);
     },
     "is not at rest outside of the token"},
    {"a KEK is enrolled that does not wait",
     [](SampleLog& log) {
       log.import_kek(device);
       auto intent = log.entries.back().record;
       intent = test::without(intent, {Field::attributes, Field::ckr, Field::result});
       intent.set(Field::op, op::key_enrol)
           .set(Field::phase, "intent")
           .set(Field::mechanism, "CKM_AES_KEY_WRAP")
           .set(Field::state_from, "active");
       log.add(intent, device);
     },
     "does not wait for its admission"},
    {"an operation is settled by its name",
     [](SampleLog& log) { settle(log, "key.destroy, objects found 1"); }},
    {"an operation is settled by another's name",
     [](SampleLog& log) { settle(log, "key.generate, objects found 1"); },
     "its detail says otherwise"},
    {"a key is made although the token refused",
     [](SampleLog& log) {
       log.import_kek(device);
       log.entries.back().record.set(Field::ckr, "CKR_GENERAL_ERROR");
     },
     "the field ckr does not fit the result"},
    {"a rule that does not follow from the reason",
     [](SampleLog& log) {
       log.import_kek(device);
       log.release(device, "guek", 1, "the meter was replaced");
       log.entries.back().record.set(Field::rule, "P1").set(Field::edition, "2.11");
     },
     "the field rule does not follow from the reason"},
    {"a refusal is no heartbeat, gap or document",
     [](SampleLog& log) {
       for (const auto operation : {op::audit_heartbeat, op::audit_gap, op::audit_document})
         log.refuse({}, std::string(operation), "no-audit-key");
     }},
    {"an operation without an id",
     [](SampleLog& log) {
       log.import_kek(device);
       log.rotate(device, "guek", 1);
       log.entries.back().record.set(Field::op_id, "");
     },
     "the field op_id is missing"},
};

}  // namespace

TEST_CASE("what must precede a record does, whoever signs") {
  for (const auto& each : cases) {
    CAPTURE(each.what);
    SampleLog log;
    each.tell(log);
    log.seal();
    MemoryLog memory(log, test::last_key());
    const auto report = verify(memory, {.keys = {test::last_key().audit_key()}});
    CAPTURE(report.why);
    if (each.why[0] == '\0') {
      CHECK(report.verdict == Verdict::verified);
      continue;
    }
    CHECK(report.verdict == Verdict::failed);
    CHECK(report.index);
    CHECK(test::contains(report.why, each.why));
  }
}
