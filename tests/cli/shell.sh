#!/usr/bin/env bash
# The shell round every command: where it finds its configuration, what it says of mistakes, how it reads lists and answers.
# D11, C4, C5, C7, C10 and C14 are the field cases of these names (docs of the project's issues).
. "$(dirname "$0")/lib.sh"
setup_token
setup_fleet 4
unset SMETS1_KMS_CONFIG

case_ "the configuration, in every way to say it (D11)"
mkdir elsewhere; cp kms.toml elsewhere/other.toml
for form in "--config kms.toml status" "status --config kms.toml" "-c kms.toml status" "status -c kms.toml" "--config=kms.toml status" "status"; do
  # shellcheck disable=SC2086
  expect_exit 0 "$KMS" $form
done
sed -i "s|^database = .*|database = \"$work/registry.db\"|" elsewhere/other.toml
cd elsewhere
expect_exit 1 "$KMS" status
expect_error 'kms.toml: can.t be read.*--config FILE or in .SMETS1_KMS_CONFIG'
SMETS1_KMS_CONFIG=other.toml expect_exit 0 "$KMS" status
SMETS1_KMS_CONFIG=nowhere.toml expect_exit 0 "$KMS" -c other.toml status
cd ..
expect_exit 1 "$KMS" --config . status
expect_error '^smets1-kms: . is a directory: name the file in it'
expect_one_line_error
case_ "--version, help, groups, mistyped words (D11)"
for form in --version "status --version"; do
  # shellcheck disable=SC2086
  expect_exit 0 "$KMS" $form
  expect_output '^smets1-kms [0-9]+[.][0-9]+[.][0-9]+$'
done
expect_exit 2 "$KMS" stauts
expect_error "'stauts' is not a command; did you mean 'status'\?"
expect_one_line_error
expect_exit 2 "$KMS" status --devcie 1
expect_error "'--devcie' is not an option here; did you mean '--device'\?"
expect_exit 2 "$KMS" rotate --al
expect_error "'--al' is not an option here"
expect_exit 2 "$KMS" device
expect_error "'device import', 'device list', 'device show'"
expect_exit 0 "$KMS" help device
expect_output '^  device import +[a-z]'
expect_not_in out '^  rotate'
expect_exit 0 "$KMS" help device show
expect_output '^usage: smets1-kms device show DEVICE'
case_ "with --json an error is the last line of standard error"
reason() { tail -1 err | jq -r .reason; }
expect_exit 2 "$KMS" --json stauts; expect_equal reason "$(reason)" wrong-usage
expect_exit 1 kms --json device show 00-00-00-00-00-00-00-01; expect_equal reason "$(reason)" unknown-device
expect_equal "what ends it" "$(tail -1 err | jq -r .remedy)" "import the device"
expect_exit 1 kms --json rotate --device "$(device 1)" --role kek --role gak --reason operational "${WHO[@]}" --operation-id O-1
expect_equal reason "$(reason)" kek-alone
expect_equal operation "$(tail -1 err | jq -r .operation_id)" O-1
expect_exit 1 kms --json --config . status; expect_equal reason "$(reason)" bad-input
expect_equal "on standard output" "$(cat out)" ""
case_ "a suggestion for the first word of two, an option that is given and empty"
expect_exit 2 "$KMS" devise list
expect_error "'devise' is not a command; did you mean 'device'"
expect_exit 2 rotate --device "$(device 1)" --role gak --out ''
expect_error '^smets1-kms: --out is given and empty'
case_ "the list of the schemas"
expect_exit 0 "$KMS" schema --json
expect_equal "one of them" "$(jq -r 'select(.name == "smets1-error-1").schema' out)" smets1-schema-1
expect_exit 0 "$KMS" schema --directory schemas
expect_output "^$(ls schemas | wc -l) schemas in schemas"
expect_exit 2 "$KMS" schema smets1-error-1 --directory schemas
expect_exit 1 "$KMS" schema --directory kms.toml
expect_error '^smets1-kms: kms.toml can.t be made: '
case_ "a file that can't be made is not said to be there"
expect_exit 1 rotate --device "$(device 1)" --role gak --out nowhere/t.jsonl
expect_not_in err 'never overwritten'
case_ "what no batch can be called"
expect_exit 1 rotate --all --role gak --batch 'a b' --out t.jsonl
expect_error "a batch's name is 1 to 26"
case_ "exit codes"
mv registry.db kept.db
expect_exit 6 kms status
mv kept.db registry.db
mv softhsm2.conf kept.conf
expect_exit 3 kms --json rotate --device "$(device 1)" --reason operational "${WHO[@]}"
expect_equal reason "$(reason)" token-unavailable
mv kept.conf softhsm2.conf

case_ "a list is read once (C4)"
list() { device 1; device 2; }
expect_exit 0 rotate --file <(list) --role gak --out t1.jsonl
expect_equal transfers "$(wc -l <t1.jsonl)" 2
list | expect_exit 0 rotate --file /dev/stdin --role guek --out t2.jsonl
expect_equal transfers "$(wc -l <t2.jsonl)" 2
device 3 | expect_exit 0 rotate --file - --role guek --out t3.jsonl
expect_equal transfers "$(wc -l <t3.jsonl)" 1
expect_exit 1 rotate --file <(echo '# nobody') --out t4.jsonl
expect_error 'names no device'
cat t1.jsonl t2.jsonl t3.jsonl >t.jsonl
deliver t.jsonl
mkfifo answers; cat replies.jsonl >answers &
expect_exit 0 kms confirm --replies answers
expect_output '^5 confirmed$'
case_ "a byte-order mark, CRLF and blank lines at the end are nothing (C14)"
bom=$(printf '\357\273\277')
{ printf '%s' "$bom"; list | sed 's/$/\r/'; printf '\r\n\r\n \n'; } >windows.list
expect_exit 0 rotate --file windows.list --role gak --out t5.jsonl
expect_equal transfers "$(wc -l <t5.jsonl)" 2
deliver t5.jsonl
{ printf '%s' "$bom"; sed 's/$/\r/' replies.jsonl; printf '\r\n\r\n'; } >windows.jsonl
expect_exit 0 kms confirm --replies windows.jsonl
expect_output '^2 confirmed$'
printf '%s\nx\0y\n' "$(device 1)" >nul.list
expect_exit 1 rotate --file nul.list --role gak
expect_error 'nul.list:2:2: '
case_ "nothing that an input holds steers the terminal (D9)"
printf '\033]0;owned\007\n' >escape.list
expect_exit 1 rotate --file escape.list --role gak
expect_error 'escape.list:1:1: '
expect_exit 2 kms device show "$(printf 'x\033[2Jy')"
expect_error 'x.x1B\[2Jy'
checks=$((checks + 1)); ! grep -q "$(printf '[\033\007]')" err || fail "a control character reaches the terminal"
case_ "a member of one name twice, numbers out of range (C10)"
rotate --device "$(device 4)" --role gak --out t6.jsonl >/dev/null
id=$(jq -r .transfer_id t6.jsonl)
before=$(registry_contents)
echo "{\"transfer_id\":\"$id\",\"reply\":null,\"reply\":\"C701C10000\"}" >twice.jsonl
expect_exit 1 kms confirm --replies twice.jsonl
expect_error 'twice.jsonl:1:[0-9]+: the member "reply" '
echo "{\"transfer_id\":\"$id\",\"result\":1e999}" >large.jsonl
expect_exit 1 kms confirm --replies large.jsonl
expect_error 'large.jsonl:1:[0-9]+: .*out of range'
expect_one_line_error
echo "{\"transfer_id\":\"$id\",\"result\":256}" >large.jsonl
expect_exit 1 kms confirm --replies large.jsonl
expect_equal "the registry" "$(registry_contents)" "$before"
case_ "the result that a DLMS stack gives"
expect_exit 2 kms confirm --transfer "$id" --result 0 --no-answer
expect_exit 2 kms confirm --transfer "$id" --result none
echo "{\"transfer_id\":\"$id\",\"result\":3}" >result.jsonl
expect_exit 0 kms --json confirm --replies result.jsonl
expect_equal delivery "$(jq -r .delivery out)" in-doubt
expect_exit 0 kms --json confirm --transfer "$id" --result 0
expect_equal delivery "$(jq -r .delivery out)" confirmed
case_ "already done (D11)"
expect_exit 0 kms confirm --transfer "$id" --result 0
sed -i '/EXAMPLE-E1/,/activation/s/"immediate"/"next-association"/' kms.toml
late=$(device 1)
rotate --device "$late" --role gak --out t7.jsonl >/dev/null; deliver t7.jsonl; kms confirm --replies replies.jsonl >/dev/null
old=$(kms --json device show "$late" | jq '[.keys[] | select(.role == "gak" and .state == "active")] | min_by(.generation).generation')
expect_exit 0 kms retire --device "$late" --role gak --generation "$old" "${WHO[@]}"
expect_exit 1 kms retire --device "$late" --role gak --generation "$old" "${WHO[@]}"
expect_error 'already'
expect_exit 0 kms retire --superseded "${WHO[@]}"
expect_output '^0 keys retired'
case_ "identical lines for many devices are one (reason, count, first ids)"
rotate --all --role gak --out all.jsonl >/dev/null
expect_exit 1 rotate --all --role gak --out none.jsonl
expect_error '^smets1-kms: 4 times \(in-doubt\): 00-.*, 00-.*: gak [0-9]+ of 00-.* is released'
expect_equal "lines" "$(wc -l <err)" 1
case_ "a child's output is not in the machine-readable output (C5)"
printf '[audit]\nanchor_command = ["tee", "-a", "heads.log"]\n' >>kms.toml
expect_exit 0 kms --json rotate --device "$(device 2)" --role guek --reason operational "${WHO[@]}"
expect_equal "JSON lines" "$(jq -s length out)" 1
expect_in heads.log '^— '
case_ "a token label that is not UTF-8 (C7)"
label=$(printf 'kms-\351')
softhsm2-util --init-token --free --label "$label" --pin "$PIN" --so-pin "$SO_PIN" >/dev/null
sed 's|token=kms-test|token=kms-%E9|; s|registry.db|other.db|' kms.toml >latin.toml
run "$KMS" --config latin.toml --json doctor
expect_equal "one line of JSON" "$(jq -s length out)" 1
checks=$((checks + 1)); iconv -f utf-8 -t utf-8 out >/dev/null || fail "the output is not UTF-8"
case_
finish
