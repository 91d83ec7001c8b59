#!/usr/bin/env bash
# Named batches whose runs end early, whose files get lost, whose fleet changes meanwhile.
. "$(dirname "$0")/lib.sh"
setup_token "$SHIM"
fleet=300
setup_fleet $fleet

# Runs a command on a token that takes a while for each call, and interrupts it once its file has a line.
interrupted() {  # FILE COMMAND…
  local file=$1 pid; shift
  SHIM_DELAY_US=2000 "$@" >out 2>err & pid=$!
  while kill -0 $pid 2>/dev/null && [ ! -s "$file" ]; do sleep 0.02; done
  kill -INT $pid; code=0; wait $pid || code=$?
  expect_equal "exit of the interrupted run" "$code" 1
}
expect_each_once() { expect_equal "transfers of $1" "$(jq -r .transfer_id "$1" | sort | uniq -d | wc -l)" 0; }
rotate_guek() { rotate --role guek "$@"; }

case_ "a batch that goes on in another file has there what waits, once"
interrupted a.jsonl "$KMS" --config kms.toml rotate --reason operational "${WHO[@]}" --role guek --all --batch all-1 --out a.jsonl
first=$(wc -l <a.jsonl)
checks=$((checks + 1)); [ "$first" -gt 0 ] && [ "$first" -lt $fleet ] || fail "$first transfers before the interruption: it did not end early"
expect_exit 0 kms rotate --resume all-1 --out b.jsonl
expect_equal "transfers of both runs" "$(wc -l <b.jsonl)" $fleet
expect_each_once b.jsonl
expect_equal "those that were handed out before" "$(jq -c 'select(.released_before)' b.jsonl | wc -l)" "$first"
expect_equal "records of that" "$(sql "SELECT count(*) FROM record WHERE bytes LIKE '%handed-out-again%'")" "$first"
deliver b.jsonl
expect_exit 0 kms confirm --replies replies.jsonl

case_ "lines that were not on the disk when the machine went down come again with the same command"
batch=(rotate_guek --all --batch all-2 --out c.jsonl)
expect_exit 0 "${batch[@]}"
head -40 c.jsonl >c.cut && mv c.cut c.jsonl
expect_exit 0 "${batch[@]}"
expect_equal "lines" "$(wc -l <c.jsonl)" $fleet
expect_each_once c.jsonl
deliver c.jsonl
expect_exit 0 kms confirm --replies replies.jsonl

case_ "a device that joins the fleet while a batch over all is interrupted is not passed over"
joins=$(sql "SELECT printf('%016X', id) FROM device ORDER BY id LIMIT 1" | sed 's/../&-/g; s/-$//')
expect_exit 0 kms device suspend "$joins" --at "$(date -u +%FT%TZ)" "${WHO[@]}"
interrupted d.jsonl "$KMS" --config kms.toml rotate --reason operational "${WHO[@]}" --role guek --all --batch all-3 --out d.jsonl
expect_exit 0 kms device resume "$joins" --at "$(date -u +%FT%TZ)" "${WHO[@]}"
expect_exit 0 kms rotate --resume all-3 --out d.jsonl
expect_equal "lines" "$(wc -l <d.jsonl)" $fleet
expect_in d.jsonl "\"transfer_id\":\"$joins/"
deliver d.jsonl
expect_exit 0 kms confirm --replies replies.jsonl

case_ "a name that no batch can have is refused, and nothing is recorded under it"
before=$(records)
for name in "Mär\"z" "$(printf 'a%.0s' $(seq 5000))" "a b"; do
  expect_exit 1 kms rotate --resume "$name" --out e.jsonl
  expect_exit 1 kms transfer --batch "$name"
done
expect_equal records "$(records)" "$before"
rm -f e.jsonl
expect_exit 1 kms rotate --resume nobody --out e.jsonl
expect_error "there is no batch 'nobody'"
expect_equal "records: the refusal" "$(records)" $((before + 1))

case_ "a device whose row is damaged fails alone"
damaged=$(sql "SELECT printf('%016X', id) FROM device ORDER BY id LIMIT 1 OFFSET 3" | sed 's/../&-/g; s/-$//')
sqlite3 registry.db "UPDATE key SET delivery=99 WHERE device=(SELECT id FROM device ORDER BY id LIMIT 1 OFFSET 3) AND role=0"
expect_exit 1 rotate --role gak --all --batch all-4 --out f.jsonl
expect_error "$damaged: the registry holds the number 99 as delivery: it is damaged"
expect_equal "transfers of the others" "$(wc -l <f.jsonl)" $((fleet - 1))
expect_exit 1 rotate --role gak --all --batch all-4 --out f.jsonl
expect_output '0 devices: 0 transfers released; 1 refused or failed; 299 done before'
sqlite3 registry.db "UPDATE key SET delivery=4 WHERE device=(SELECT id FROM device ORDER BY id LIMIT 1 OFFSET 3) AND role=0"
expect_exit 0 rotate --role gak --all --batch all-4 --out f.jsonl
expect_equal "transfers of all" "$(wc -l <f.jsonl)" $fleet
deliver f.jsonl
expect_exit 0 kms confirm --replies replies.jsonl

case_ "a list with a device that is not known destroys nothing, and that is recorded"
sql "SELECT printf('%016X', id) FROM device" | sed 's/../&-/g; s/-$//' >list
echo 00-DB-12-34-56-78-FF-FF >>list
before=$(records)
expect_exit 1 kms destroy --file list "${WHO[@]}"
expect_error '00-DB-12-34-56-78-FF-FF is not in the registry'
expect_one_line_error
expect_equal "records: the refusal" "$(records)" $((before + 1))
expect_in <(last_record) '"op":"key.destroy".*"result":"refused"'
case_ "a refusal that names a device which does not exist adds none to the report"
expect_exit 0 kms checkpoint
expect_exit 0 kms export trail
run "$AUDIT" report trail --key audit.pem --json report.json
expect_equal "devices that can't be judged" "$(jq '[.. | objects | select(has("facts-unknown"))."facts-unknown"] | first' report.json)" 0
expect_not_in out "can't be judged"
sed -i '$d' list
expect_exit 0 kms destroy --file list "${WHO[@]}"
expect_consistent

case_ "the same reason comes again for a device that a batch of what is due has rotated"
D=$(device 1)
suspect() {
  expect_exit 0 kms compromise --device "$D" --role guek --generation "$(kms --json device show "$D" | jq '[.keys[] | select(.role == "guek")] | max_by(.generation).generation')" --suspicion seen "${WHO[@]}"
}
due=(kms rotate --due --role guek "${WHO[@]}" --batch weekly --out g.jsonl)
suspect
expect_exit 0 "${due[@]}"
deliver g.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_exit 0 "${due[@]}"
suspect
expect_exit 1 "${due[@]}"
expect_error "$D: the batch weekly has rotated $D for this reason before, and that is due again"
expect_exit 0 kms rotate --due --role guek "${WHO[@]}" --batch weekly-2 --out h.jsonl

case_
NO_CHECK="the table of fields refuses the ckr of a failed outcome that the writer writes"
finish
