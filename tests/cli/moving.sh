#!/usr/bin/env bash
# A registry moves from the token vault to the sealed one and back: KEKs by their manufacturer's file, keys by rotation.
. "$(dirname "$0")/lib.sh"
AUDIT=${AUDIT:-$(dirname "$KMS")/smets1-audit}
keep() { sed -i "s/^keep = .*/keep = \"$1\"/" kms.toml; }
in_token() { kms --json vault status | jq .in_token; }
sealed() { kms --json vault status | jq '[.storage[].keys] | add // 0'; }
move() {  # FILE: as the enrolment has it
  local command=(device import); [ "$ENROLMENT" = plain ] || command=(enrol)
  kms --json "${command[@]}" "$1" --signature "$1.p7s" --transport-key mfr-a-2026=mfr/mfr-a-2026.key.bin --move "${OFFICER[@]}" "${WHO[@]}"
}
make_storage_keys() { if [ "$ENROLMENT" = plain ]; then kms init "${WHO[@]}"; else kms enrol "${OFFICER[@]}" "${WHO[@]}"; fi; }
round() {  # FILE [what to rotate]: new keys, sent, answered
  expect_exit 0 rotate --all --role guek --role gak --out "$1"
  deliver "$1"
  expect_exit 0 kms confirm --replies replies.jsonl
}
expect_keks() {  # SQL OF THE USABLE ONES, HOW MANY
  expect_equal "usable KEKs with $1" "$(sql "SELECT count(*) FROM key WHERE role=3 AND state=2 AND $1")" "$2"
}
expect_verified() {
  kms checkpoint >/dev/null
  rm -rf trail; expect_exit 0 kms export trail
  expect_exit 0 "$AUDIT" verify trail --key audit.pem
  expect_output '^VERIFIED'
}

for ENROLMENT in officer plain; do
  export ENROLMENT
  case_ "$ENROLMENT: in the token"
  rm -rf tokens registry.db* transport-import.pem audit.pem mfr meters.state maker trail ./*.jsonl
  VAULT=token setup_token
  setup_fleet 6
  round t1.jsonl
  expect_equal "in the token" "$(in_token)" "$(sql 'SELECT count(*) FROM key WHERE state=2')"
  expect_equal "sealed" "$(sealed)" 0
  expect_exit 0 move mfr/fleet.csv
  expect_output '"imported":0.*"moved":0'  # nothing rests elsewhere

  case_ "$ENROLMENT: KEKs to the sealed vault, a part of the fleet at a time"
  keep sealed
  make_storage_keys >/dev/null
  expect_exit 0 rotate --device "$(device 3)" --role gak --out waiting.jsonl  # released before, answered behind the move
  expect_exit 0 rotate --device "$(device 2)" --role kek --out kek.jsonl      # one on its way stays where it is
  # Nor does one that its device was shown not to hold stand in the way.
  expect_exit 0 rotate --device "$(device 6)" --role kek --out refused.jsonl
  expect_exit 0 kms confirm --transfer "$(field refused.jsonl .transfer_id)" --no-answer
  expect_exit 0 rotate --device "$(device 6)" --role gak --under-proven-kek --out shown.jsonl
  deliver shown.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_equal "its KEK" "$(sql 'SELECT state,delivery FROM key WHERE role=3 AND generation=2 AND device=(SELECT max(device) FROM key)')" "1|5"
  # A line whose bytes are not those that its KEK came in moves nothing: here two devices' are exchanged.
  awk -F, -v OFS=, 'NR == FNR { kek[FNR] = $8; next } FNR == 5 { $8 = kek[6] } FNR == 6 { $8 = kek[5] } { print }' mfr/fleet.csv mfr/fleet.csv >exchanged.csv
  (head -1 mfr/fleet.csv; sed -n 2,4p mfr/fleet.csv) >half.csv
  sign exchanged.csv; sign half.csv
  expect_exit 0 move half.csv
  expect_output '"moved":2'
  expect_exit 0 move half.csv
  expect_output '"moved":0'
  expect_exit 0 move exchanged.csv
  expect_output '"moved":1'
  expect_exit 0 move mfr/fleet.csv
  expect_output '"moved":2'
  expect_output "KEK 1 of $(device 2) stays where it is: a newer one is on its way"
  expect_keks 'sealed IS NOT NULL' 5
  expect_keks 'sealed IS NULL' 1
  expect_equal "records that say so" "$(sql "SELECT count(*) FROM record WHERE bytes LIKE '%moved: the same KEK is key%'")" 5
  expect_consistent

  case_ "$ENROLMENT: what was under way goes on, and the meters' KEK is the same"
  deliver waiting.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  deliver kek.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_exit 0 admit_keks
  expect_exit 0 rotate --device "$(device 2)" --role gak --out proof.jsonl
  deliver proof.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  round t2.jsonl
  expect_token_and_meter_agree "$(device 1):guek" "$(device 2):gak" "$(device 3):gak" "$(device 5):guek" "$(device 6):gak"
  expect_exit 0 kms destroy --deactivated "${WHO[@]}"
  expect_exit 0 kms destroy --not-held "${WHO[@]}"
  expect_equal "left in the token" "$(in_token)" 0
  expect_equal "device keys in the token" "$("$TOKEN_CHECK" --list "$token_uri" "file:$work/token.pin" "$work/registry.db" | grep -cE '/(guek|gbek|gak|kek)/')" 0
  expect_consistent
  expect_verified

  case_ "$ENROLMENT: and back"
  keep token
  expect_exit 0 move mfr/fleet.csv
  expect_output '"moved":5'  # device 2 has another since; it goes by rotation, where the officer need not trust it
  round t3.jsonl
  expect_exit 0 kms destroy --deactivated "${WHO[@]}"
  expect_equal "sealed" "$(sealed)" 1
  expect_equal "usable GUEKs and GAKs outside of the token" "$(sql 'SELECT count(*) FROM key WHERE role<>3 AND state=2 AND sealed IS NOT NULL')" 0
  expect_token_and_meter_agree "$(device 1):gak" "$(device 2):guek" "$(device 6):guek"
  expect_consistent

  case_ "$ENROLMENT: a moved KEK is suspected with all that it wrapped under every id"
  expect_exit 0 kms --json compromise --device "$(device 1)" --role kek --generation 3 --suspicion "seen in a log" "${WHO[@]}"
  expect_equal "keys of the device not marked" "$(sql "SELECT count(*) FROM key WHERE device=(SELECT min(device) FROM key) AND state NOT IN (5,7)")" 0
  expect_exit 0 move mfr/fleet.csv  # a suspected one is passed over, the file goes on
  expect_output '"moved":0'
  expect_verified
done

case_ "plain: the last KEK by rotation"
expect_exit 0 rotate --device "$(device 2)" --role kek --out last.jsonl
deliver last.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_exit 0 rotate --device "$(device 2)" --role gak --out last-gak.jsonl
deliver last-gak.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_exit 0 kms destroy --deactivated "${WHO[@]}"
expect_equal "sealed" "$(sealed)" 0
expect_token_and_meter_agree "$(device 2):gak"
expect_consistent
finish
