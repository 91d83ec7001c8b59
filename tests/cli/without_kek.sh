#!/usr/bin/env bash
# Devices without a KEK: listed with the reason, judged, never rotated, until a later file brings the KEK. And no two devices
# with one KEK or one system title.
. "$(dirname "$0")/lib.sh"
AUDIT=${AUDIT:-$(dirname "$KMS")/smets1-audit}
setup_token
init_keys >/dev/null
make_fleet 3 mfr
cp mfr/fleet.csv with_keks.csv
reason='lost by its maker, so it says'; reason=${reason//,/;}
# The second device's line loses its KEK; a fourth never had one.
awk -F, -v OFS=, -v why="$reason" 'NR == 1 { $10 = "no_kek_reason" } NR > 1 { $10 = "" } NR == 3 { $8 = ""; $9 = ""; $10 = why } 1' with_keks.csv >mfr/fleet.csv
echo "00-DB-12-34-56-78-FF-00,GSME,EXAMPLE-G1,4558470000FF0000,1,guek+gak,$(date -u -d '-20 days' +%FT%TZ),,mfr-a-2026,never delivered" >>mfr/fleet.csv
sign mfr/fleet.csv
bare=$(device 2) lost=00-DB-12-34-56-78-FF-00

case_ "listed"
expect_exit 0 import_fleet mfr
expect_output '^2 devices imported with their KEKs, 0 known already, 2 listed without a KEK'
expect_equal devices "$(devices)" 4
expect_consistent
expect_exit 0 kms --json device import mfr/fleet.csv --signature mfr/fleet.csv.p7s "${OFFICER[@]}" "${WHO[@]}"
expect_equal "the same again" "$(jq -c '[.imported, .without_kek, .keks_added, .already_known]' out)" '[0,0,0,4]'
expect_exit 0 kms device list
expect_output "^$bare .* commissioned, no usable KEK: $reason"
expect_exit 0 kms device show "$bare"
expect_output "commissioned, no usable KEK: $reason"
expect_exit 0 kms --json device show "$bare" --trail
expect_equal "its reason" "$(jq -r .no_kek_reason out)" "$reason"
expect_equal "its trail" "$(jq -c '[.trail[].record | [.op, .result, .detail]]' out)" "[[\"device.register\",\"registered-without-kek\",\"no usable KEK: $reason\"]]"
expect_exit 0 kms --json device show "$(device 1)"
expect_equal "no reason" "$(jq -c .no_kek_reason out)" null

case_ "its duties run"
expect_exit 0 kms due
expect_output "^$bare +P1 .*no usable KEK: $reason; then guek: a rotation"
expect_exit 0 kms --json due --device "$lost"
expect_equal "overdue" "$(jq -c '[.status, .breach, .no_kek_reason, .waits_for]' out | head -1)" '["overdue",true,"never delivered","no usable KEK: never delivered; then guek: a rotation; gak: a rotation"]'
expect_exit 7 kms due --fail-on overdue
expect_exit 0 kms status
expect_output '^2 devices came without a KEK'
expect_output "^  $bare  no-usable-kek  \(no usable KEK: $reason; the import of a fleet file that has its KEK brings it"
expect_exit 0 kms --json status
expect_equal "in status" "$(jq -c '[.without_kek, (.waiting[] | select(.kind == "no-usable-kek") | [.device_id, .role, .operation_id])]' out)" "[2,[\"$bare\",null,null],[\"$lost\",null,null]]"
expect_exit 0 kms status --device "$lost"
expect_output 'commissioned, no usable KEK: never delivered'

case_ "never rotated"
for role in guek kek; do
  expect_exit 1 rotate --device "$lost" --role $role
  expect_error "$lost (has no usable KEK: never delivered|does not support a kek)"
done
expect_exit 1 kms --json rotate --device "$bare" --role gak --reason operational "${WHO[@]}"
expect_equal "its reason" "$(tail -1 err | jq -r .reason)" no-usable-kek
expect_exit 0 kms --json rotate --all --reason operational --out all.jsonl "${WHO[@]}"
expect_equal "all" "$(jq -c '[.devices, .failed, .without_kek]' out)" '[2,0,2]'
expect_error '^smets1-kms: 2 devices have no usable KEK: their manufacturer must provide one'
meter --meters mfr/meters.csv
deliver all.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_exit 0 kms --json rotate --due --out due.jsonl "${WHO[@]}"
expect_equal "due" "$(jq -c '[.devices, .failed, .without_kek]' out)" '[0,0,2]'
expect_equal "keys" "$(sql "SELECT count(*) FROM key JOIN device ON device=device.id WHERE no_kek_reason IS NOT NULL")" 0

case_ "the assessor's report"
kms checkpoint >/dev/null
expect_exit 0 kms export trail
expect_exit 0 "$AUDIT" verify trail --key audit.pem
expect_output '^VERIFIED'
expect_exit 0 "$AUDIT" report trail --key audit.pem --html r.html --json r.json
expect_output '^Not compliant: 1 device is overdue'
expect_equal "counted apart" "$(jq -c '[.numbers["without-kek"], .keys["without-kek"].count, [.keys["without-kek"].first[].what]]' r.json)" \
  "[2,2,[\"no usable KEK: $reason\",\"no usable KEK: never delivered\"]]"
expect_in r.html "no usable KEK: never delivered</td>"
expect_in r.html '2 devices</a>|2</a> devices of which no KEK is known'
expect_exit 0 "$AUDIT" show trail --device "$bare"
expect_output "$reason"

case_ "a reason without need, none where it is needed"
bad() { sign bad.csv; expect_exit 1 import_csv bad.csv mfr; expect_error "^smets1-kms: bad.csv:$1: .*$2"; expect_one_line_error; }
awk -F, -v OFS=, 'NR == 2 { $10 = "lost" } 1' mfr/fleet.csv >bad.csv; bad '2:[0-9]+' 'no_kek_reason: the line has a KEK, and a reason'
awk -F, -v OFS=, 'NR == 3 { $10 = "" } 1' mfr/fleet.csv >bad.csv; bad '3:[0-9]+' 'kek_wrapped has 0 bytes.*needs a reason in the column no_kek_reason'
awk -F, -v OFS=, 'NR == 3 { $10 = "a\\b" } 1' mfr/fleet.csv >bad.csv; bad '3:[0-9]+' 'no_kek_reason: 1 to 100 printable'

case_ "two devices with one KEK, or one system title"
known=$(registry_contents)
fresh=00-DB-12-34-56-78-EE-00
new_line() { awk -F, -v OFS=, -v n="$1" -v id=$fresh -v title="${2:-4558450000EE0000}" 'NR == 1 { print } NR == n { $1 = id; $4 = title; print }' with_keks.csv; }
title=$(sed -n 2p with_keks.csv | cut -d, -f4)
new_line 2 >bad.csv; bad '2:[0-9]+' "the KEK of $fresh is that of $(device 1) in the registry"
new_line 3 "$title" >bad.csv; bad '2:[0-9]+' "system_title $title of $fresh is that of $(device 1) in the registry"
{ cat with_keks.csv; new_line 3 | sed 1d; } >bad.csv; bad '5:[0-9]+' 'this very kek_wrapped stands in line 3 already'
{ cat with_keks.csv; new_line 3 "$title" | sed 1d; } >bad.csv; bad '5:[0-9]+' "system_title $title stands in line 2 already"
awk -F, -v OFS=, 'NR == 2 { kek = $8 } NR == 3 { $8 = kek } NR != 2' with_keks.csv >bad.csv; bad '2:[0-9]+' "the KEK of $bare is that of $(device 1) in the registry"
expect_equal registry "$(registry_contents)" "$known"

case_ "a later file brings the KEK"
sign with_keks.csv
expect_exit 0 import_csv with_keks.csv mfr
expect_output '^0 devices imported with their KEKs, 2 known already, 1 given the KEK that was missing'
expect_consistent
expect_exit 0 kms --json status
expect_equal "still without" "$(jq -c '[.without_kek, [.waiting[].device_id]]' out)" "[1,[\"$lost\"]]"
rotate --device "$bare" --out t.jsonl >/dev/null
deliver t.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_token_and_meter_agree "$bare:guek" "$bare:gak"
expect_exit 0 import_fleet mfr  # an older file, where it has none
expect_output '^0 devices imported with their KEKs, 4 known already$|4 known already; signed'
expect_exit 0 kms device decommission "$lost" --at "$(date -u +%FT%TZ)" "${WHO[@]}"
expect_exit 0 kms --json status
expect_equal "none waits" "$(jq -c '[.without_kek, .waiting]' out)" '[0,[]]'
kms checkpoint >/dev/null
expect_exit 0 "$AUDIT" verify registry.db --key audit.pem
expect_output '^VERIFIED'

case_ "what an older registry holds, doctor names"
expect_exit 0 kms doctor
expect_output '^ok +devices +no two have one system title'
expect_agreement; NO_CHECK="its rows are changed from here on"
sqlite3 registry.db "UPDATE device SET system_title=(SELECT system_title FROM device WHERE id=(SELECT min(id) FROM device)) WHERE id=(SELECT max(id) FROM device);
  INSERT INTO imported_kek SELECT sha256,(SELECT max(device) FROM imported_kek) FROM imported_kek WHERE device=(SELECT min(device) FROM imported_kek)"
expect_exit 0 kms doctor
expect_output "^warn +devices +$(device 1) and $lost have one system title; $(device 1) and $(device 3) have one KEK  -> ask"
case_
finish
