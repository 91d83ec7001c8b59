#!/usr/bin/env bash
# What makes this hard, points 1 to 3: a lost or negative answer means unknown; one key per ACTION; no key is sent twice.
. "$(dirname "$0")/lib.sh"
setup_token
setup_fleet 9
rotate --all --role guek --role gak --out t1.jsonl >/dev/null
deliver t1.jsonl
kms confirm --replies replies.jsonl >/dev/null

key_state() { sql "SELECT state||'/'||delivery FROM key WHERE device=(SELECT id FROM device ORDER BY id LIMIT 1 OFFSET $(($1 - 1))) AND role=$2 AND generation=$3"; }
active=2/4 deactivated=4/4 not_held=1/5 in_doubt=1/2  # state/delivery as the registry numbers them
declare -A id=([guek]=0 [gak]=2)

# Everything that must be true while a key is in doubt.
expect_doubt() {  # DEVICE ROLE
  local d=$1 role=$2
  expect_equal "$role: the new key" "$(key_state "$d" "${id[$role]}" 2)" $in_doubt
  expect_equal "$role: the old key" "$(key_state "$d" "${id[$role]}" 1)" $active
  keys=$(sql 'SELECT count(*) FROM key')
  expect_exit 1 rotate --device "$(device "$d")" --role "$role"
  expect_error "$role 2 of $(device "$d") is in-doubt"
  expect_equal "no third key" "$(sql 'SELECT count(*) FROM key')" "$keys"
  for generation in 1 2; do expect_exit 1 kms destroy --device "$(device "$d")" --role "$role" --generation $generation "${WHO[@]}"; done
}
# The probe decides. The old key is asked for too: both are still in the token and usable.
settle_by_probe() {  # DEVICE ROLE new|old
  local d=$1 role=$2 expected=$3 new=no old=no
  ! meter_holds "$(device "$d")" "$role" 2 || new=yes
  ! meter_holds "$(device "$d")" "$role" 1 || old=yes
  expect_equal "$role: what the probes show (new, old)" "$new $old" "$([ "$expected" = new ] && echo "yes no" || echo "no yes")"
  expect_exit 0 kms resolve --device "$(device "$d")" --role "$role" --generation 2 --holds "$expected" --evidence "key proof over a fresh challenge" "${WHO[@]}"
  if [ "$expected" = new ]; then
    expect_equal "$role: new" "$(key_state "$d" "${id[$role]}" 2)" $active
    expect_equal "$role: old" "$(key_state "$d" "${id[$role]}" 1)" $deactivated
  else
    expect_equal "$role: new" "$(key_state "$d" "${id[$role]}" 2)" $not_held
    expect_equal "$role: old" "$(key_state "$d" "${id[$role]}" 1)" $active
  fi
}
# Rotates device N, delivers under faults, records the answers, resolves GUEK and GAK as the meter holds them.
combination() {  # DEVICE GUEK GAK [rotate options] -- meter options for the delivery
  local d=$1 guek=$2 gak=$3; shift 3
  local options=()
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  expect_exit 0 rotate --device "$(device "$d")" --role guek --role gak "${options[@]}" --out "c$d.jsonl"
  deliver "c$d.jsonl" "$@"
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_error 'in doubt: probe these devices'
  expect_doubt "$d" guek
  expect_doubt "$d" gak
  settle_by_probe "$d" guek "$guek"
  settle_by_probe "$d" gak "$gak"
  expect_token_and_meter_agree "$(device "$d"):guek" "$(device "$d"):gak"
}

case_ "1: the answers are lost, the keys were replaced"
combination 1 new new -- --fault "$(device 1)=lose-reply"
meter --fault "$(device 1)=none"
case_ "1: the requests are lost"
combination 2 old old -- --fault "$(device 2)=lose-request"
meter --fault "$(device 2)=none"
case_ "1: 'not ok', and the keys were replaced"
combination 3 new new -- --fault "$(device 3)=not-ok-after-apply"
meter --fault "$(device 3)=none"
case_ "1: 'not ok', and nothing was replaced"
combination 4 old old -- --fault "$(device 4)=not-ok"
meter --fault "$(device 4)=none"
case_ "1: together, the first applied and the second not: new GUEK, old GAK"
combination 5 new old --together -- --fault "$(device 5)=first-only" --fault-once
case_ "1: the same the other way round: old GUEK, new GAK"
expect_exit 0 rotate --device "$(device 6)" --role gak --role guek --together --out c6.jsonl
expect_equal "transfers" "$(wc -l <c6.jsonl)" 1
deliver c6.jsonl --fault "$(device 6)=first-only" --fault-once
expect_exit 0 kms confirm --replies replies.jsonl
expect_doubt 6 guek; expect_doubt 6 gak
settle_by_probe 6 guek old
settle_by_probe 6 gak new
expect_token_and_meter_agree "$(device 6):guek" "$(device 6):gak"
case_ "1: together, and lost"
combination 7 new new --together -- --fault "$(device 7)=lose-reply" --fault-once

case_ "1: a doubt about one role does not hold up the other"
expect_exit 0 rotate --device "$(device 8)" --role guek --role gak --out c8.jsonl
expect_equal "transfers" "$(wc -l <c8.jsonl)" 2
head -1 c8.jsonl >c8-guek.jsonl; tail -1 c8.jsonl >c8-gak.jsonl
deliver c8-guek.jsonl --fault "$(device 8)=lose-reply" --fault-once
expect_exit 0 kms confirm --replies replies.jsonl
deliver c8-gak.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_equal guek "$(key_state 8 0 2)" $in_doubt
expect_equal gak "$(key_state 8 2 2)" $active
settle_by_probe 8 guek new

case_ "1: a meter that switches at its next association, and loses its answer"
sed -i '/EXAMPLE-E1/,/activation/s/"immediate"/"next-association"/' kms.toml
expect_exit 0 rotate --device "$(device 9)" --role guek --out c9.jsonl
deliver c9.jsonl --fault "$(device 9)=next-association"
meter --fault "$(device 9)=none"
expect_exit 0 kms confirm --transfer "$(jq -r .transfer_id c9.jsonl)" --no-answer
checks=$((checks + 2))
meter_holds "$(device 9)" guek 1 || fail "before the association the meter uses its old key, and it can be proved"
meter --associate "$(device 9)"
meter_holds "$(device 9)" guek 2 || fail "after it the new one"
expect_exit 0 kms resolve --device "$(device 9)" --role guek --generation 2 --holds new --evidence "after an association" "${WHO[@]}"
sed -i '/EXAMPLE-E1/,/activation/s/"next-association"/"immediate"/' kms.toml
expect_exit 0 kms retire --superseded "${WHO[@]}"

case_ "2: one key per ACTION unless asked otherwise; a meter that takes one only"
jq -r .action_request t1.jsonl | cut -c29-30 | sort -u >counts
expect_equal "keys in each ACTION" "$(cat counts)" 01
for d in 1 3; do
  expect_exit 0 rotate --device "$(device $d)" --role guek --role gak --out o$d.jsonl
  deliver o$d.jsonl --fault "$(device $d)=one-element-only" --fault-once
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_output '^2 confirmed'
done
expect_exit 0 rotate --device "$(device 7)" --role guek --role gak --together --out o7.jsonl
expect_equal "keys in the ACTION" "$(jq -r .action_request o7.jsonl | cut -c29-30)" 02
expect_equal "keys of the line" "$(jq -c '[.keys[].role]' o7.jsonl)" '["guek","gak"]'
deliver o7.jsonl --fault "$(device 7)=one-element-only" --fault-once
expect_exit 0 kms confirm --replies replies.jsonl
expect_output "in-doubt"
for role in guek gak; do
  checks=$((checks + 1)); meter_holds "$(device 7)" $role 2 || fail "the meter took nothing, and its old $role can be proved"
  expect_exit 0 kms resolve --device "$(device 7)" --role $role --generation 3 --holds old --evidence "key proof" "${WHO[@]}"
done

case_ "3: after a doubt a new key, never the old one again; counters are the generation's"
for d in 2 4 5 6 7; do
  expect_exit 0 rotate --device "$(device $d)" --role guek --role gak --out f$d.jsonl
  deliver f$d.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_output '^2 confirmed'
  expect_equal "resets the unicast counter" "$(jq -c '[.role, .resets_unicast_counter]' f$d.jsonl | tr '\n' ' ')" '["guek",true] ["gak",false] '
done
expect_equal "no wrapped key is in two transfers" "$(cat [a-z]*[0-9].jsonl t1.jsonl | jq -r '.parameter' | sort -u | wc -l)" "$(cat [a-z]*[0-9].jsonl | jq -r .transfer_id | sort -u | wc -l)"

case_ "at the end"
pairs=(); for d in 1 2 3 4 5 6 7 8 9; do pairs+=("$(device $d):guek" "$(device $d):gak"); done
expect_token_and_meter_agree "${pairs[@]}"
expect_consistent
expect_no_repeats
expect_exit 0 kms destroy --deactivated "${WHO[@]}"
expect_exit 0 kms destroy --device "$(device 2)" --role gak --generation 2 "${WHO[@]}"  # shown never to have been held
expect_token_and_meter_agree "${pairs[@]}"
expect_consistent
case_
finish
