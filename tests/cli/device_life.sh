#!/usr/bin/env bash
# Out of service and back: recorded under two identities, judged by the policy, shown.
. "$(dirname "$0")/lib.sh"
setup_token
setup_fleet 2
now() { date -u +%Y-%m-%dT%H:%M:%S.%3NZ; }
one=$(device 1)
case_ "a device's life"
expect_exit 2 kms device suspend "$one" "${WHO[@]}"
expect_error '^smets1-kms: --at is missing'
expect_exit 1 kms device resume "$one" --at "$(now)" "${WHO[@]}"
expect_error 'is commissioned: it can.t be resumed'
expect_exit 1 kms device suspend "$one" --at 2999-01-01T00:00:00Z "${WHO[@]}"
expect_error 'lies ahead'
expect_exit 1 kms device suspend "$one" --at 2019-01-01T00:00:00Z "${WHO[@]}"
expect_error 'is before what is known'
expect_exit 2 kms device suspend "$one" --at 2026-01-01T00:00:00 "${WHO[@]}"
expect_exit 1 kms device suspend "$one" --at "$(now)" --requested-by a --authorised-by A --reference R
expect_exit 0 kms device suspend "$one" --at "$(now)" "${WHO[@]}"
expect_exit 0 kms device list
expect_output "^$one .* suspended$"
expect_exit 0 kms device resume "$one" --at "$(now)" "${WHO[@]}"
expect_exit 0 kms due --device "$one"
expect_output 'status    pending'   # the clock did not stop
expect_exit 0 kms --json device decommission "$one" --at "$(now)" "${WHO[@]}"
expect_output '"change":"decommissioned".*"status":"decommissioned"'
expect_exit 0 kms due --device "$one"
expect_output 'status    closed'
expect_exit 1 rotate --device "$one"
expect_error 'is decommissioned'
expect_exit 0 rotate --all --out all.jsonl
expect_equal "not among all" "$(jq -r .device_id all.jsonl | grep -c "$one" || true)" 0
expect_exit 0 kms device recommission "$one" --at "$(now)" "${WHO[@]}"
expect_exit 0 kms rotate --due --out again.jsonl "${WHO[@]}"
expect_equal "the reason" "$(sql "SELECT DISTINCT bytes->>'reason'||' '||(bytes->>'rule') FROM record WHERE bytes->>'op'='key.generate' AND bytes->>'device'='$one' AND bytes->>'phase'='outcome'")" "recommissioning P1"
deliver again.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_exit 0 kms device show "$one"
case_ "a key that was retired while its device was out of service, and one that was under way, are no longer waited for"
two=$(device 2)
deliver all.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_exit 0 rotate --device "$two" --role gak --out under-way.jsonl
expect_exit 0 kms device decommission "$two" --at "$(now)" "${WHO[@]}"
expect_exit 0 kms retire --device "$two" --role guek --generation 1 "${WHO[@]}"
expect_exit 0 kms destroy --device "$two" --role gak --generation 2 "${WHO[@]}"
expect_exit 0 kms status
expect_equal "what waits" "$(grep -c "$two" out || true)" 0
expect_equal "what waits" "$(kms --json status | jq -c .waiting)" '[]'
expect_exit 0 kms device recommission "$two" --at "$(now)" "${WHO[@]}"
case_ "the others' old keys go all the same"
expect_exit 0 rotate --device "$one" --out more.jsonl; deliver more.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
coproc READER { sqlite3 -readonly registry.db; }
echo 'BEGIN; SELECT count(*) FROM key;' >&"${READER[1]}"; read -r _ <&"${READER[0]}"
expect_exit 0 kms --json destroy --deactivated "${WHO[@]}"
expect_output '"destroyed":2,"in_use":1'
expect_error '^smets1-kms: 1 deactivated keys may still be in use'
expect_error '^smets1-kms: a reader keeps .*registry.db-wal open, where what was destroyed may still stand'
echo .quit >&"${READER[1]}"; wait "$READER_PID" || true
expect_exit 0 rotate --device "$one" --role gak --out gone.jsonl
expect_equal "bytes of the log" "$(stat -c %s registry.db-wal 2>/dev/null || echo 0)" 0
expect_exit 0 kms device show "$one"
for event in commissioned suspended resumed decommissioned recommissioned; do expect_output "^  [-0-9T:.]+Z  $event(, recorded 2 days late)?$"; done
expect_output '  commissioned, recorded 2 days late$'   # the fleet file's date
expect_exit 0 kms --json device show "$one"
expect_equal "events" "$(jq -r '.events | map(.change) | join(" ")' out)" "commissioned suspended resumed decommissioned recommissioned"
case_ "imported before it is in service, and commissioned later"
make_fleet 2 shelf --first-device 00-DB-12-34-56-78-A0-00
awk -F, -v OFS=, 'NR > 1 { $7 = "" } 1' shelf/fleet.csv >empty.csv; mv empty.csv shelf/fleet.csv; sign shelf/fleet.csv
expect_exit 0 import_fleet shelf
admit_keks >/dev/null
mapfile -t shelf < <(sed 1d shelf/fleet.csv | cut -d, -f1)
expect_exit 0 kms device list
expect_output "^${shelf[0]} .* not-commissioned"
expect_exit 0 kms due --device "${shelf[0]}"
expect_output 'not-applicable: it was not commissioned then'
expect_exit 1 rotate --device "${shelf[0]}"
expect_error 'is not commissioned'
expect_exit 2 kms device commission "${shelf[0]}" "${WHO[@]}"
expect_exit 2 kms device commission "${shelf[0]}" --at "$(now)" --file both.jsonl "${WHO[@]}"
printf '{"device_id":"%s","at":"%s"}\n' "${shelf[0]}" "$(now)" "${shelf[1]}" tomorrow >bad.jsonl
expect_exit 1 kms device commission --file bad.jsonl "${WHO[@]}"
expect_error 'bad.jsonl:2'
printf '{"device_id":"%s","at":"%s"}\n' "${shelf[0]}" "$(now)" "${shelf[1]}" "$(now)" "$one" "$(now)" >good.jsonl
expect_exit 1 kms device commission --file good.jsonl "${WHO[@]}"
expect_error 'it can.t be commissioned'
expect_exit 0 kms device list
expect_output "^${shelf[1]} .* commissioned"
expect_exit 0 kms due --device "${shelf[1]}"
expect_output 'status    pending'
sed 's/,,/,2999-01-01T00:00:00Z,/' shelf/fleet.csv >ahead.csv; sign ahead.csv
expect_exit 1 import_csv ahead.csv shelf
expect_error 'ahead.csv:2:[0-9]+: commissioned_at 2999-01-01T00:00:00.000Z lies ahead'
kms checkpoint >/dev/null; kms export assessor >/dev/null
expect_exit 0 "$AUDIT" verify assessor --key audit.pem
expect_consistent
NO_CHECK="the table of fields wants a time of commissioning that a registration need not have"
finish
