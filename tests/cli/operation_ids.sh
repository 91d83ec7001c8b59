#!/usr/bin/env bash
# The same operation id again gives the same result; another request under it is refused. Files are never overwritten.
. "$(dirname "$0")/lib.sh"
setup_token
setup_fleet 3
D=$(device 2)

case_ "rotate"
rotate_again() { rotate --device "$D" --role guek --role gak --operation-id change-7 "$@"; }
expect_exit 0 rotate_again --out t1.jsonl
count=$(sql 'SELECT count(*) FROM key')
for n in 2 3; do
  expect_exit 0 rotate_again --out t$n.jsonl
  expect_equal "the bytes" "$(jq -c '[.transfer_id, .key_id, .action_request]' t$n.jsonl)" "$(jq -c '[.transfer_id, .key_id, .action_request]' t1.jsonl)"
  expect_equal released_before "$(jq -c .released_before t1.jsonl t$n.jsonl | tr '\n' ' ')" "false false true true "
done
expect_exit 0 rotate_again
expect_equal "warned" "$(grep -c '^NOTE .*handed out before' out)" 2
expect_equal "no key more" "$(sql 'SELECT count(*) FROM key')" "$count"
deliver t1.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_exit 0 rotate_again --out t4.jsonl
expect_equal "after the answer too" "$(jq -c .action_request t4.jsonl)" "$(jq -c .action_request t1.jsonl)"

other() {  # COMMAND…
  count=$(records)
  expect_exit 1 "$@"
  expect_error 'operation id change-7 was given to another request before'
  expect_equal "recorded" "$(last_record | jq -r '[.result, .detail] | join(" ")') $(($(records) - count))" "refused operation-id-reused 1"
}
case_ "another request under the same id"
other rotate --device "$D" --role guek --operation-id change-7
other rotate --device "$D" --role gak --role guek --operation-id change-7
other rotate --device "$(device 3)" --role guek --role gak --operation-id change-7
other rotate_again --together
other kms rotate --reason periodic "${WHO[@]}" --device "$D" --role guek --role gak --operation-id change-7
other kms rotate --reason operational --requested-by s1sp:ops-2 --authorised-by dco:ops-7 --reference CHG-1234 --device "$D" --role guek --role gak --operation-id change-7
other kms compromise --device "$D" --role gak --generation 1 --suspicion x "${WHO[@]}" --operation-id change-7
other kms destroy --device "$D" --role gak --generation 1 "${WHO[@]}" --operation-id change-7

case_ "an id whose request was refused is free"
expect_exit 1 rotate --device "$D" --role kek --role gak --operation-id change-8
expect_exit 0 rotate --device "$D" --role gak --operation-id change-8 --out t8.jsonl
deliver t8.jsonl
expect_exit 0 kms confirm --replies replies.jsonl

case_ "the others"
twice() { expect_exit 0 "$@"; cp out first; expect_exit 0 "$@"; expect_same_file out first; }
twice kms --json destroy --device "$D" --role gak --generation 1 "${WHO[@]}" --operation-id change-9
expect_exit 0 rotate --device "$D" --role guek --out t10.jsonl
expect_exit 0 kms confirm --transfer "$D/4" --no-answer
twice kms --json resolve --device "$D" --role guek --generation 2 --holds old --evidence "key proof" "${WHO[@]}" --operation-id change-10
twice kms --json compromise --device "$D" --role guek --generation 2 --suspicion "seen in a log" "${WHO[@]}" --operation-id change-11
twice kms --json destroy --device "$D" --role guek --generation 2 "${WHO[@]}" --operation-id change-12
make_fleet 2 more --first-device 00-DB-12-34-56-78-FF-00
expect_exit 0 import_fleet more --operation-id change-13
expect_exit 0 import_fleet more --operation-id change-13
expect_output '^0 devices imported with their KEKs, 2 known already'
case_ "retire"
late=$(device 1)
sed -i '/EXAMPLE-E1/,/activation/s/"immediate"/"next-association"/' kms.toml
for n in 1 2; do
  rotate --device "$late" --role guek --role gak --out l$n.jsonl >/dev/null
  deliver l$n.jsonl
  kms confirm --replies replies.jsonl >/dev/null
done
twice kms --json retire --device "$late" --role guek --generation 1 "${WHO[@]}" --operation-id change-14

case_ "what was released and destroyed can't be handed out again"
expect_exit 1 rotate --device "$D" --role gak --operation-id change-7
expect_exit 1 rotate_again --out t5.jsonl
expect_error 'its keys have been destroyed since'

case_ "one id names one rotation"
expect_exit 2 rotate --device "$D" --device "$late" --operation-id change-20
expect_error "names one device's rotation"

case_ "files are never overwritten"
echo precious >precious
expect_exit 1 rotate --device "$D" --role gak --out precious
expect_error "precious: can't be made: File exists. .*never overwritten"
challenge_line "$D" gak >c.jsonl
expect_exit 1 kms prove --challenges c.jsonl --out precious
expect_error "precious: can't be made: File exists"
expect_equal "the file" "$(cat precious)" precious
expect_equal "nothing released" "$(kms --json status | jq '[.waiting[] | select(.kind == "released" and .device_id == "'"$D"'")] | length')" 0
expect_exit 1 rotate --device "$D" --role gak --out nowhere/t.jsonl
expect_error "nowhere/t.jsonl: can't be made: No such file"
ln -s /dev/full full
expect_exit 1 rotate --device "$D" --role gak --out full
case_ "a file of somebody else is never emptied, whatever it ends with"
for content in '{"summary":1}' 'one line without a newline' '{"transfer_ix'; do
  printf '%s' "$content" >theirs
  expect_exit 1 rotate --device "$D" --role gak --batch B-9 --out theirs
  expect_error '^smets1-kms: theirs:1:1: not a transfer'
  expect_equal "the file" "$(cat theirs)" "$content"
done
case_ "standard output on a full disk"
run bash -c '"$KMS" --config kms.toml status >/dev/full'
expect_equal exit "$code" 1
expect_error "standard output can't be written"
case_ "a disk that fills up behind the release"
run bash -c '"$KMS" --config kms.toml --json rotate --reason operational "$@" >/dev/full' -- "${WHO[@]}" --device "$D" --role gak --operation-id change-21
expect_equal exit "$code" 1
expect_error 'run the command again with the same --operation-id'
expect_exit 0 rotate --device "$D" --role gak --operation-id change-21 --out t21.jsonl
expect_equal "handed out before" "$(jq -c .released_before t21.jsonl)" true
case_ "a batch whose file is gone hands out the same bytes once more, in the order asked for"
batch=(rotate --device "$late" --role gak --role guek --together --batch B-1 --out b1.jsonl)
expect_exit 0 "${batch[@]}"
mv b1.jsonl b1.lost
expect_exit 0 "${batch[@]}"
expect_equal "the requests" "$(jq -r .action_request b1.jsonl)" "$(jq -r .action_request b1.lost)"
expect_equal "handed out before" "$(jq -c .released_before b1.jsonl)" true
expect_error '1 of these transfers were released before'
for other in "--role gak --together" "--role gak --role guek" "--role guek --role gak --together"; do
  # shellcheck disable=SC2086
  expect_exit 1 rotate --device "$late" $other --batch B-1 --out b1.jsonl
  expect_error 'the batch B-1 was begun with other roles, identities, reference or options'
done
expect_exit 1 kms rotate --reason operational --requested-by s1sp:else --authorised-by dco:ops-7 --reference CHG-1234 --device "$late" --role gak --role guek --together --batch B-1 --out b1.jsonl
expect_error 'begun with other roles'
expect_exit 0 "${batch[@]}"
expect_output '0 devices: 0 transfers released; 0 refused or failed; 1 done before'
deliver b1.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_exit 0 kms compromise --device "$late" --role guek --generation "$(kms --json device show "$late" | jq '[.keys[] | select(.role == "guek")] | max_by(.generation).generation')" --suspicion "seen" "${WHO[@]}"
batch=(kms rotate --due "${WHO[@]}" --role gak --role guek --batch B-2 --out b2.jsonl)
expect_exit 0 "${batch[@]}"
mv b2.jsonl b2.lost
expect_exit 0 "${batch[@]}"
expect_equal "the requests of duties" "$(jq -r .action_request b2.jsonl | sort)" "$(jq -r .action_request b2.lost | sort)"
expect_equal "more than one" "$(($(wc -l <b2.jsonl) > 1))" 1

expect_consistent
case_
NO_CHECK="the table of fields refuses identities that the writer writes"
finish
