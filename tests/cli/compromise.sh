#!/usr/bin/env bash
# Suspicion: of a KEK, whose manufacturer gives another; of the whole token.
. "$(dirname "$0")/lib.sh"
setup_token
setup_fleet 3
expect_exit 0 rotate --all --out transfers.jsonl
deliver transfers.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
one=$(device 1)
case_ "a KEK"
expect_exit 0 kms compromise --device "$one" --role kek --generation 1 --suspicion 'found on a laptop' "${WHO[@]}"
expect_exit 0 kms due
expect_output "^$one  P3    project rule  +pending .* kek: another from its manufacturer; then guek: a rotation"
expect_equal "whom to notify" "$(sql "SELECT DISTINCT bytes->>'notify' FROM record WHERE bytes->>'op'='key.compromise'")" "SMKI PMA, SSC"
expect_exit 0 kms rotate --due --out none.jsonl "${WHO[@]}"
expect_error '^smets1-kms: 1 devices have no usable KEK'
expect_exit 1 import_fleet mfr
expect_error 'fleet.csv:2:.*is one that was imported before: its manufacturer must provide another'
case_ "a suspected KEK wraps nothing: it can go before another is there"
expect_exit 0 kms destroy --device "$one" --role kek --generation 1 "${WHO[@]}"
case_ "another KEK from its manufacturer"
first=$(sed -n 2p mfr/fleet.csv | cut -d, -f7)
make_fleet 3 again --commissioned-at "$first"
expect_exit 0 import_fleet again
expect_output '^0 devices imported.*2 known already, 1 given another KEK'
expect_exit 0 import_fleet again
expect_output '3 known already'
grep -e "$one" -e device_id again/meters.csv >one.csv
"$METER" --state other.state --meters one.csv
expect_exit 0 kms rotate --due --out again.jsonl "${WHO[@]}"
expect_equal "rotations" "$(jq -r .device_id again.jsonl | sort -u)" "$one"
"$METER" --state other.state --transfers again.jsonl --replies replies.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_exit 0 kms due --device "$one" --status met
expect_output '^P3  project rule'
case_ "a new KEK that is suspected before it is proved: the one before shows what the device has"
kek=$(sed -n 's/,.*+kek,.*//p' mfr/fleet.csv | head -1)
expect_exit 0 rotate --device "$kek" --role kek --out kek.jsonl
expect_exit 0 kms compromise --device "$kek" --role kek --generation 2 --suspicion 'its transfer was seen' "${WHO[@]}"
expect_exit 0 kms status
expect_output "$kek  kek 2  released  \(no answer recorded: confirm"
expect_exit 1 rotate --device "$kek" --role gak --under-proven-kek
expect_error 'once its answer is recorded, rotate the GAK alone under the one before'
expect_exit 0 kms confirm --transfer "$(jq -r .transfer_id kek.jsonl)" --no-answer
expect_exit 0 kms status
expect_output "$kek  kek 2  in-doubt  \(suspected: rotate the GAK --under-proven-kek"
expect_exit 1 rotate --device "$kek" --role guek
expect_error 'suspected of compromise while it is in-doubt: rotate the GAK alone under the one before'
expect_exit 1 kms destroy --device "$kek" --role kek --generation 2 "${WHO[@]}"
expect_error 'may still be in use'
expect_exit 0 rotate --device "$kek" --role gak --under-proven-kek --out gak.jsonl
deliver gak.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_exit 0 rotate --device "$kek" --role guek --out guek.jsonl
deliver guek.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
case_ "the token"
expect_exit 2 kms compromise --token --device "$one" --role kek --generation 1 --suspicion x "${WHO[@]}"
expect_exit 1 kms compromise --token --suspicion 'bad "quote"' "${WHO[@]}"
expect_exit 0 kms --json compromise --token --suspicion 'an image of the host was found' --operation-id T-1 "${WHO[@]}"
expect_equal "devices" "$(jq .devices out)" 3
cp out before
expect_exit 0 kms --json compromise --token --suspicion 'an image of the host was found' --operation-id T-1 "${WHO[@]}"
expect_same_file out before
expect_equal "usable keys" "$(sql 'SELECT count(*) FROM key WHERE state IN (1,2,3,4)')" 0
expect_exit 1 rotate --device "$(device 2)"
expect_error 'no KEK that may wrap'
kms checkpoint >/dev/null; kms export assessor >/dev/null
expect_exit 0 "$AUDIT" verify assessor --key audit.pem
expect_consistent
finish
