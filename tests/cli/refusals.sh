#!/usr/bin/env bash
# What the rules refuse: exit 1, one line, a record that says so, and nothing else changed.
. "$(dirname "$0")/lib.sh"
setup_token "$SHIM"
setup_fleet 10
for round in 1 2; do
  rotate --device "$(device 1)" --device "$(device 2)" --device "$(device 10)" --role guek --role gak --out "t$round.jsonl" >/dev/null
  deliver "t$round.jsonl"
  kms confirm --replies replies.jsonl >/dev/null 2>&1
done
# In doubt: the first device's third GUEK. Released: the second's third GAK.
rotate --device "$(device 1)" --role guek --out t3.jsonl >/dev/null
kms confirm --transfer "$(device 1)/5" --no-answer >/dev/null 2>&1
rotate --device "$(device 2)" --role gak --out t4.jsonl >/dev/null
D1=$(device 1) D2=$(device 2) D10=$(device 10)

state() { sqlite3 -readonly registry.db 'SELECT id,kind,model,suite,supports,status FROM device; SELECT device,role,generation,hex(id),state,delivery,transfer,hex(wrapped) FROM key; SELECT id,state FROM operation'; }
# RULE REGEX COMMAND…: RULE is what the record says.
refused() {
  local rule=$1 text=$2; shift 2
  local before count
  case_ "$rule: ${*:1:8}"
  before=$(state) count=$(records)
  rm -f counts
  SHIM_COUNT_FILE=$work/counts expect_exit 1 kms "$@"
  expect_one_line_error
  expect_error "$text"
  expect_equal "on standard output" "$(cat out)" ""
  expect_equal "new records" $(($(records) - count)) 1
  expect_equal "the last record" "$(last_record | jq -r '[.phase, .result, .detail] | join(" ")')" "note refused $rule"
  expect_equal "everything else" "$(state)" "$before"
  # The head of the trail is kept in a data object: one made, the one before it destroyed.
  [ ! -e counts ] || expect_equal "keys generated, copied, destroyed" "$(jq '.functions | [.C_GenerateKey // 0, .C_CopyObject // 0, ([(.C_DestroyObject // 0) - (.C_CreateObject // 0), 0] | max)] | add' counts)" 0
}
key() { printf -- '--device %s --role %s --generation %s' "$@"; }
rotation=(rotate --reason operational "${WHO[@]}")
unknown=00-DB-12-34-56-78-FF-FF

refused unknown-device "$unknown is not in the registry; 'device import'" "${rotation[@]}" --device $unknown --role guek
refused unknown-device "$unknown is not in the registry" "${rotation[@]}" --device $unknown
for verb in retire destroy; do
  # shellcheck disable=SC2046
  refused unknown-device "$unknown is not in the registry" $verb $(key $unknown gak 1) "${WHO[@]}"
done
# shellcheck disable=SC2046
{
refused unknown-device "$unknown is not" compromise $(key $unknown gak 1) --suspicion x "${WHO[@]}"
refused unknown-device "$unknown is not" resolve $(key $unknown gak 1) --holds new --evidence x "${WHO[@]}"
refused unknown-device "$unknown is not" confirm --transfer $unknown/1 --no-answer
refused unknown-key "$D1 has no gak of generation 9; 'device show'" destroy $(key "$D1" gak 9) "${WHO[@]}"

refused role-not-supported "$D1 does not support a gbek" "${rotation[@]}" --device "$D1" --role gbek
refused role-not-supported "$D1 does not support a kek" "${rotation[@]}" --device "$D1" --role kek
refused kek-alone "the KEK is rotated alone" "${rotation[@]}" --device "$D2" --role kek --role gak
refused in-doubt "guek 3 of $D1 is in-doubt: .*no third key" "${rotation[@]}" --device "$D1" --role guek
refused in-doubt "guek 3 of $D1 is in-doubt" "${rotation[@]}" --device "$D1" --role gak --role guek
refused in-doubt "gak 3 of $D2 is released: record the device's answer" "${rotation[@]}" --device "$D2" --role gak
refused in-doubt "gak 3 of $D2 is released" "${rotation[@]}" --device "$D2" --role kek

refused not-released "no transfer 77 of $D1 was released" confirm --transfer "$D1/77" --reply C701C10000
refused not-released "no transfer 0 of $D1 was released" confirm --transfer "$D1/0" --reply C701C10000
refused already-confirmed "transfer 1 of $D1 was answered with success before" confirm --transfer "$D1/1" --no-answer
refused not-in-doubt "gak 2 of $D1 is confirmed, not in doubt|not-in-doubt|gak/2 is confirmed" resolve $(key "$D1" gak 2) --holds old --evidence x "${WHO[@]}"
refused not-in-doubt "gak/3 is released" resolve $(key "$D2" gak 3) --holds old --evidence x "${WHO[@]}"
refused kek-not-probable "a KEK can't be probed" resolve $(key "$D2" kek 1) --holds old --evidence x "${WHO[@]}"

refused in-use "gak/2 may still be in use by its device" destroy $(key "$D1" gak 2) "${WHO[@]}"
refused in-use "guek/3 may still be in use by its device \(in-doubt\)" destroy $(key "$D1" guek 3) "${WHO[@]}"
refused in-use "guek/2 may still be in use" destroy $(key "$D1" guek 2) "${WHO[@]}"
refused in-use "gak/3 may still be in use by its device \(released\)" destroy $(key "$D2" gak 3) "${WHO[@]}"
refused in-use "kek/1 may still be in use" destroy $(key "$D1" kek 1) "${WHO[@]}"
refused in-use "gak/2 may still be in use" retire $(key "$D1" gak 2) "${WHO[@]}"
refused in-use "kek/1 may still be in use" retire $(key "$D1" kek 1) "${WHO[@]}"
refused illegal-transition "gak 1 of $D1 is deactivated already: nothing was changed" retire $(key "$D1" gak 1) "${WHO[@]}"
refused illegal-transition "guek 1 of $D10 is active: it can't become destroyed" destroy $(key "$D10" guek 1) "${WHO[@]}"
expect_exit 0 kms destroy $(key "$D1" gak 1) "${WHO[@]}"
refused illegal-transition "gak 1 of $D1 is destroyed already: nothing was changed" destroy $(key "$D1" gak 1) "${WHO[@]}"
refused illegal-transition "gak 1 of $D1 is destroyed: it can't become deactivated" retire $(key "$D1" gak 1) "${WHO[@]}"
expect_exit 0 kms compromise $(key "$D10" guek 1) --suspicion x "${WHO[@]}"
refused illegal-transition "guek/1 is compromised already" compromise $(key "$D10" guek 1) --suspicion y "${WHO[@]}"
refused illegal-transition "guek 1 of $D10 is compromised: it can't become deactivated" retire $(key "$D10" guek 1) "${WHO[@]}"
}

# Dual control: two identities, and case does not make two.
same=(--requested-by s1sp:ops-1 --authorised-by S1SP:Ops-1 --reference CHG-1)
equal=(--requested-by s1sp:ops-1 --authorised-by s1sp:ops-1 --reference CHG-1)
# shellcheck disable=SC2046
for who in same equal; do
  declare -n two=$who
  refused dual-control "the same identity, s1sp:ops-1: a key change needs two" rotate --reason operational --device "$(device 4)" "${two[@]}"
  refused dual-control "the same identity" destroy --deactivated "${two[@]}"
  refused dual-control "the same identity" destroy $(key "$D2" gak 1) "${two[@]}"
  refused dual-control "the same identity" retire $(key "$D10" gak 1) "${two[@]}"
  refused dual-control "the same identity" compromise $(key "$D10" gak 1) --suspicion x "${two[@]}"
  refused dual-control "the same identity" resolve $(key "$D1" guek 3) --holds new --evidence x "${two[@]}"
  refused dual-control "the same identity" device import mfr/fleet.csv --signature mfr/fleet.csv.p7s --transport-key mfr-a-2026=mfr/mfr-a-2026.key.bin --so-pin-source file:so.pin "${two[@]}"
done

if [ "$ENROLMENT" = officer ]; then refused dual-control "the same identity" enrol --so-pin-source file:so.pin "${same[@]}"
else refused dual-control "the same identity" init "${same[@]}"; fi

# Bad input is no decision of the rules: it is refused, nothing changes, and there is nothing to record.
kms checkpoint >/dev/null  # refusals before the login are under a head now
bad_input() { bad 1 "$@"; }
wrong_usage() { bad 2 "$@"; }  # an option that is not of its form
bad() {  # CODE REGEX COMMAND…
  local code_=$1 text=$2 before; shift 2
  case_ "bad input: ${*:1:8}"
  before=$(registry_contents)
  expect_exit "$code_" kms "$@"
  expect_error "$text"
  expect_one_line_error
  expect_equal registry "$(registry_contents)" "$before"
}
bad_input 'requested-by .* must be 1 to 64 characters' rotate --reason operational --device "$(device 4)" --requested-by "a b" --authorised-by c --reference d
bad_input 'reference .* must be 1 to 64' rotate --reason operational --device "$(device 4)" --requested-by a --authorised-by c --reference 'd"e'
wrong_usage '^smets1-kms: --reason: .*post-commissioning' rotate --reason because --device "$(device 4)" "${WHO[@]}"
wrong_usage '^smets1-kms: --role: .*guek.*gbek.*gak.*kek' "${rotation[@]}" --device "$(device 4)" --role key
wrong_usage '^smets1-kms: --device: .*EUI-64' "${rotation[@]}" --device 00-DB-12 --role guek
bad_input 'a role is given twice' "${rotation[@]}" --device "$(device 4)" --role gak --role gak
bad_input 'an operation id is 1 to 64' "${rotation[@]}" --device "$(device 4)" --operation-id 'a b'
wrong_usage '^smets1-kms: --transfer: .*not a transfer id' confirm --transfer "$D1" --no-answer
wrong_usage '^smets1-kms: --transfer: .*not a transfer id' confirm --transfer "$D1/1x" --no-answer
wrong_usage '^smets1-kms: --transfer: .*not a transfer id' confirm --transfer "$D1/99999999999" --no-answer
wrong_usage '^smets1-kms: --reply: .*hex' confirm --transfer "$D1/5" --reply C701C1000
printf '%s\n' "$D1" '# a remark' "$D2" "$D1" >list
bad_input "^smets1-kms: list:4:1: device $D1 stands in line 1 already" "${rotation[@]}" --file list --role gak
# Half of a key, an id for many, an option that would do nothing.
for many in "destroy --deactivated" "destroy --not-held" "retire --superseded" "compromise --token --suspicion x"; do
  # shellcheck disable=SC2086
  { wrong_usage '--role and --generation go with --device' $many --role guek "${WHO[@]}"
  wrong_usage '--role and --generation go with --device' $many --generation 1 "${WHO[@]}"
  wrong_usage 'either --device, --role and --generation, or' $many --device "$D1" --role guek --generation 1 "${WHO[@]}"; }
done
wrong_usage '--operation-id names the destruction of one key' destroy --deactivated --operation-id op-1 "${WHO[@]}"
wrong_usage '--operation-id names the retirement of one key' retire --superseded --operation-id op-1 "${WHO[@]}"
for option in "--signature f" "--transport-key a=b" --move "--operation-id x"; do
  # shellcheck disable=SC2086
  wrong_usage "${option%% *} goes with a fleet file" enrol $option "${WHO[@]}"
done
wrong_usage '--reply and --no-answer go with --transfer' confirm --replies replies.jsonl --no-answer
wrong_usage '--next shows' due --next 3 --within 3d
wrong_usage '--next shows' due --next 3 --status met
wrong_usage '--device shows every duty' due --device "$D1" --within 3d
bad_input ": can't be read" confirm --replies mfr
challenge_line "$D1" gak | jq -c '.generation = "2"' >generation.jsonl
bad_input '^smets1-kms: generation.jsonl:1:[0-9]+: the member "generation" is "2": a whole number' prove --challenges generation.jsonl
bad_input 'evidence is 1 to 200' resolve --device "$D1" --role guek --generation 3 --holds new --evidence 'a "quote"' "${WHO[@]}"
expect_exit 2 kms compromise --device "$D1" --role guek --generation 3 --suspicion '' "${WHO[@]}"
expect_error '^smets1-kms: --suspicion is given and empty'
bad_input 'the suspicion is 1 to 200' compromise --device "$D1" --role guek --generation 3 --suspicion "$(printf 'x%.0s' $(seq 201))" "${WHO[@]}"

case_ "a refusal in a batch is that device's alone"
expect_exit 1 rotate --device "$(device 3)" --device "$D1" --device "$(device 4)" --role guek --out t5.jsonl
expect_equal "transfers of the others" "$(jq -r .device_id t5.jsonl | sort | tr '\n' ' ')" "$(device 3) $(device 4) "
expect_error "^smets1-kms: $D1: guek 3 of $D1 is in-doubt"
expect_output '^2 devices: 2 transfers released; 1 refused or failed$'
case_ "an unknown device in a batch too"
expect_exit 1 rotate --device "$(device 5)" --device $unknown --device "$(device 6)" --out t6.jsonl
expect_equal "transfers of the others" "$(jq -r .device_id t6.jsonl | sort -u | tr '\n' ' ')" "$(device 5) $(device 6) "

case_ "at the end"
expect_consistent
case_
finish
