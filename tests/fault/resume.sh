#!/usr/bin/env bash
# A batch over a whole fleet is interrupted by SIGINT, by SIGTERM and by kill -9, and gone on with by the same command: every
# device is rotated exactly once, its transfers are in the file once, and the trail is verified by the assessor's program.
# DEVICES: how many (3,000); they are imported in files of 20,000.
. "$(dirname "$0")/../cli/lib.sh"
devices_wanted=${DEVICES:-3000}
VAULT=sealed setup_token
init_keys >/dev/null
for ((first = 0; first < devices_wanted; first += 20000)); do
  count=$((devices_wanted - first < 20000 ? devices_wanted - first : 20000))
  id=$(printf '00-DB-00-00-%02X-%02X-%02X-%02X' $((first >> 24)) $((first >> 16 & 255)) $((first >> 8 & 255)) $((first & 255)))
  make_fleet $count "mfr.$first" --first-device "$id"
  import_fleet "mfr.$first" >/dev/null
done
expect_equal "devices" "$(devices)" "$devices_wanted"

BATCH=("$KMS" --config kms.toml rotate --all --role guek --role gak --reason operational "${WHO[@]}" --batch B1 --out t.jsonl)
lines() { if [ -e t.jsonl ]; then wc -l <t.jsonl; else echo 0; fi; }
pause=$((devices_wanted > 100000)).02  # a long file takes its time to be counted
# Runs the batch until the file has got so many lines more, then sends the signal.
interrupt() {  # SIGNAL LINES
  local until=$(($(lines) + $2))
  "${BATCH[@]}" >out 2>err & local pid=$!  # the command itself, not a shell round it
  while kill -0 $pid 2>/dev/null && [ "$(lines)" -lt "$until" ]; do sleep $pause; done
  kill -s "$1" $pid 2>/dev/null || fail "the batch was through before it could be interrupted: $(lines) lines"
  code=0; wait $pid || code=$?
}
for signal in INT TERM KILL; do
  case_ "SIG$signal"
  interrupt $signal $((devices_wanted / 4))
  # What was in the token's hands is finished and recorded; after kill -9 the next run settles it.
  expect_equal exit "$code" "$([ $signal = KILL ] && echo 137 || echo 1)"
  [ $signal = KILL ] || expect_error 'interrupted'
  [ $signal = KILL ] || expect_equal "open operations" "$(sql 'SELECT count(*) FROM operation WHERE state=0')" 0
  echo "$signal: $(lines) lines of $((2 * devices_wanted))"
done
case_ "to its end"
expect_exit 0 "${BATCH[@]}"
expect_equal "lines about what the killed process left" "$(grep -c 'operations (rotate, B1:.*) were left unfinished' err)" 1
expect_exit 0 "${BATCH[@]}"  # there is nothing left to do
case_ "exactly once"
expect_equal "transfers in the file" "$(lines)" $((2 * devices_wanted))
expect_equal "distinct transfers" "$(jq -r .transfer_id t.jsonl | sort -u | wc -l)" $((2 * devices_wanted))
expect_equal "keys released" "$(sql 'SELECT count(*) FROM key WHERE role IN (0,2) AND state=1 AND delivery=1')" $((2 * devices_wanted))
expect_equal "second generations" "$(sql 'SELECT count(*) FROM key WHERE role IN (0,2) AND generation>1')" 0
expect_equal "devices without" "$(sql 'SELECT count(*) FROM device WHERE id NOT IN (SELECT device FROM key WHERE role=0)')" 0
expect_equal "transfers of other keys than the registry's" \
  "$(jq -r '.key_id' t.jsonl | sort | comm -3 - <(sql 'SELECT lower(hex(id)) FROM key WHERE role IN (0,2) ORDER BY 1') | wc -l)" 0
case_ "the trail"
expect_exit 0 kms export trail
run "$AUDIT" verify trail --key audit.pem
expect_equal exit "$code" 0
expect_output '^VERIFIED'
case_
finish
