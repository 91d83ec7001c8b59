// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace smets1kms::registry {

/// The schema. Everything is reached by primary key from a device, so that the cost of an operation
/// does not depend on how many devices there are; waiting items are reached by partial indexes, so
/// that finding them costs as much as there are. Records are only appended, each with the index of
/// its device's previous one. Rows name by index the records that vouch for them: `record` is the
/// last that changed the row. device: the EUI-64 as a signed 64-bit integer. Times: ms since 1970,
/// UTC.
inline constexpr const char* schema = R"sql(
CREATE TABLE setting(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE device(
  id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, model TEXT NOT NULL, system_title BLOB NOT NULL,
  suite INTEGER NOT NULL, supports INTEGER NOT NULL,  -- supports: bit n is key_id n
  commissioned_at INTEGER NOT NULL, status INTEGER NOT NULL,  -- 0 as long as it is not
  no_kek_reason TEXT,  -- why its fleet file had no KEK for it; NULL once a KEK was imported
  registered INTEGER NOT NULL,  -- the record of its registration
  record INTEGER NOT NULL);  -- the record that led to its status
CREATE INDEX device_title ON device(system_title);
CREATE INDEX device_without_kek ON device(id) WHERE no_kek_reason IS NOT NULL;
CREATE TABLE imported_kek(  -- SHA-256 of the wrapped bytes that a device's KEK was imported from
  sha256 BLOB NOT NULL, device INTEGER NOT NULL, PRIMARY KEY(sha256, device)) WITHOUT ROWID;
CREATE TABLE key(
  device INTEGER NOT NULL, role INTEGER NOT NULL, generation INTEGER NOT NULL, id BLOB NOT NULL,
  state INTEGER NOT NULL, delivery INTEGER NOT NULL, predecessor BLOB, kek BLOB,
  transfer INTEGER NOT NULL, operation TEXT NOT NULL, created_at INTEGER NOT NULL,
  wrapped BLOB,  -- RFC 3394 under the device's KEK, for transfer; NULL once destroyed
  in_doubt_at INTEGER, confirmed_at INTEGER, not_held_at INTEGER, compromised_at INTEGER,
  awaiting BLOB,  -- a KEK under the enrolment key, until the officer has admitted it
  sealed_under BLOB, sealed BLOB, mac BLOB,  -- sealed vault: storage key, blob, its MAC; or NULL
  sealed_record INTEGER,  -- the record that has the blob's SHA-256
  made INTEGER NOT NULL,  -- the outcome that made it, with the digest of `wrapped`; planned: intent
  record INTEGER NOT NULL,  -- the record that led to its state and delivery
  PRIMARY KEY(device, role, generation)) WITHOUT ROWID;
CREATE INDEX awaiting_key ON key(device, role, generation) WHERE awaiting IS NOT NULL;
CREATE INDEX waiting_key ON key(delivery, device, role, generation)
  WHERE delivery IN (1,2,3,6) AND state<6;  -- sent or withheld, and not at the end of its way
CREATE TABLE target(  -- handover targets that were ever admitted
  name TEXT NOT NULL, generation INTEGER NOT NULL, id BLOB NOT NULL,  -- id: of the public key
  roles INTEGER NOT NULL,  -- bit n is key_id n
  before_transfer INTEGER NOT NULL, hash TEXT NOT NULL, certificate BLOB NOT NULL,  -- DER
  keep INTEGER NOT NULL,  -- the vault that its WRAP_TEMPLATE fits
  status INTEGER NOT NULL, admitted_at INTEGER NOT NULL,
  record INTEGER NOT NULL, PRIMARY KEY(name, generation)) WITHOUT ROWID;  -- record: its admission
CREATE TABLE handover(  -- keys handed to targets
  device INTEGER NOT NULL, role INTEGER NOT NULL, generation INTEGER NOT NULL,
  target TEXT NOT NULL, target_generation INTEGER NOT NULL,
  wrapped BLOB, received_at INTEGER,  -- wrapped: RSA-OAEP; NULL once received or given up
  PRIMARY KEY(device, role, generation, target)) WITHOUT ROWID;
CREATE INDEX stored_handover ON handover(device, role, generation, target)
  WHERE wrapped IS NOT NULL;
CREATE TABLE device_event(  -- changes of a device and their times in the field
  device INTEGER NOT NULL, seq INTEGER NOT NULL, change INTEGER NOT NULL, at INTEGER NOT NULL,
  record INTEGER NOT NULL, PRIMARY KEY(device, seq)) WITHOUT ROWID;
CREATE TABLE operation(
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, device INTEGER, digest BLOB NOT NULL,
  state INTEGER NOT NULL, detail TEXT NOT NULL,
  before_gap INTEGER NOT NULL,  -- 1: it was open in a registry that was restored
  intent INTEGER NOT NULL,  -- its first record
  outcome INTEGER NOT NULL) WITHOUT ROWID;  -- the record that ended it; 0: it is open
CREATE INDEX open_operation ON operation(id) WHERE state=0;
CREATE TABLE operation_key(  -- keys that an operation is about; keys that a rotation makes name it
  device INTEGER NOT NULL, role INTEGER NOT NULL, generation INTEGER NOT NULL,
  operation TEXT NOT NULL, PRIMARY KEY(device, role, generation, operation)) WITHOUT ROWID;
CREATE INDEX key_of_operation ON operation_key(operation);
CREATE TABLE batch(  -- a named batch of rotations: its request, and how far it has come
  name TEXT PRIMARY KEY, digest BLOB NOT NULL, kind INTEGER NOT NULL, within INTEGER,
  roles TEXT NOT NULL,  -- a digit each, its key_id
  reason INTEGER, requested_by TEXT NOT NULL, authorised_by TEXT NOT NULL, reference TEXT NOT NULL,
  single_action INTEGER NOT NULL, wrap_under INTEGER NOT NULL, justification TEXT NOT NULL,
  devices INTEGER NOT NULL, started INTEGER NOT NULL,
  target TEXT NOT NULL, ended INTEGER, done INTEGER NOT NULL, failed INTEGER NOT NULL,
  -- record indices: outcomes between them were not handed over
  handed INTEGER NOT NULL, recorded INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE batch_device(
  batch TEXT NOT NULL, position INTEGER NOT NULL, device INTEGER NOT NULL,
  PRIMARY KEY(batch, position)) WITHOUT ROWID;
CREATE TABLE record(
  idx INTEGER PRIMARY KEY, bytes TEXT NOT NULL, leaf BLOB NOT NULL,
  previous INTEGER);  -- index of the same device's previous record
CREATE TABLE device_head(
  device INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, record INTEGER NOT NULL,
  leaf BLOB NOT NULL);
CREATE TABLE log_peaks(
  one INTEGER PRIMARY KEY CHECK(one = 1), size INTEGER NOT NULL, peaks BLOB NOT NULL);
CREATE TABLE node(idx INTEGER PRIMARY KEY, hash BLOB NOT NULL);  -- of each 256 leaves
CREATE TABLE checkpoint(  -- signed heads, as published
  id INTEGER PRIMARY KEY, size INTEGER NOT NULL, note TEXT NOT NULL);
CREATE INDEX checkpoint_size ON checkpoint(size);
)sql";

}  // namespace smets1kms::registry
