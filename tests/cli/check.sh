#!/usr/bin/env bash
# 'check': a fleet that has been through everything agrees with its trail; each kind of row that is changed is named, and each
# object that the token lacks or should not have.
. "$(dirname "$0")/lib.sh"
setup_token
setup_fleet 3
make_target head-end
admit_target head-end guek+gak >/dev/null
one=$(device 1) two=$(device 2)
rotate --device "$one" --out one.jsonl --handover-out handed.jsonl >/dev/null
deliver one.jsonl; kms confirm --replies replies.jsonl >/dev/null
rotate --device "$two" --role kek --out kek.jsonl >/dev/null
deliver kek.jsonl; kms confirm --replies replies.jsonl >/dev/null
kms device suspend --device "$(device 3)" --at "$(date -u +%FT%TZ)" "${WHO[@]}" >/dev/null
case_ "agreement"
expect_agreement
expect_output '^agreement: 3 devices'
expect_exit 0 kms check --no-token
expect_output '^not compared: the token'
expect_exit 0 kms --json check
expect_equal "as JSON" "$(jq -c '[.agrees, .devices, .contradictions, .listed]' out)" '[true,3,0,[]]'
mv token.pin hidden.pin; expect_exit 0 kms check --no-token; expect_exit 3 kms check; mv hidden.pin token.pin

cp registry.db clean.db
cp registry.db-wal clean.db-wal 2>/dev/null || true
sqlite3 clean.db 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
# Changes the rows of a copy. The check names the row, and what the trail says.
falsely() {  # SQL REGEX
  case_ "$1"
  rm -f false.db*; cp clean.db false.db
  sqlite3 false.db "PRAGMA foreign_keys=OFF; $1"
  sed 's/^database = .*/database = "false.db"/' kms.toml >false.toml
  expect_exit 4 "$KMS" --config false.toml check --no-token
  expect_output "$2"
}
first='device=(SELECT min(device) FROM key)'
falsely "UPDATE device SET model='EXAMPLE-G1' WHERE id=(SELECT min(id) FROM device)" "device row of $one .*column model is 'EXAMPLE-G1', and by the trail 'EXAMPLE-E1'"
for column in kind suite supports commissioned_at status registered record; do
  falsely "UPDATE device SET $column=$column+1 WHERE id=(SELECT min(id) FROM device)" "device row of $one"
done
falsely "UPDATE device SET no_kek_reason='lost' WHERE id=(SELECT min(id) FROM device)" "device row of $one .*no_kek_reason"
falsely "DELETE FROM device WHERE id=(SELECT min(id) FROM device)" "device row of $one .*missing"
falsely "INSERT INTO device SELECT id+9999,kind,model,system_title,suite,supports,commissioned_at,status,no_kek_reason,registered,record FROM device LIMIT 1" 'device row of .*the trail has nothing of it'
falsely "INSERT INTO device SELECT -id,kind,model,system_title,suite,supports,commissioned_at,status,no_kek_reason,registered,record FROM device LIMIT 1" 'device row of FF-.*the trail has nothing of it'
for column in state delivery transfer made record created_at in_doubt_at confirmed_at not_held_at compromised_at generation; do
  falsely "UPDATE key SET $column=coalesce($column,0)+1 WHERE $first AND role=0" "key (guek|row 0)"
done
for column in id predecessor kek wrapped awaiting sealed; do
  falsely "UPDATE key SET $column=randomblob(16) WHERE $first AND role=0" "key guek 1 of $one .*column $column"
done
falsely "UPDATE key SET operation='another' WHERE $first AND role=0" "key guek 1 of $one .*column operation"
falsely "UPDATE key SET wrapped=NULL WHERE $first AND role=0" "key guek 1 of $one .*column wrapped is empty"
falsely "DELETE FROM key WHERE $first AND role=0" "key guek 1 of $one .*row is missing"
falsely "UPDATE device_event SET at=at+1 WHERE device=(SELECT max(device) FROM device_event)" "device_event row 1 of .*column at"
falsely "DELETE FROM device_event WHERE $first" "device_event row 1 of $one .*missing"
falsely "UPDATE imported_kek SET sha256=randomblob(32) WHERE $first" "imported_kek row of $one"
falsely "UPDATE handover SET received_at=1 WHERE $first AND role=0" "handover row of key 0/1 of $one to head-end/1.*column received_at"
falsely "UPDATE handover SET wrapped=randomblob(384) WHERE $first AND role=0" "handover row of .*column wrapped"
falsely "DELETE FROM handover WHERE $first AND role=0" "key guek 1 of $one .*handover of it is missing"
for change in "roles=4" "before_transfer=1" "hash='SHA-256'" "certificate=randomblob(9)" "keep=1-keep" "status=2" "admitted_at=1" "record=1" "id=randomblob(16)"; do
  falsely "UPDATE target SET $change" "target row"
done
falsely "UPDATE operation SET state=0 WHERE kind='rotate'" "operation row .*open, and by the trail it has ended"
falsely "UPDATE operation SET kind='key.destroy',state=0 WHERE kind='rotate'" "operation row .*its kind is key.destroy"
falsely "UPDATE operation SET intent=1 WHERE kind='rotate'" "operation row .*of another operation"
falsely "UPDATE operation SET state=2 WHERE kind='rotate'" "operation row .*ended otherwise"
falsely "INSERT INTO operation SELECT 'forged','token.compromise',NULL,digest,0,'0',0,0,0 FROM operation LIMIT 1" "operation row forged"
falsely "INSERT INTO operation_key SELECT device,role,9,operation FROM operation_key LIMIT 1" "operation_key row"
for name in store audit_key import_key import_key_record enrolment_key policy_in_force policy_begins audit.origin; do
  falsely "UPDATE setting SET value='00112233445566778899AABBCCDDEEFF' WHERE name='$name'" "setting $name"
done
falsely "UPDATE setting SET value=value||' ' WHERE name GLOB 'policy/*'" 'setting policy/.*no record'
falsely "UPDATE setting SET value='no key' WHERE name='audit_key_pem'" 'audit trail: an audit key kept in the database'
falsely "UPDATE record SET bytes=replace(bytes,'s1sp:ops-1','s1sp:ops-9') WHERE idx=9" 'audit trail'
falsely "UPDATE record SET previous=1 WHERE previous IS NOT NULL AND idx=(SELECT max(idx) FROM record WHERE previous IS NOT NULL)" 'audit trail'
falsely "UPDATE device_head SET sequence=sequence+1 WHERE $first" 'audit trail'
falsely "UPDATE log_peaks SET size=size-1" 'log_peaks row'
falsely "UPDATE checkpoint SET size=size+1 WHERE id=1" 'checkpoint row 1'
falsely "INSERT INTO node VALUES(77,zeroblob(32))" 'node table'
falsely "CREATE TRIGGER t AFTER UPDATE ON key BEGIN SELECT 1; END" "schema was changed: 't'"

case_ "control characters of a row stay off the terminal"
falsely "UPDATE operation SET id=char(27)||'[31m' WHERE id=(SELECT min(id) FROM operation WHERE kind='rotate')" 'operation row .x1B'

# ---- the token ----
# Deletes an object, and puts the token back as it was.
without() {  # ID REGEX
  case_ "without $2"
  rm -rf kept; cp -a tokens kept
  "$TOKEN_CHECK" --delete "$token_uri" "file:$work/token.pin" "$1" || fail "nothing deleted"
  expect_exit 4 kms check
  expect_output "$2"
  expect_output '-> restore the token'
  expect_exit 1 kms doctor
  expect_output "^fail +.*$2"
  rm -rf tokens; mv kept tokens
}
setting() { sql "SELECT lower(value) FROM setting WHERE name='$1'"; }
without "$(setting import_key)" 'import key'
without "$(setting enrolment_key)" 'enrolment key'
without "$(setting audit_key)" 'audit key'
without "$(sql "SELECT lower(hex(id)) FROM key WHERE role=0 ORDER BY device LIMIT 1")" 'key guek 1 of'
without "$(sql "SELECT lower(hex(id)) FROM target")" 'target head-end/1'
case_ "objects that nothing names"
"$KMS" --config kms.toml check >/dev/null
cp registry.db* saved-rows/ 2>/dev/null || { mkdir saved-rows; cp registry.db* saved-rows/; }
sqlite3 registry.db "DELETE FROM key WHERE role=0 AND device=(SELECT min(device) FROM key)"
expect_exit 4 kms check
expect_output '^token object [0-9A-Fa-f]{32}: nothing names it; its label is smets1-kms/guek/'
rm -f registry.db*; cp saved-rows/* .
case_
finish
