#!/usr/bin/env bash
# Ends the process at every place of an operation, runs the same command again, and looks whether anything was lost.
#
#   sweep.sh call|sync before|after|both init|import|rotate|kek|enrol|confirm|destroy|destroy_many|renew|reseal|move|move_back|handover|handover_batch|receive|admit|renewal|retire|suspect  [plain|sealed]
#
# call: at each PKCS#11 call (kms_shim); sync: at each fsync of the database (sync_shim). STEP=5 takes one place in five.
[ "${4:-}" != plain ] || export ENROLMENT=plain
[ "${4:-}" != sealed ] || export VAULT=sealed
fault=$(cd "$(dirname "$0")" && pwd)
. "$fault/../cli/lib.sh"
. "$fault/targets.sh"
where=$1 when=$2 operation=$3
[ "$when" = both ] && whens=(before after) || whens=("$when")
MAX_FAILURES=${MAX_FAILURES:-10}

# ---- operations: what stands before, the act, and what must be true once the same act was run again ----

prepare_init() { setup_token "$SHIM"; }
act_init() { init_keys; }
# What a reader is told of a registry half made: that init makes it.
look_init() {
  run kms status
  [ "$code" -eq 0 ] || { expect_equal "exit of status" "$code" 6; expect_error 'smets1-kms init'; }
}
verify_init() {
  cp transport-import.pem first.pem
  expect_exit 0 act_init
  expect_same_file transport-import.pem first.pem
  [ -z "${n:-}" ] || [ $((n % 10)) -eq 0 ] || return 0  # once in ten: an RSA key takes its time
  rm -rf mfr
  setup_fleet 1
  rotate --all --out t.jsonl >/dev/null
  deliver t.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_token_and_meter_agree "$(device 1):guek" "$(device 1):gak"
}

prepare_import() {
  setup_token "$SHIM"
  init_keys >/dev/null
  make_fleet 2 mfr
  add_without_kek mfr 00-DB-12-34-56-78-FF-00 "lost by its maker"
  meter --meters mfr/meters.csv
}
act_import() { import_fleet mfr --operation-id op-1; }
verify_import() {
  expect_equal devices "$(devices)" 3
  expect_equal "devices without a KEK" "$(sql "SELECT count(*) FROM device WHERE no_kek_reason='lost by its maker'")" 1
  expect_equal "digests of imported KEKs" "$(sql 'SELECT count(DISTINCT device) FROM imported_kek')" 2
  expect_exit 0 rotate --all --role gak --out t.jsonl
  deliver t.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_token_and_meter_agree "$(device 1):gak" "$(device 2):gak"
}

prepare_rotate() {
  setup_token "$SHIM"
  setup_fleet 2
  rotate --all --role guek --role gak --out t0.jsonl >/dev/null
  deliver t0.jsonl
  kms confirm --replies replies.jsonl >/dev/null
}
act_rotate() { rm -f t.jsonl; rotate --device "$(device 1)" --role guek --role gak --operation-id op-1 --out t.jsonl; }
requests() { grep -oE '"action_request":"[0-9A-F]+"' "$1"; }
verify_rotate() {
  expect_equal "transfers released" "$(wc -l <t.jsonl)" 2
  # The same id once more: the same bytes, said to be so.
  expect_exit 0 rotate --device "$(device 1)" --role guek --role gak --operation-id op-1 --out again.jsonl
  requests t.jsonl >t.requests
  requests again.jsonl >again.requests
  expect_same_file again.requests t.requests
  expect_equal "said to be released before" "$(grep -c '"released_before":true' again.jsonl)" 2
  rm -f again.jsonl
  deliver t.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_token_and_meter_agree "$(device 1):guek" "$(device 1):gak" "$(device 2):guek"
}

prepare_kek() { prepare_rotate; }
act_kek() { rm -f t.jsonl; rotate --device "$(device 2)" --role kek --operation-id op-1 --out t.jsonl; }
verify_kek() {
  deliver t.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_exit 0 admit_keks
  prove_kek
}
prove_kek() {
  expect_exit 0 rotate --device "$(device 2)" --role gak --out t2.jsonl
  deliver t2.jsonl
  rm -f t2.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_equal "the new KEK" "$(sql 'SELECT state,delivery FROM key WHERE role=3 AND generation>1 ORDER BY generation DESC LIMIT 1')" "2|4"
  expect_token_and_meter_agree "$(device 2):gak"
}

prepare_confirm() {
  prepare_rotate
  act_rotate >/dev/null
  deliver t.jsonl
}
act_confirm() { kms confirm --replies replies.jsonl; }
verify_confirm() { expect_token_and_meter_agree "$(device 1):guek" "$(device 1):gak"; }

prepare_destroy() {
  prepare_confirm
  act_confirm >/dev/null
}
act_destroy() { kms destroy --device "$(device 1)" --role gak --generation 1 --operation-id op-d "${WHO[@]}"; }
verify_destroy() {
  expect_equal "the destroyed key" "$(sql 'SELECT state,wrapped IS NULL FROM key WHERE role=2 AND generation=1 AND device=(SELECT min(device) FROM key)')" "6|1"
  expect_token_and_meter_agree "$(device 1):guek" "$(device 1):gak"
}

# The officer admits a KEK that a rotation has made.
prepare_enrol() {
  prepare_rotate
  act_kek >/dev/null
  deliver t.jsonl
  kms confirm --replies replies.jsonl >/dev/null
}
act_enrol() { admit_keks; }
verify_enrol() { prove_kek; }

# Of more than one key, some may be gone and some not.
prepare_destroy_many() { prepare_destroy; }
act_destroy_many() { kms destroy --deactivated "${WHO[@]}"; }
verify_destroy_many() {
  expect_equal "deactivated keys" "$(sql "SELECT count(*) FROM key WHERE state=4")" 0
  expect_equal "destroyed keys" "$(sql "SELECT count(*) FROM key WHERE state=6 AND generation=1")" 2
  verify_destroy
}

# A new audit key, and the end of the former one.
prepare_renew() {
  setup_token "$SHIM"
  init_keys >/dev/null
}
act_renew() { rm -f new.pem; kms checkpoint --new-key new.pem "${WHO[@]}"; }
verify_renew() {
  expect_equal "the new key" "$(sql "SELECT value FROM setting WHERE name='audit_key_pem'")" "$(cat new.pem)"
  expect_exit 0 kms checkpoint
}

# The sealed vault: every key under the next storage keys, and the old ones gone.
prepare_reseal() {
  prepare_rotate
  old=$(sql "SELECT value FROM setting WHERE name='storage_key.kek'")
  kms vault renew "${OFFICER[@]}" "${WHO[@]}" >/dev/null
}
act_reseal() { kms vault reseal "${WHO[@]}"; }
verify_reseal() {
  expect_equal "keys under the old storage key" "$(sql "SELECT count(*) FROM key WHERE hex(sealed_under)=upper('$old')")" 0
  expect_equal "older storage keys" "$(sql "SELECT count(*) FROM setting WHERE name LIKE 'storage_key.%/old/%'")" 0
  expect_token_and_meter_agree "$(device 1):guek" "$(device 2):gak"
}

# KEKs over to the sealed vault, by their manufacturer's file.
prepare_move() {
  prepare_rotate
  sed -i 's/^keep = .*/keep = "sealed"/' kms.toml
  if [ "$ENROLMENT" = plain ]; then init_keys >/dev/null; else kms enrol "${OFFICER[@]}" "${WHO[@]}" >/dev/null; fi
}
act_move() { import_fleet mfr --move --operation-id op-1; }
verify_move() {
  expect_equal "KEKs in use, sealed" "$(sql 'SELECT count(*) FROM key WHERE role=3 AND state=2 AND sealed IS NOT NULL')" 2
  expect_equal "KEKs that were moved" "$(sql 'SELECT count(*) FROM key WHERE role=3 AND state=4')" 2
  expect_exit 0 rotate --all --role gak --out t.jsonl
  deliver t.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_token_and_meter_agree "$(device 1):gak" "$(device 2):guek"
}
# And back.
prepare_move_back() {
  prepare_move
  act_move >/dev/null
  sed -i 's/^keep = .*/keep = "token"/' kms.toml
}
act_move_back() { import_fleet mfr --move --operation-id op-2; }
verify_move_back() {
  expect_equal "KEKs in use, in the token" "$(sql 'SELECT count(*) FROM key WHERE role=3 AND state=2 AND sealed IS NULL')" 2
  expect_exit 0 rotate --all --role gak --out t.jsonl
  deliver t.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_token_and_meter_agree "$(device 1):gak" "$(device 2):guek"
}

# ---- the sweep ----

armed() {  # N WHEN: the act, with the end of the process set
  if [ "$where" = call ]; then (export SHIM_KILL_AT=$1 SHIM_KILL_WHEN=$2; run "act_$operation"; exit "$code")
  else (export SYNC_KILL_AT=$1 SYNC_KILL_WHEN=$2 LD_PRELOAD=$SYNC_SHIM; run "act_$operation"; exit "$code"); fi
}
count_places() {
  if [ "$where" = call ]; then (export SHIM_COUNT_FILE=$work/places SHIM_LOG=$work/call.log; "act_$operation" >/dev/null 2>&1); jq .total places
  else (export SYNC_COUNT_FILE=$work/places LD_PRELOAD=$SYNC_SHIM; "act_$operation" >/dev/null 2>&1); tr -d ' \n' <places; fi
}
# Where to end the process. After a call that only reads, token and registry are as before it, and that place is tried:
# so `after` takes the others. ALL=1 takes every one.
# In the middle of init the token's protections are tried, with session objects, which die with the process: one place in
# forty will do there.
places() { every_place "$1" | if [ "$operation/$where" = init/call ]; then outside_the_self_test; else cat; fi; }
outside_the_self_test() {
  local begins ends
  begins=$(awk '$2 == "C_Logout" { print $4; exit }' call.log)
  ends=$(awk '$2 == "C_GenerateKeyPair" { last = $4 } END { print last }' call.log)
  awk -v from="$((begins + 12))" -v to="$((ends - 4))" '$1 < from || $1 > to || $1 % 40 == 0'
}
every_place() {  # WHEN
  if [ "$where" = sync ] || [ "$1" = before ] || [ -n "${ALL:-}" ]; then seq 1 "$total"
  else awk '$4 != "-" && $2 !~ /^C_(GetAttributeValue|FindObjects|FindObjectsInit|FindObjectsFinal|GetSessionInfo)$/ { print $4 }' call.log; fi
}

"prepare_$operation"
save_state
total=$(count_places)
[ "$total" -gt 0 ] || { echo "the shim counted nothing"; exit 1; }
expect_consistent
"verify_$operation"
expect_consistent

killed=0
for when in "${whens[@]}"; do
  for n in $(places "$when" | awk -v step="${STEP:-1}" 'NR % step == 0'); do
    case_ "$operation: $where $n of $total, killed $when"
    killed=$((killed + 1))
    restore_state
    rm -f t.jsonl h.again
    code=0; armed "$n" "$when" || code=$?
    # How many calls the workers of a batch make is a matter of timing: this run had fewer than the counted one.
    [[ $operation = *_batch && $code = 0 && $n -gt $((total * 3 / 4)) ]] && continue
    expect_equal "exit of the killed run" "$code" 137
    expect_at_rest
    [ "$operation" != init ] || look_init
    expect_exit 0 "act_$operation"
    [ "$code" -eq 0 ] || continue
    expect_consistent
    "verify_$operation"
    expect_consistent
    [ ! -e meters.state ] || expect_no_repeats
  done
done
case_
echo "$operation: killed $killed times, ${whens[*]} the ${where}s, of which there are $total"
finish
