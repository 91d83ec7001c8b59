#!/usr/bin/env bash
# What comes back from the meters: files with bad lines, answers that are none, answers given twice.
. "$(dirname "$0")/lib.sh"
setup_token
setup_fleet 4
rotate --all --role guek --role gak --out t.jsonl >/dev/null
deliver t.jsonl
cp replies.jsonl good.jsonl
before=$(registry_contents)

named() {  # LINE REGEX: nothing of the file is recorded
  expect_exit 1 kms confirm --replies bad.jsonl
  expect_error "^smets1-kms: bad.jsonl:$1: .*$2"
  expect_one_line_error
  expect_equal registry "$(registry_contents)" "$before"
}
case_ "bad lines"
sed '3s/$/}/' good.jsonl >bad.jsonl; named '3:[0-9]+' 'not a JSON object'
sed '3s/.*/null and void/' good.jsonl >bad.jsonl; named '3:[0-9]+' 'not a JSON object'
sed '3s/.*/[1,2]/' good.jsonl >bad.jsonl; named '3:[0-9]+' 'not a JSON object'
sed '3s/.*/7/' good.jsonl >bad.jsonl; named '3:[0-9]+' 'not a JSON object'
sed '3s/.*/null/' good.jsonl >bad.jsonl; named '3:[0-9]+' 'not a JSON object'
jq -c 'if input_line_number == 3 then del(.transfer_id) else . end' good.jsonl >bad.jsonl; named '3:[0-9]+' '"transfer_id" is missing'
jq -c 'if input_line_number == 3 then del(.reply) else . end' good.jsonl >bad.jsonl; named '3:[0-9]+' '"reply" is missing: hex, or null'
jq -c 'if input_line_number == 3 then .reply = 7 else . end' good.jsonl >bad.jsonl; named '3:[0-9]+' 'reply'
jq -c 'if input_line_number == 3 then .reply = "C7X" else . end' good.jsonl >bad.jsonl; named '3:[0-9]+' ''
jq -c 'if input_line_number == 3 then .transfer_id = "none" else . end' good.jsonl >bad.jsonl; named '3:[0-9]+' 'not a transfer id'
jq -c 'if input_line_number == 3 then .transfer_id = 7 else . end' good.jsonl >bad.jsonl; named '3:[0-9]+' 'transfer_id'
printf '%s' '{"transfer_id":"' >bad.jsonl; named '1:[0-9]+' 'not a JSON object'
head -c 300 /dev/urandom | tr '\n' ' ' >bad.jsonl; named '1:[0-9]+' ''
rm bad.jsonl; expect_exit 1 kms confirm --replies bad.jsonl; expect_error "bad.jsonl: can't be read"
: >bad.jsonl; expect_exit 0 kms confirm --replies bad.jsonl

case_ "an unknown transfer among good ones: recorded as refused, the others stand"
jq -c 'if input_line_number == 3 then .transfer_id |= sub("/.*"; "/77") else . end' good.jsonl >some.jsonl
expect_exit 1 kms confirm --replies some.jsonl
expect_output '^7 confirmed$'
expect_output '^1 refused$'
expect_error '/77: no transfer 77 of .* was released'
case_ "the whole file, after that"
expect_exit 0 kms confirm --replies good.jsonl
count=$(records)
expect_exit 0 kms confirm --replies good.jsonl
expect_output '^8 confirmed$'
expect_equal "the same answers again change nothing" "$(records)" "$count"

case_ "what is no ACTION-Response is refused, named, and changes nothing"
rotate --device "$(device 1)" --role gak --out n.jsonl >/dev/null
id=$(jq -r .transfer_id n.jsonl)
before=$(registry_contents)
expect_exit 2 kms confirm --transfer "$id" --reply ''
expect_error '^smets1-kms: --reply is given and empty'
jq -nc --arg id "$id" '{transfer_id: $id, reply: ""}' >empty.jsonl
expect_exit 1 kms confirm --replies empty.jsonl
expect_error 'the reply is no ACTION response: it is empty'
while read -r reply says; do
  expect_exit 1 kms confirm --transfer "$id" --reply "$reply"
  expect_error "^smets1-kms: the reply is no ACTION response: .*$says"
  expect_one_line_error
done <<'END'
00 tag 00
C701C10001 cut off
C701C100 cut off
C701C1000000 1 bytes follow its end
C701C10000C701C10000 5 bytes follow its end
C702C10000 block of an ACTION response
C703C10100 a result for each key
C401C10000 GET response, tag C4
CF1630012345674613D3FF ciphered reply, tag CF: decipher it first
00010001001000 wrapper frame
E6E700C701C10000 LLC header
7EA0 HDLC frame
C701C10003 its return parameters are not readable
END
expect_equal registry "$(registry_contents)" "$before"
case_ "only success confirms, whatever the code of a failure"
for reply in C701C10100 C701C1FA00 C701C100010103 C701C10C010000 D80102 0E010601; do
  expect_exit 0 kms --json confirm --transfer "$id" --reply "$reply"
  expect_equal "reply '$reply'" "$(jq -r .delivery out)" in-doubt
done
expect_equal "one record of the doubt" "$(sql "SELECT count(*) FROM record WHERE bytes LIKE '%\"result\":\"in-doubt\"%'")" 1
case_ "a late success ends the doubt"
expect_exit 0 kms --json confirm --transfer "$id" --reply c701420000  # the stack chose its own invoke byte
expect_equal delivery "$(jq -r .delivery out)" confirmed
expect_exit 1 kms confirm --transfer "$id" --reply C701C10100
expect_error 'was answered with success before'
case_ "success after the doubt was resolved the other way"
rotate --device "$(device 1)" --role gak --out n2.jsonl >/dev/null
id=$(jq -r .transfer_id n2.jsonl)
expect_exit 0 kms confirm --transfer "$id" --no-answer
expect_exit 0 kms resolve --device "$(device 1)" --role gak --generation 3 --holds old --evidence "associated with the old key" "${WHO[@]}"
expect_exit 1 kms confirm --transfer "$id" --reply C701C10000
expect_error 'was resolved: the device kept its old key'
expect_equal "recorded" "$(last_record | jq -r '[.result, .detail] | join(" ")')" "refused already-resolved"
expect_consistent
case_
finish
