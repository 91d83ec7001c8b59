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
for event in commissioned suspended resumed decommissioned recommissioned; do expect_output "^  [-0-9T:.]+Z  $event$"; done
expect_exit 0 kms --json device show "$one"
expect_equal "events" "$(jq -r '.events | map(.change) | join(" ")' out)" "commissioned suspended resumed decommissioned recommissioned"
kms checkpoint >/dev/null; kms export assessor >/dev/null
expect_exit 0 "$AUDIT" verify assessor --key audit.pem
expect_consistent
finish
