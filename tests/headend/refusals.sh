#!/usr/bin/env bash
# What a ciphered meter refuses, and what the head end refuses: nothing changes, and it is said why.
. "$(dirname "$0")/lib.sh"
setup_fleet 4
one=$(device 1) two=$(device 2)
for n in 1 2 3; do for role in guek gak; do new_key "$(device $n)" $role 1; done; done >handovers.jsonl
transfer_line "$one" 1 immediate guek:1 gak:1 >transfers.jsonl
# One request to a meter; its answer.
send() { printf '{"transfer_id":"t","device_id":"%s","action_request":"%s"}\n' "$1" "$2" >raw.jsonl; meter --transfers raw.jsonl --replies raw.reply; jq -r '.reply // "none"' raw.reply; }
unchanged() {  # FILE COMMAND...: the file is as before
  local file=$1 before; shift
  before=$(sha256sum <"$file"); "$@"
  expect_equal "$file" "$(sha256sum <"$file")" "$before"
}

case_ "a meter refuses a request in clear, a wrong tag, other forms"
request=$(jq -r .action_request transfers.jsonl)
expect_equal "in clear" "$(send "$one" "$request")" D80101
headend "${target[@]}" --handovers handovers.jsonl --receipts receipts.jsonl 2>>notes
headend --transfers transfers.jsonl --requests requests.jsonl 2>>notes
ciphered=$(jq -r .action_request requests.jsonl)
expect_equal "tag and security control" "${ciphered:0:2} ${ciphered:4:2}" "CB 30"
flip() { local at=$1 d=${ciphered:$1:1}; printf '%s%X%s' "${ciphered:0:at}" $((16#$d ^ 1)) "${ciphered:at+1}"; }
last=$((${#ciphered} - 1))
for at in $last 20 13 5; do expect_equal "digit $at changed" "$(send "$one" "$(flip $at)")" D80105; done
expect_equal "authenticated only" "$(send "$one" "${ciphered:0:4}10${ciphered:6}")" D80105
expect_equal "another suite" "$(send "$one" "${ciphered:0:4}31${ciphered:6}")" D80105
expect_equal "broadcast key set" "$(send "$one" "${ciphered:0:4}70${ciphered:6}")" D80105
expect_equal "cut short" "$(send "$one" "${ciphered:0:last-1}")" D80105
expect_equal "another meter's" "$(send "$two" "$ciphered")" D80105
expect_equal "nothing was taken" "$(total keys_applied)" 0
case_ "and a replay"
meter --transfers requests.jsonl --replies ciphered.jsonl
reply=$(jq -r .reply ciphered.jsonl)
expect_equal "answered" "${reply:0:2}" CF
expect_equal "under new keys the same is no request any more" "$(send "$one" "$ciphered")" D80105
transfer_line "$two" 1 immediate gak:1 >transfers-2.jsonl
headend --transfers transfers-2.jsonl --requests requests-2.jsonl 2>>notes
again=$(jq -r .action_request requests-2.jsonl)
expect_equal "first" "$(send "$two" "$again" | cut -c1-2)" CF
meter --report | jq -r ".devices[\"$two\"].unicast_counter" >counter
expect_equal "its GAK is another: the same is no request any more" "$(send "$two" "$again")" D80105
# A GET changes no key, so a replay of it can be deciphered.
meter --fault "$(device 3)=lose-reply" --fault-once
transfer_line "$(device 3)" 1 immediate gak:1 >transfers-3.jsonl
headend --transfers transfers-3.jsonl --requests requests-3.jsonl 2>>notes
meter --transfers requests-3.jsonl --replies ciphered-3.jsonl
headend --ciphered-replies ciphered-3.jsonl --replies replies-3.jsonl 2>>notes
headend --probe probes.jsonl 2>>notes
meter --transfers probes.jsonl --replies answers.jsonl
get=$(jq -r .action_request probes.jsonl | sed -n 1p)
last_counter=$(printf %08X "$(meter --report | jq ".devices[\"$(device 3)\"].unicast_counter")")
expect_equal "a replay, and the counter it should be above" "$(send "$(device 3)" "$get")" "D80106$last_counter"
unchanged meters.state expect_equal "what it counts: clear, tag, counter" "$(total refused_clear) $(total refused_tag) $(total refused_counter)" "1 12 1"

case_ "a meter's answer that is none, and what is left of it"
for bad in C701C10000 "${reply:0:20}00${reply:22}" "${reply/#CF/CC}" "$(jq -r .reply raw.reply)"; do
  cp head.state kept
  jq -c --arg r "$bad" '.reply = $r' ciphered.jsonl >bad.jsonl
  run headend --ciphered-replies bad.jsonl --replies replies.jsonl
  [ "${bad:0:2}" = D8 ] || { expect_equal "exit code for $bad" "$code" 1; expect_error "bad.jsonl:1: the answer to $one/1 counts as none"; }
  expect_equal "in doubt after $bad" "$(headend --report | jq -c ".devices[\"$one\"].in_doubt")" '["guek 1","gak 1"]'
  expect_equal "success" "$(success)" 0
  cp kept head.state
done
expect_exit 0 headend --ciphered-replies ciphered.jsonl --replies replies.jsonl
expect_equal "the true one" "$(jq -r .reply replies.jsonl)" C701C10000
new_key "$one" gak 2 >more.jsonl; headend "${target[@]}" --handovers more.jsonl --receipts r.jsonl 2>>notes
transfer_line "$one" 2 immediate gak:2 >transfers-4.jsonl
headend --transfers transfers-4.jsonl --requests requests-4.jsonl 2>>notes
meter --transfers requests-4.jsonl --replies ciphered-4.jsonl
case_ "a late answer is read, a replayed one isn't"
jq -c '.reply = null' ciphered-4.jsonl >null.jsonl
expect_exit 0 headend --ciphered-replies null.jsonl --replies replies.jsonl
expect_equal "in doubt" "$(headend --report | jq .total.in_doubt)" 2
jq -c --arg r "$reply" '.reply = $r' ciphered-4.jsonl >replayed.jsonl
expect_exit 1 headend --ciphered-replies replayed.jsonl --replies replies.jsonl
expect_error 'counts as none'
expect_exit 0 headend --ciphered-replies ciphered-4.jsonl --replies replies.jsonl
expect_equal "late" "$(success)" 1
case_ "probes that nobody answers, or that are refused for their counter only"
jq -c '.reply = null' answers.jsonl >none.jsonl
jq -c '.reply = "D80106000F4240"' answers.jsonl >counters.jsonl
for file in none counters; do
  unchanged head.state expect_exit 1 headend --probe-answers $file.jsonl --evidence evidence.jsonl
  expect_error "$(device 3) stays in doubt: it answers under none of its keys; probe again"
  expect_equal "evidence" "$(cat evidence.jsonl)" ""
done
jq -c 'if .reply[0:2] == "CC" then .reply = null else . end' answers.jsonl >half.jsonl
expect_exit 1 headend --probe-answers half.jsonl --evidence evidence.jsonl
expect_exit 0 headend --probe-answers answers.jsonl --evidence evidence.jsonl
expect_equal "the true ones" "$(holds "$(device 3)")" "gak 1 new"

case_ "the head end opens no handover that is wrong, and then opens none"
new_key "$(device 4)" guek 1 >good.jsonl
new_key "$(device 4)" gak 1 | sed 's/$/ /' >line
wrong() {  # REGEX: the file line is refused
  cat good.jsonl line >wrong.jsonl
  unchanged head.state expect_exit 1 headend "${target[@]}" --handovers wrong.jsonl --receipts never.jsonl
  expect_error "^smets1-sim-headend: wrong.jsonl:2: $1"
  checks=$((checks + 1)); [ ! -e never.jsonl ] || fail "receipts were written"
}
cp line right
change() { jq -c "$@" right >line; }
change '.sha256 = ("00" * 32)'; wrong 'gak 1 of .*sha256 is not that of wrapped'
change '.wrapped = "00" + .wrapped[2:]'; wrong 'gak 1 of .*sha256'
handover_line "$(device 4)" gak 1 SHA-256 "$(jq -r .wrapped right)" >line; wrong 'gak 1 of .* is not opened by the private key given \(RSA-OAEP, SHA-256\)'
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 2>/dev/null | openssl pkey -pubout -out other.pem
handover_line "$(device 4)" gak 1 SHA-1 "$(TARGET_PUB=other.pem oaep sha1 "$(openssl rand -hex 16)")" >line; wrong 'gak 1 of .* is not opened'
handover_line "$(device 4)" gak 1 SHA-1 "$(oaep sha1 "$(openssl rand -hex 32)")" >line; wrong 'gak 1 of .* has 32 bytes; a key of suite . has 16'
handover_line "$(device 4)" kek 1 SHA-1 "$(oaep sha1 "$(openssl rand -hex 16)")" >line; wrong 'role kek: a KEK is never handed over'
handover_line "$(device 1)" gak 2 SHA-1 "$(oaep sha1 "$(openssl rand -hex 16)")" >line; wrong 'gak 2 of .* is another key than the one that was opened before'
change '.device_id = "00-DB-99-99-99-99-99-99"'; wrong "no device '00-DB-99-99-99-99-99-99' is known: give --devices"
change '.hash = "MD5"'; wrong "hash 'MD5'"
change '.generation = 0'; wrong 'generation is not a number from 1'
change '.challenge = "00"'; wrong 'the challenge is not 16 to 64 bytes'
change 'del(.target)'; wrong 'no member called target'
echo '[]' >line; wrong 'not a JSON object'
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem 2>/dev/null
expect_exit 1 headend --target head-end-1 --target-key ec.pem --handovers good.jsonl --receipts never.jsonl
expect_error 'is no RSA key'
openssl pkey -in target.key.pem -aes128 -passout pass:x -out locked.pem
expect_exit 1 headend --target head-end-1 --target-key locked.pem --handovers good.jsonl --receipts never.jsonl
expect_error 'no private key in PEM without a passphrase'
case_ "renewed: a second private key"
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out next.key.pem 2>/dev/null
expect_exit 1 headend --target head-end-1 --target-key next.key.pem --handovers good.jsonl --receipts r.jsonl
expect_exit 0 headend "${target[@]}" --target-key next.key.pem --handovers good.jsonl --receipts r.jsonl

case_ "the head end sends no transfer whose keys it lacks, nor what it can't read"
cat transfers.jsonl >wrong.jsonl
new_key "$(device 4)" gak 9 >/dev/null
refused() { unchanged head.state expect_exit 1 headend --transfers wrong.jsonl --requests never.jsonl; expect_error "^smets1-sim-headend: wrong.jsonl:1: $1"; checks=$((checks + 1)); [ ! -e never.jsonl ] || fail "requests were written"; }
transfer_line "$(device 4)" 1 immediate gak:9 >wrong.jsonl; refused 'gak 9 of .* was not handed over: sent, it would lock the head end out'
transfer_line "$one" 9 immediate guek:1 >wrong.jsonl; refused 'guek 1 of .* is not newer than the one in use, guek 1'
transfer_line "$(device 4)" 1 sometimes guek:1 >wrong.jsonl; refused "activation 'sometimes'"
transfer_line "$(device 4)" 1 immediate guek:1 | jq -c '.action_request = "C0" + .action_request[2:]' >wrong.jsonl; refused 'action_request is no ACTION-Request-Normal'
transfer_line "$(device 4)" 1 immediate guek:1 | jq -c 'del(.resets_unicast_counter)' >wrong.jsonl; refused 'no member called resets_unicast_counter'
jq -c '.transfer_id = "other/1"' ciphered.jsonl >wrong.jsonl
unchanged head.state expect_exit 1 headend --ciphered-replies wrong.jsonl --replies never.jsonl
expect_error 'no request other/1 was ciphered here'
unchanged head.state expect_exit 1 headend --probe-answers ciphered.jsonl --evidence never.jsonl
expect_error 'is no probe: --ciphered-replies reads the others'
case_ "usage"
for options in "" "--handovers x" "--transfers x" "--replies x" "--evidence x" "--proofs x" "--append" "--system-title 12" "--unknown" "--handovers x --receipts y"; do
  # shellcheck disable=SC2086
  unchanged head.state expect_exit $([ -n "$options" ] && echo 2 || echo 0) headend $options
done
expect_exit 2 "$HEADEND"; expect_error '--state FILE is needed \(--help explains\)'
expect_exit 0 "$HEADEND" --help
expect_exit 1 "$HEADEND" --state none --report; expect_error 'no devices yet: give --devices'
expect_exit 1 headend --system-title 0000000000000001 --report; expect_error 'has another --system-title'
expect_exit 1 headend --devices mfr/meters.csv; expect_error 'mfr/meters.csv:1: the first line must be the header'
sed '2s/,[0-9A-F]\{16\},/,0000000000000000,/' mfr/headend.csv >other.csv
expect_exit 1 headend --devices other.csv; expect_error 'other.csv:2: .* with another system title'

case_ "meters without first keys: in clear as ever, never ciphered"
cut -d, -f1,2 mfr/meters.csv >old.csv
expect_exit 0 "$METER" --state clear.state --meters old.csv
"$METER" --state clear.state --transfers transfers.jsonl --replies replies.jsonl
expect_equal "in clear" "$(jq -r .reply replies.jsonl)" C701C10000
expect_exit 1 "$METER" --state clear.state --ciphered; expect_error 'has no system title and no first GUEK and GAK'
sed '2s/[0-9A-F]\{32\},$/00,/' mfr/meters.csv >bad.csv
expect_exit 1 "$METER" --state x.state --meters bad.csv; expect_error 'bad.csv:2: the GAK is not 16 bytes of hex, as security suite 0 has it'
expect_exit 2 "$METER" --state x.state --meters mfr/meters.csv --client-title 0000000000000001
expect_exit 2 "$METER" --state x.state --meters mfr/meters.csv --ciphered --client-title 01
case_ "another client than the meter knows"
"$METER" --state stranger.state --meters mfr/meters.csv --ciphered --client-title 0000000000000001
"$METER" --state stranger.state --transfers requests.jsonl --replies replies.jsonl
expect_equal "refused" "$(jq -r .reply replies.jsonl)" D80105
finish
