#!/usr/bin/env bash
# Every command by hand, as a user on the first day: from an empty token to a destroyed key.
. "$(dirname "$0")/lib.sh"
setup_token

case_ "doctor before init"
expect_exit 1 kms doctor
expect_output 'fail +registry .*init'
expect_output '^next: smets1-kms (init|enrol --so-pin-source)'

case_ init
expect_exit 0 init_keys
expect_output 'registry +.*registry.db'
expect_exit 0 openssl pkey -pubin -in transport-import.pem -noout -text
expect_output '3072 bit'
expect_equal "mode of the registry" "$(stat -c %a registry.db)" 600
cp transport-import.pem first.pem
before=$(registry_contents)
expect_exit 0 init_keys
expect_same_file first.pem transport-import.pem
expect_equal "init again" "$(registry_contents)" "$before"
expect_exit 0 kms --json init "${OFFICER[@]}" "${WHO[@]}" --public-key second.pem
expect_equal "the same key to another file" "$(jq -r .public_key out)" "$(cat first.pem)"
echo other >third.pem
expect_exit 1 init_keys --public-key third.pem
expect_equal "another file's content" "$(cat third.pem)" other
mv audit.pem ours.pem; echo other >audit.pem
expect_exit 0 init_keys
expect_error 'audit.pem is there and is not the public key that signs this audit trail now'
expect_equal "another's audit key" "$(cat audit.pem)" other
mv ours.pem audit.pem

case_ doctor
expect_exit 0 kms doctor
expect_output 'ok +mechanisms'
expect_output '^next: smets1-kms (device import|enrol FLEET)'
expect_exit 0 kms --json doctor
expect_equal ok "$(jq .ok out)" true
expect_equal "registry after doctor" "$(registry_contents)" "$before"

case_ "device import"
make_fleet 13 mfr --commissioned-at 2026-11-20T09:30:00Z
expect_exit 0 import_fleet mfr
expect_output '^13 devices imported with their KEKs, 0 known already'
expect_exit 0 import_csv mfr/fleet.csv mfr --json
expect_equal "the same file again" "$(jq -c "[.imported, .already_known]" out)" "[0,13]"
expect_output "Example Manufacturer"
meter --meters mfr/meters.csv

case_ "device list, show"
expect_exit 0 kms device list
expect_equal lines "$(wc -l <out)" 14
expect_output "^$(device 1) +ESME +EXAMPLE-E1 +0 +guek, gak +2026-11-20T09:30:00.000Z +commissioned"
expect_exit 0 kms device list --json
expect_equal "devices as JSON" "$(jq -r .device_id out | sort)" "$(sed 1d mfr/fleet.csv | cut -d, -f1 | sort)"
compact=$(device 1 | tr -d - | tr A-F a-f)
expect_exit 0 kms device show "$compact" --trail
expect_output "kek +1 +[0-9a-f]{32} +active +confirmed"
expect_output '^#[0-9]+ .* key.import +intent +kek 1 +none>active .*CHG-1234'
expect_exit 0 kms --json device show "$(device 1)" --trail
expect_equal "trail of an import" "$(jq -c '[.trail[].record | [.op, .phase, .device_seq]]' out)" '[["key.import","intent",1],["device.register","note",2],["key.import","outcome",3]]'

case_ "rotate one device to standard output"
expect_exit 0 rotate --device "$(device 1)"
expect_equal transfers "$(grep -c '^action_request ' out)" 2
expect_output "^transfer_id +$(device 1)/1$"
expect_output '^action_request +C301C1004000002B0000FF0201010102021600091[0-9A-F]+$'
expect_not_in out '^NOTE'
sed -n 's/^transfer_id *//p' out >ids; sed -n 's/^action_request *//p' out >requests
paste ids requests | jq -Rc 'split("\t") | {transfer_id: .[0], device_id: (.[0] | split("/")[0]), action_request: .[1]}' >t1.jsonl

case_ "rotate to JSON, and to a file"
expect_exit 0 kms --json rotate --reason operational "${WHO[@]}" --device "$(device 2)" --role guek
expect_equal "fields" "$(jq -r 'keys_unsorted | join(" ")' out)" \
  "schema transfer_id device_id role key_id generation kek_id activation resets_unicast_counter resets_broadcast_counter released_before parameter action_request operation_id"
expect_equal "resets" "$(jq -c '[.resets_unicast_counter, .resets_broadcast_counter, .released_before]' out)" '[true,false,false]'
cp out t2.jsonl
expect_exit 1 rotate --all --role guek --role gak --out t3.jsonl
expect_equal "all but the two that wait" "$(wc -l <t3.jsonl)" 22
expect_output '^11 devices: 22 transfers released; 2 refused or failed$'
expect_error "^smets1-kms: 2 times .in-doubt.: $(device 1), $(device 2): guek 1 of … is released: record the device's answer"
expect_equal "mode of the file" "$(stat -c %a t3.jsonl)" 600
cp t3.jsonl t3.copy
expect_exit 1 rotate --device "$(device 3)" --out t3.jsonl
expect_error "t3.jsonl: can't be made: File exists. .*never overwritten"
expect_one_line_error
expect_same_file t3.jsonl t3.copy

case_ "confirm one"
deliver t1.jsonl
first_reply=$(jq -r 'select(.transfer_id == "'"$(device 1)/1"'") | .reply' replies.jsonl)
expect_exit 0 kms confirm --transfer "$(device 1)/1" --reply "$first_reply"
expect_output "$(device 1)/1  confirmed"
expect_exit 0 kms --json confirm --transfer "$(device 1)/2" --reply "$(sed -n 2p replies.jsonl | jq -r .reply)"
expect_equal confirm "$(jq -r .delivery out)" confirmed
case_ "confirm many"
cat t2.jsonl t3.jsonl >all.jsonl
deliver all.jsonl --fault "$(device 4)=lose-reply" --fault "$(device 5)=not-ok" --fault-once
expect_exit 0 kms confirm --replies replies.jsonl
expect_output '^2[0-9] confirmed$'
expect_output "^$(device 4)/1  in-doubt"
expect_error 'in doubt: probe these devices'

case_ status
expect_exit 0 kms status
expect_output '13 devices commissioned'
expect_output "$(device 4)  guek 1  in-doubt  \(probe the device, then resolve "
expect_exit 0 kms --json status
expect_equal waiting "$(jq -c '[.waiting[] | select(.kind == "in-doubt") | [.device_id, .role]] | length' out)" 2

case_ resolve
for d in 4 5; do
  holds=old; ! meter_holds "$(device $d)" guek 1 || holds=new
  expect_equal "device $d holds" "$holds" "$([ $d = 4 ] && echo new || echo old)"
  expect_exit 0 kms resolve --device "$(device $d)" --role guek --generation 1 --holds $holds --evidence "key proof over a fresh challenge" "${WHO[@]}"
  expect_output "resolved: $(device $d) (holds|does not hold) guek 1"
done
expect_exit 0 kms --json status
expect_equal "in doubt" "$(jq -c '[.waiting[] | select(.kind == "in-doubt")] | length' out)" 0
expect_exit 0 rotate --device "$(device 5)" --role guek --out t5.jsonl  # it kept its old key: here none
deliver t5.jsonl
expect_exit 0 kms confirm --replies replies.jsonl

case_ "second rotation; EXAMPLE-N1 goes on with its old key until the next association"
late=$(device 10)
expect_in mfr/fleet.csv "^$late,.*EXAMPLE-N1"
meter --fault "#10=next-association"
meter --associate all
expect_exit 0 rotate --device "$(device 3)" --device "$late" --device "$(device 3)" --role guek --role gak --out t6.jsonl
expect_output "2 devices: 4 transfers released"
deliver t6.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
state_of() { kms --json device show "$1" | jq -r ".keys[] | select(.role == \"$2\" and .generation == $3) | .state"; }
expect_equal "an immediate model's old key" "$(state_of "$(device 3)" guek 1)" deactivated
expect_equal "a late model's old key" "$(state_of "$late" guek 1)" active
expect_equal "its new key" "$(state_of "$late" guek 2)" active
checks=$((checks + 2))
meter_holds "$late" guek 1 || fail "the late meter does not use its old key before the association"
meter --associate "$late"
meter_holds "$late" guek 2 || fail "the late meter does not use its new key after the association"
case_ retire
expect_exit 0 kms retire --device "$late" --role guek --generation 1 "${WHO[@]}"
expect_output '^1 keys retired'
expect_equal "retired" "$(state_of "$late" guek 1)" deactivated
expect_exit 0 kms --json retire --superseded "${WHO[@]}"
expect_equal "the others" "$(jq -c '[.retired, .in_use]' out)" '[1,0]'

case_ destroy
expect_exit 0 kms destroy --device "$late" --role guek --generation 1 "${WHO[@]}"
expect_output '^1 keys destroyed, their absence checked'
expect_equal "destroyed" "$(state_of "$late" guek 1)" destroyed
expect_exit 0 kms --json destroy --deactivated "${WHO[@]}"
expect_equal "the others" "$(jq -c '[.destroyed, .in_use]' out)" '[3,0]'
expect_exit 0 kms destroy --deactivated "${WHO[@]}"
expect_output '^0 keys destroyed'

case_ compromise
suspect=$(device 2)
expect_exit 0 kms compromise --device "$suspect" --role guek --generation 1 --suspicion "a laptop was lost" "${WHO[@]}"
expect_output "$suspect +guek +1"
expect_equal "compromised" "$(state_of "$suspect" guek 1)" compromised
expect_exit 0 rotate --device "$suspect" --role guek --out t7.jsonl
deliver t7.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_exit 0 kms destroy --device "$suspect" --role guek --generation 1 "${WHO[@]}"
expect_equal "compromised and destroyed" "$(state_of "$suspect" guek 1)" destroyed-compromised

case_ "a compromised KEK takes with it all that it wrapped"
expect_exit 0 kms --json compromise --device "$(device 6)" --role kek --generation 1 --suspicion "the maker lost a file" "${WHO[@]}"
expect_equal "compromised" "$(jq -c '[.compromised[] | .role] | sort' out)" '["gak","guek","kek"]'
expect_exit 1 rotate --device "$(device 6)" --role gak
expect_error 'no KEK that may wrap.*manufacturer'

case_ "prove"
expect_token_and_meter_agree "$(device 1):guek" "$(device 1):gak" "$(device 3):guek" "$(device 4):guek" "$(device 5):guek" "$late:guek" "$late:gak" "$(device 13):guek" "$(device 13):gak"
expect_equal "suite of the 13th: keys of 32 bytes" "$(sed -n 14p mfr/fleet.csv | cut -d, -f5)" 2
challenge_line "$(device 1)" gak >c.jsonl
expect_exit 0 kms prove --challenges c.jsonl
expect_equal "an independent CMAC is what the meter says" "$(jq -r '.proof | length' out)" 32

case_ "at the end"
expect_consistent
expect_no_repeats
case_
finish
