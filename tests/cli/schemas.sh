#!/usr/bin/env bash
# Every JSON output of both commands, over the life of a small fleet as the demo lives it, is held against its schema; and every
# schema has an output here.
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
validate() { /usr/bin/python3 "$here/validate.py" "$@"; }
/usr/bin/python3 -c 'import jsonschema' 2>/dev/null || { echo "this test needs python3-jsonschema"; exit 1; }
setup_token
# Runs a command with --json and keeps its output; where it is to fail, what it says last, too.
json() {  # EXIT COMMAND…
  local expected=$1; shift
  expect_exit "$expected" "$KMS" --config kms.toml --json "$@"
  cat out >>kms.all
  [ "$expected" = 0 ] || tail -1 err >>kms.all
}
audit_json() {
  local expected=$1; shift
  expect_exit "$expected" "$AUDIT" --json "$@"
  cat out >>audit.all
  [ "$expected" = 0 ] || tail -1 err >>audit.all
}

case_ "wrong usage, no registry, the keys of enrolment, devices"
json 2 stauts
json 2 status --nonsense
json 6 status
json 0 init "${OFFICER[@]}" "${WHO[@]}"
make_fleet 13 mfr
"$METER" --state meters.state --meters mfr/meters.csv
json 0 device import mfr/fleet.csv --signature mfr/fleet.csv.p7s --transport-key mfr-a-2026=mfr/mfr-a-2026.key.bin "${OFFICER[@]}" "${WHO[@]}"
json 0 enrol "${OFFICER[@]}" "${WHO[@]}"
json 0 doctor
json 0 device list
json 1 device show 00-00-00-00-00-00-00-01
json 0 device show "$(device 1)" --trail
case_ "rotation, answers, doubts"
json 0 rotate --device "$(device 1)" --role guek --role gak --together --reason operational "${WHO[@]}"
json 1 rotate --all --role guek --role gak --reason post-commissioning --batch B-1 --out t.jsonl "${WHO[@]}"  # one waits
json 0 transfer "$(device 2)/1"
cat t.jsonl >>kms.all
json 0 status
json 0 status --batches
json 0 status --device "$(device 2)"
deliver t.jsonl --fault '#3=lose-reply' --fault-once
json 0 confirm --replies replies.jsonl
challenge_line "$(device 2)" gak >c.jsonl
json 0 prove --challenges c.jsonl
json 0 status
doubt=$(jq -c 'select(.schema == "smets1-kms-status-1") | .waiting[] | select(.kind == "in-doubt")' kms.all | tail -1)
json 0 resolve --device "$(jq -r .device_id <<<"$doubt")" --role "$(jq -r .role <<<"$doubt")" --generation "$(jq -r .generation <<<"$doubt")" \
  --holds old --evidence "a probe" "${WHO[@]}"
json 0 due
json 0 due --status met
json 0 due --next 3
json 0 due --device "$(device 4)"
case_ "handover targets"
make_target headend
json 0 enrol "${OFFICER[@]}" "${WHO[@]}" --handover headend --certificate headend.pem --fingerprint "$(fingerprint headend)" --roles guek,gak --before-transfer
json 0 rotate --device "$(device 8)" --reason operational --out t3.jsonl --handover-out h.jsonl "${WHO[@]}"
cat h.jsonl >>kms.all
json 0 status
json 0 device show "$(device 8)"
json 0 handover --target headend --all
receipts h.jsonl headend >receipts.jsonl
json 0 handover --received receipts.jsonl --out t4.jsonl
deliver t4.jsonl --fault all=lose-reply --fault-once
json 0 confirm --replies replies.jsonl
jq -c '{device_id, role, generation, holds: "new", evidence: "an association"}' t4.jsonl >evidence.jsonl
json 0 resolve --evidence-file evidence.jsonl "${WHO[@]}"
json 0 compromise --target headend --suspicion "a stolen disk" "${WHO[@]}"
case_ "the end of keys"
json 0 rotate --file <(device 4; device 5) --role gak --reason operational --out t2.jsonl "${WHO[@]}"
deliver t2.jsonl
json 0 confirm --replies replies.jsonl
json 0 retire --superseded "${WHO[@]}"
json 0 destroy --deactivated --not-held "${WHO[@]}"
json 0 compromise --device "$(device 6)" --role gak --generation 1 --suspicion "seen in a log" "${WHO[@]}"
json 0 device suspend "$(device 7)" --at "$(date -u +%FT%TZ)" "${WHO[@]}"
json 0 vault status
json 0 checkpoint
json 0 export trail
json 0 compromise --token --suspicion "an image of the host was found" "${WHO[@]}"
case_ "the sealed vault"
sed -i 's/^keep = .*/keep = "sealed"/' kms.toml
json 0 enrol "${OFFICER[@]}" "${WHO[@]}"
json 0 vault renew "${OFFICER[@]}" "${WHO[@]}"
json 0 vault status
json 0 vault reseal "${WHO[@]}"
case_ "devices whose facts contradict each other"
sqlite3 registry.db "UPDATE device_event SET at=at+4000000000000 WHERE seq=1 AND device=(SELECT device FROM device_event WHERE seq=2)"
json 1 due
json 4 check
sqlite3 registry.db "UPDATE device_event SET at=at-4000000000000 WHERE seq=1 AND device=(SELECT device FROM device_event WHERE seq=2)"

case_ "the assessor's command"
audit_json 0 verify trail --key audit.pem
audit_json 5 verify trail
audit_json 0 show trail
audit_json 0 prove trail --device "$(device 1)" --out one.bundle
run "$AUDIT" --json report trail --key audit.pem --json report.json; cat out >>audit.all
cat report.json report-devices.jsonl >>audit.all

for command in kms audit; do
  case_ "smets1-$command"
  program=$([ $command = kms ] && echo "$KMS" || echo "$AUDIT")
  expect_exit 0 validate "$program" $command.all
  sed -n 's/ [0-9]*$//p' out >seen
  expect_exit 0 "$program" schema
  sed -n 's/^\(smets1-[^ ]*\) .*/\1/p' out | sort >listed
  expect_equal "schemas without an output here" "$(comm -13 seen listed | tr '\n' ' ')" ""
  expect_exit 0 "$program" schema --directory schemas
  expect_equal "files" "$(cd schemas && ls ./*.json | sed 's|^./||; s/.json$//' | sort | comm -13 - ../listed)" ""
done
case_
finish
