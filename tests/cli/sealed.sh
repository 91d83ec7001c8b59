#!/usr/bin/env bash
# The sealed vault by its commands: enrol, rotate, prove, destroy; storage keys renewed; a trail that verifies.
export VAULT=sealed
. "$(dirname "$0")/lib.sh"
AUDIT=${AUDIT:-$(dirname "$KMS")/smets1-audit}
setup_token
objects() { "$TOKEN_CHECK" --list "$token_uri" "file:$work/token.pin" "$work/registry.db" | wc -l; }

case_ "nothing is opened before the storage keys are there"
sed -i 's/keep = "sealed"/keep = "token"/' kms.toml
init_keys >/dev/null
sed -i 's/keep = "token"/keep = "sealed"/' kms.toml
expect_exit 6 kms rotate --all --reason operational --out none.jsonl "${WHO[@]}"
expect_error 'storage keys'
expect_exit 1 kms doctor
expect_output '^fail +storage keys .*-> smets1-kms enrol'
setup_fleet 4
expect_consistent
before=$(objects)

case_ "a rotation, and proofs of what the meters hold"
expect_exit 0 rotate --all --role guek --role gak --out t1.jsonl
deliver t1.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_token_and_meter_agree "$(device 1):guek" "$(device 1):gak" "$(device 4):guek" "$(device 4):gak"
expect_equal "objects in the token" "$(objects)" "$before"
expect_equal "sealed keys" "$(sql 'SELECT count(*) FROM key WHERE sealed IS NOT NULL')" 12
expect_consistent

case_ "a blob from another device's row is refused by name, the others go on"
sqlite3 registry.db "CREATE TABLE kept AS SELECT * FROM key WHERE role=3 AND device=(SELECT min(device) FROM key);
  UPDATE key SET (sealed,mac,sealed_under,sealed_record)=(SELECT sealed,mac,sealed_under,sealed_record FROM key WHERE role=3 AND device=(SELECT max(device) FROM key))
    WHERE role=3 AND device=(SELECT min(device) FROM key)"
expect_exit 1 rotate --all --role gak --out t2.jsonl
expect_error "$(sqlite3 registry.db "SELECT printf('%016X',min(device)) FROM key" | sed 's/../&-/g; s/-$//').*not the one that the trail recorded"
expect_equal "transfers of the others" "$(wc -l <t2.jsonl)" 3
sqlite3 registry.db "UPDATE key SET (sealed,mac,sealed_under,sealed_record)=(SELECT sealed,mac,sealed_under,sealed_record FROM kept) WHERE role=3 AND device=(SELECT min(device) FROM key); DROP TABLE kept"
deliver t2.jsonl
expect_exit 0 kms confirm --replies replies.jsonl

case_ "destroyed: every blob is gone"
blob=$(sql "SELECT hex(sealed) FROM key WHERE state=4 LIMIT 1")
expect_exit 0 kms destroy --deactivated "${WHO[@]}"
expect_equal "blobs of destroyed keys" "$(sql 'SELECT count(*) FROM key WHERE state=6 AND (sealed IS NOT NULL OR mac IS NOT NULL OR wrapped IS NOT NULL)')" 0
checks=$((checks + 1)); ! xxd -p registry.db | tr -d '\n' | grep -qi "$blob" || fail "the blob is still in the database file"
expect_consistent

case_ "new storage keys, and every key under them"
old=$(sql "SELECT value FROM setting WHERE name='storage_key.kek'")
expect_exit 0 kms vault renew "${OFFICER[@]}" "${WHO[@]}"
expect_exit 0 kms --json vault status
expect_output "$old"
for class in kek:KEKs encryption:'encryption keys' authentication:'authentication keys'; do
  expect_equal "what the older one is for" "$(jq -r --arg k "$(sql "SELECT substr(name,-32) FROM setting WHERE name LIKE 'storage_key.${class%%:*}/old/%'")" '.storage[] | select(.storage_key == $k).for' out)" "${class#*:}"
done
expect_exit 0 kms --json vault reseal "${WHO[@]}"
expect_output '"destroyed_storage_keys":3,"failed":0'
expect_exit 0 kms --json vault status
expect_equal "keys under the old one" "$(grep -c "$old" out)" 0
expect_equal "objects in the token" "$(objects)" "$before"
expect_consistent
expect_exit 0 kms --json vault reseal "${WHO[@]}"
expect_output '"destroyed_storage_keys":0'
expect_token_and_meter_agree "$(device 1):guek" "$(device 2):gak" "$(device 4):guek" "$(device 4):gak"
expect_exit 0 rotate --all --role gak --out t3.jsonl
deliver t3.jsonl
expect_exit 0 kms confirm --replies replies.jsonl

case_ "the trail is what an assessor accepts"
kms checkpoint >/dev/null
expect_exit 0 kms export trail --key audit.pem
expect_exit 0 "$AUDIT" verify trail --key audit.pem
expect_output VERIFIED

case_ "plain: keys come out of their storage keys for good"
rm -rf tokens registry.db* transport-import.pem audit.pem mfr meters.state maker trail
export ENROLMENT=plain
setup_token
setup_fleet 1
expect_exit 0 rotate --all --role gak --out t4.jsonl
deliver t4.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_exit 0 kms vault renew "${WHO[@]}"
expect_exit 1 kms vault reseal "${WHO[@]}"
expect_error 'trusted storage keys'
expect_exit 0 rotate --all --role gak --out t5.jsonl
deliver t5.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_token_and_meter_agree "$(device 1):gak"
expect_consistent
finish
