#!/usr/bin/env bash
# What makes this hard, point 4: a KEK can't be probed; a later GAK under it proves it, and until then the old one stays.
. "$(dirname "$0")/lib.sh"
setup_token
setup_fleet 24
make_fleet 2 big --only-suite 2 --first-device 00-DB-12-34-56-78-FF-00
import_fleet big >/dev/null
meter --meters big/meters.csv
kek_devices=(2 6 7 8 14 15 16 22)
for n in "${kek_devices[@]}"; do expect_in mfr/fleet.csv "^$(device "$n"),.*\+kek,"; done
rotate --all --role guek --role gak --out t1.jsonl >/dev/null
deliver t1.jsonl
kms confirm --replies replies.jsonl >/dev/null
case_ "all that have such a key"
have=$(cat mfr/fleet.csv big/fleet.csv | grep -c gbek)
expect_exit 0 rotate --all --role gbek --out gbek.jsonl
expect_error "^smets1-kms: $((26 - have)) devices do not have all of these keys"
expect_equal transfers "$(wc -l <gbek.jsonl)" "$have"
deliver gbek.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
case_

D=
at() { D=${2:-$(device "$1")}; }
kek() { kms --json device show "$D" | jq -r ".keys[] | select(.role == \"kek\" and .generation == $1) | .state + \" \" + .delivery"; }
newest_gak() { kms --json device show "$D" | jq '[.keys[] | select(.role == "gak")] | max_by(.generation).generation'; }
send_kek() { expect_exit 0 rotate --device "$D" --role kek --out kek.jsonl; deliver kek.jsonl "$@"; rm kek.jsonl; expect_exit 0 kms confirm --replies replies.jsonl; }
send_gak() {  # [--under-proven-kek] -- meter options
  local options=(); while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done; [ $# -eq 0 ] || shift
  if [ "${#options[@]}" -eq 0 ] && [ "$ENROLMENT" = officer ]; then
    # Not before the officer has admitted the new KEK.
    [ -z "$(sql "SELECT 1 FROM key WHERE awaiting IS NOT NULL")" ] || { expect_exit 1 rotate --device "$D" --role gak; expect_error "waits for the security officer"; }
    expect_exit 0 admit_keks
  fi
  expect_exit 0 rotate --device "$D" --role gak "${options[@]}" --out gak.jsonl
  expect_equal "a GAK alone" "$(wc -l <gak.jsonl)" 1
  deliver gak.jsonl "$@"; rm gak.jsonl
  expect_exit 0 kms --json confirm --replies replies.jsonl
  delivery=$(jq -r .delivery out)
}
resolve_gak() {  # new|old: what the meter must be found to hold
  local g; g=$(newest_gak)
  checks=$((checks + 1))
  if [ "$1" = new ]; then meter_holds "$D" gak "$g" || fail "the probe does not show GAK $g"
  else ! meter_holds "$D" gak "$g" || fail "the probe shows GAK $g"; fi
  expect_exit 0 kms resolve --device "$D" --role gak --generation "$g" --holds "$1" --evidence "key proof" "${WHO[@]}"
}
# As long as the new KEK is not proved.
expect_both_kept() {
  expect_equal "the old KEK" "$(kek 1)" "active confirmed"
  for generation in 1 2; do
    expect_exit 1 kms destroy --device "$D" --role kek --generation $generation "${WHO[@]}"
    expect_error 'may still be in use'
    expect_exit 1 kms retire --device "$D" --role kek --generation $generation "${WHO[@]}"
  done
  for role in guek kek; do
    expect_exit 1 rotate --device "$D" --role $role
    expect_error "kek 2 of $D is (in-doubt|unproven): a KEK can't be probed"
  done
  expect_exit 1 rotate --device "$D" --role gak --role guek
}
expect_new_kek() {
  expect_equal "the new KEK" "$(kek 2)" "active confirmed"
  expect_equal "the old KEK" "$(kek 1)" "deactivated confirmed"
  expect_equal "the GAK was wrapped under" "$(kms --json device show "$D" | jq -r '([.keys[] | select(.role == "gak")] | max_by(.generation).kek_id) as $k | .keys[] | select(.key_id == $k) | .generation')" 2
  expect_exit 0 kms destroy --device "$D" --role kek --generation 1 "${WHO[@]}"
  expect_exit 0 rotate --device "$D" --role guek --role gak --out g.jsonl
  deliver g.jsonl; rm g.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_output '^2 confirmed'
  expect_token_and_meter_agree "$D:guek" "$D:gak"
}
expect_old_kek() {
  expect_equal "the new KEK" "$(kek 2)" "pre-active not-held"
  expect_equal "the old KEK" "$(kek 1)" "active confirmed"
  expect_exit 0 kms destroy --device "$D" --role kek --generation 2 "${WHO[@]}"
  # And the next attempt works.
  send_kek
  expect_equal "the third" "$(kek 3)" "pre-active unproven"
  send_gak
  expect_equal "GAK" "$delivery" confirmed
  expect_equal "the third" "$(kek 3)" "active confirmed"
  expect_token_and_meter_agree "$D:guek" "$D:gak"
}

case_ "answered with success, then proved"
at 2
send_kek
expect_equal "the new KEK" "$(kek 2)" "pre-active unproven"
expect_both_kept
expect_exit 0 kms status
expect_output "$D  kek 2  unproven-kek  \(prove it: rotate the GAK "
send_gak
expect_equal GAK "$delivery" confirmed
expect_new_kek

case_ "the answer was lost, the meter took it"
at 6
send_kek --fault "$D=lose-reply" --fault-once
expect_equal "the new KEK" "$(kek 2)" "pre-active in-doubt"
expect_both_kept
send_gak
expect_equal GAK "$delivery" confirmed
expect_new_kek

case_ "the request was lost: a GAK under the new KEK is refused, one under the old accepted"
at 7
send_kek --fault "$D=lose-request" --fault-once
expect_equal "the new KEK" "$(kek 2)" "pre-active in-doubt"
send_gak
expect_equal "GAK under the new KEK" "$delivery" in-doubt
expect_equal "the meter's refusal proves nothing" "$(kek 2)" "pre-active in-doubt"
expect_exit 1 rotate --device "$D" --role gak --under-proven-kek  # first the doubt about this GAK
resolve_gak old
expect_equal "not even with the probe of the GAK" "$(kek 2)" "pre-active in-doubt"
expect_both_kept
send_gak --under-proven-kek
expect_equal "GAK under the old KEK" "$delivery" confirmed
expect_old_kek

case_ "the answer was lost, the meter took it, and the old KEK is tried first"
at 8
send_kek --fault "$D=lose-reply" --fault-once
send_gak --under-proven-kek
expect_equal "GAK under the old KEK" "$delivery" in-doubt
resolve_gak old
expect_equal "the new KEK" "$(kek 2)" "pre-active in-doubt"
send_gak
expect_equal GAK "$delivery" confirmed
expect_new_kek

case_ "'not ok', and the meter took it"
at 14
send_kek --fault "$D=not-ok-after-apply" --fault-once
expect_equal "the new KEK" "$(kek 2)" "pre-active in-doubt"
send_gak
expect_new_kek

case_ "'not ok', and it did not"
at 15
send_kek --fault "$D=not-ok" --fault-once
send_gak --under-proven-kek
expect_equal "GAK under the old KEK" "$delivery" confirmed
expect_old_kek

case_ "the proof's own answer is lost: the probe of the GAK proves the KEK"
at 16
send_kek
send_gak -- --fault "$D=lose-reply" --fault-once
expect_equal GAK "$delivery" in-doubt
expect_equal "the new KEK" "$(kek 2)" "pre-active unproven"
resolve_gak new
expect_new_kek

case_ "a success that the meter did not mean: the KEK is not proved by it"
at 22
send_kek --fault "$D=lose-request" --fault-once
expect_exit 0 kms confirm --transfer "$D/3" --reply C701C10000  # a late, wrong success
expect_equal "the new KEK" "$(kek 2)" "pre-active unproven"
send_gak
expect_equal "GAK" "$delivery" in-doubt
resolve_gak old
send_gak --under-proven-kek
expect_equal "GAK" "$delivery" confirmed
expect_old_kek

case_ "suite 2: a KEK of 32 bytes"
at - "$(sed -n 3p big/fleet.csv | cut -d, -f1)"
send_kek
send_gak
expect_new_kek

case_ "at the end"
expect_consistent
expect_no_repeats
case_
finish
