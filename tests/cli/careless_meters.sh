#!/usr/bin/env bash
# What makes this hard, point 5: bad lists that meters accept. Only the sender can refuse them.
. "$(dirname "$0")/lib.sh"
setup_token "$SHIM"
setup_fleet 26
before=$(sql 'SELECT count(*) FROM key')
refuse() {  # REGEX COMMAND…
  local text=$1; shift
  SHIM_COUNT_FILE=$work/counts expect_exit 1 "$@"
  expect_error "$text"
  expect_equal "keys" "$(sql 'SELECT count(*) FROM key')" "$before"
  expect_equal "keys generated" "$(jq '.functions.C_GenerateKey // 0' counts)" 0
}
case_ "the same key id twice"
refuse 'a role is given twice' rotate --device "$(device 2)" --role gak --role gak
refuse 'a role is given twice' rotate --device "$(device 2)" --role guek --role gak --role guek --together
case_ "a KEK among others"
for order in "kek gak" "gak kek" "guek gbek gak kek"; do
  roles=(); for role in $order; do roles+=(--role "$role"); done
  for form in "" --together; do
    # shellcheck disable=SC2086
    refuse 'the KEK is rotated alone' rotate --device "$(device 2)" "${roles[@]}" $form
  done
done
case_ "an empty list: a device that supports nothing but a KEK"
make_fleet 1 one --first-device 00-DB-12-34-56-78-EE-01
awk -F, -v OFS=, 'NR == 2 { $6 = "kek" } 1' one/fleet.csv >only-kek.csv
sign only-kek.csv
expect_exit 0 import_csv only-kek.csv one
before=$(sql 'SELECT count(*) FROM key')
refuse "supports no GUEK" rotate --device 00-DB-12-34-56-78-EE-01
case_ "a key longer than its KEK: the suite decides, and the KEK's length must be the suite's"
awk -F, -v OFS=, 'NR == 2 { $5 = 2 } 1' mfr/fleet.csv >long.csv
sign long.csv
refuse 'long.csv:2:[0-9]+: kek_wrapped has 24 bytes; a KEK of security suite 2 is 40' import_csv long.csv mfr

case_ "what is sent: a list of one, of the suite's length, whatever the device"
expect_exit 1 rotate --all --out t.jsonl
expect_equal "all but the one without a role" "$(jq -r .device_id t.jsonl | sort -u | wc -l)" 26
jq -r '[.device_id, .role, .parameter] | @tsv' t.jsonl | while IFS=$'\t' read -r d role parameter; do
  bytes=24; [ "$(grep "^$d," mfr/fleet.csv | cut -d, -f5)" != 2 ] || bytes=40
  key_id=$(jq -n --arg r "$role" '{guek: 0, gbek: 1, gak: 2, kek: 3}[$r]')
  printf -v head '01010202160%d09%02X' "$key_id" $bytes
  [ "${parameter:0:16}" = "$head" ] && [ ${#parameter} -eq $((16 + 2 * bytes)) ] || echo "$d $role $parameter"
done >wrong.txt
expect_equal "parameters of another form" "$(cat wrong.txt)" ""
deliver t.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_equal "confirmed" "$(sed -n 's/ confirmed$//p' out)" "$(wc -l <t.jsonl)"
case_ "together: each id once, in the order asked for"
expect_exit 0 rotate --device "$(device 2)" --role gak --role guek --role gbek --together --out t2.jsonl
expect_equal "key ids" "$(jq -r .parameter t2.jsonl | sed 's/^0103//' | fold -w 60 | cut -c8 | tr -d '\n')" 201
deliver t2.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_token_and_meter_agree "$(device 2):guek" "$(device 2):gbek" "$(device 2):gak" "$(device 13):guek" "$(device 13):gak"
expect_no_repeats
expect_consistent
case_
finish
