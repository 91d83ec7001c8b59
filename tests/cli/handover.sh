#!/usr/bin/env bash
# Keys for those who use them, by the commands: a target is admitted, its keys are opened with openssl alone, transfers wait
# for its receipts, and bad input is refused before anything is changed.
. "$(dirname "$0")/lib.sh"
setup_token
kms init "${OFFICER[@]}" "${WHO[@]}" >/dev/null
make_fleet 4 mfr
"$METER" --state meters.state --meters mfr/meters.csv >/dev/null
import_fleet mfr >/dev/null

case_ "bad certificates, fingerprints and options: nothing is changed"
make_target headend; make_target other; make_target short -newkey rsa:2048; make_target old -days 30
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ec.key -out ec.pem -days 30 -subj /CN=ec 2>/dev/null
openssl req -new -key old.key -subj /CN=old 2>/dev/null | openssl x509 -req -signkey old.key -days -1 -out old.pem 2>/dev/null
records() { sqlite3 registry.db 'SELECT count(*) FROM record'; }
objects() { sqlite3 registry.db 'SELECT count(*) FROM target'; }
expect_exit 1 admit_target ec guek;      expect_error 'type EC'
expect_exit 1 admit_target short guek;   expect_error '2048 bits'
expect_exit 1 admit_target old guek;     expect_error 'has expired on'
expect_exit 1 kms enrol "${OFFICER[@]}" "${WHO[@]}" --handover headend --certificate headend.pem --fingerprint "$(fingerprint other)" --roles guek
expect_error 'not the fingerprint that was given'
expect_exit 1 kms enrol "${OFFICER[@]}" "${WHO[@]}" --handover headend --certificate transport-import.pem --fingerprint "$(fingerprint other)" --roles guek
expect_error 'no X.509 certificate'
expect_exit 2 kms enrol "${OFFICER[@]}" "${WHO[@]}" --certificate headend.pem
expect_error 'certificate goes with --handover'
expect_exit 1 admit_target headend kek;  expect_error 'never handed over'
expect_exit 1 admit_target headend lamp
expect_equal "targets" "$(objects)" 0
before=$(records)
expect_exit 1 admit_target short guek
expect_equal "a refusal is recorded" "$(records)" $((before + 1))

case_ "without a target a rotation hands nothing over"
expect_exit 0 kms rotate --device "$(device 1)" --role guek --reason operational --out t0.jsonl --handover-out h0.jsonl "${WHO[@]}"
expect_error 'no handover target is admitted: .* nobody can speak to these meters'
[ ! -e h0.jsonl ] || fail "an empty file of handovers stays"
deliver t0.jsonl >/dev/null; kms confirm --replies replies.jsonl >/dev/null

case_ "served first"
expect_exit 0 admit_target headend guek,gak --before-transfer
expect_error 'handover target headend/1 is admitted'
expect_exit 0 admit_target other guek,gak --before-transfer
cp headend.key double.key; cp headend.pem double.pem
expect_exit 1 admit_target double guek; expect_error 'has the key of the handover target headend/1'
kms enrol "${OFFICER[@]}" "${WHO[@]}" --retire-handover other >/dev/null
expect_exit 0 kms rotate --file <(device 1; device 2; device 3) --role guek --role gak --reason operational --batch served --out t.jsonl --handover-out h.jsonl "${WHO[@]}"
expect_output '3 devices: 0 transfers released; .*6 transfers withheld until their keys are received; 6 keys handed over'
expect_error "6 transfers are released by the receipts of their targets: 'handover --received'"
expect_not_in err 'no handover target'
[ ! -e t.jsonl ] || fail "a transfer was released before its receipt"
expect_equal "modes" "$(stat -c %a h.jsonl)" 600
expect_equal "lines" "$(wc -l <h.jsonl)" 7
expect_equal "the last line" "$(tail -1 h.jsonl | jq -r '.checkpoint | split("\n")[0] | split("/")[0]')" smets1-kms
expect_exit 1 kms transfer "$(device 2)/1"; expect_error 'is withheld until its handover targets'
expect_exit 0 kms status; expect_output 'receipt-missing of headend/1'

case_ "a handover opens with openssl alone, and is the key that the meter will have"
line=$(jq -c 'select(.role == "gak")' h.jsonl | head -1)
jq -r .wrapped <<<"$line" | xxd -r -p >wrapped.bin
expect_equal "sha256" "$(sha256sum <wrapped.bin | cut -d' ' -f1)" "$(jq -r .sha256 <<<"$line")"
openssl pkeyutl -decrypt -inkey headend.key -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:"$(jq -r '.hash | gsub("-"; "") | ascii_downcase' <<<"$line")" \
  -in wrapped.bin -out key.bin
{ printf 'smets1-kms key proof 1'; jq -r .challenge <<<"$line" | xxd -r -p; } >message.bin
proof=$(openssl mac -cipher AES-128-CBC -macopt hexkey:"$(xxd -p key.bin)" -in message.bin CMAC)
jq -c --arg proof "$proof" '{device_id, role, generation, target, proof: $proof}' <<<"$line" >one.jsonl
expect_exit 0 kms handover --received one.jsonl --out served.jsonl
expect_output '1 receipts: 1 transfers released'
rm key.bin

case_ "receipts: wrong ones release nothing, right ones once, also when the file of transfers was lost"
receipts h.jsonl headend >receipts.jsonl
jq -c '.proof |= ("00000000" + .[8:])' receipts.jsonl >wrong.jsonl
expect_exit 1 kms handover --received wrong.jsonl --out served.jsonl
expect_error 'is not that key'
expect_equal "transfers" "$(wc -l <served.jsonl)" 1
printf '{"device_id":"%s","role":"guek","generation":2}\n' "$(device 1)" >bad.jsonl
expect_exit 1 kms handover --received bad.jsonl --out served.jsonl; expect_error 'bad.jsonl:1'
expect_exit 0 kms handover --received receipts.jsonl --out served.jsonl
expect_output '5 receipts: 5 transfers released; 1 receipts recorded before'
expect_exit 0 kms handover --received receipts.jsonl --out served.jsonl
expect_output '0 receipts: 0 transfers released; 6 receipts recorded before'
expect_equal "transfers" "$(wc -l <served.jsonl)" 6
head -2 served.jsonl >fewer.jsonl
expect_exit 0 kms handover --received receipts.jsonl --out fewer.jsonl
expect_output '4 handed out once more'
expect_equal "the same transfers" "$(jq -r .action_request fewer.jsonl | sort | sha256sum)" "$(jq -r .action_request served.jsonl | sort | sha256sum)"
expect_equal "stored blobs" "$(sqlite3 registry.db 'SELECT count(*) FROM handover WHERE wrapped IS NOT NULL')" 0
deliver served.jsonl --fault '#1=lose-reply' --fault-once >/dev/null
expect_exit 0 kms confirm --replies replies.jsonl

case_ "a file of evidence ends doubts"
kms --json status | jq -c '.waiting[] | select(.kind == "in-doubt") | {device_id, role, generation, holds: "new", evidence: "association answered"}' >evidence.jsonl
doubts=$(wc -l <evidence.jsonl)
expect_exit 1 kms resolve --evidence-file <(jq -c '.holds = "perhaps"' evidence.jsonl) "${WHO[@]}"; expect_error 'is not new or old'
expect_exit 0 kms resolve --evidence-file evidence.jsonl "${WHO[@]}"; expect_output "$doubts doubts ended"
expect_exit 0 kms resolve --evidence-file evidence.jsonl "${WHO[@]}"; expect_output "$doubts had ended before"
expect_exit 2 kms resolve --evidence-file evidence.jsonl --holds new "${WHO[@]}"

case_ "a batch that is run again writes what a file lacks, and no line twice"
expect_exit 0 kms rotate --file <(device 2; device 3) --role guek --reason operational --batch again --out t2.jsonl --handover-out h2.jsonl "${WHO[@]}"
cp h2.jsonl whole.jsonl; head -1 whole.jsonl >h2.jsonl
expect_exit 0 kms rotate --file <(device 2; device 3) --role guek --reason operational --batch again --out t2.jsonl --handover-out h2.jsonl "${WHO[@]}"
expect_equal "the last line" "$(tail -1 h2.jsonl | jq -r 'has("checkpoint")')" true
cp whole.jsonl h2.jsonl; sed -i '$d' h2.jsonl   # it died before the last line
expect_exit 0 kms rotate --file <(device 2; device 3) --role guek --reason operational --batch again --out t2.jsonl --handover-out h2.jsonl "${WHO[@]}"
expect_equal "the last line" "$(tail -1 h2.jsonl | jq -r 'has("checkpoint")')" true
expect_equal "the same keys" "$(jq -r '.sha256 // empty' h2.jsonl | sort | sha256sum)" "$(jq -r '.sha256 // empty' whole.jsonl | sort | sha256sum)"
expect_exit 1 kms rotate --device "$(device 4)" --role guek --reason operational --handover-out h2.jsonl "${WHO[@]}"
expect_exit 0 kms handover --target headend --all --handover-out h3.jsonl
expect_equal "handed out again" "$(jq -r '.sha256 // empty' h3.jsonl | sort | sha256sum)" "$(jq -r '.sha256 // empty' whole.jsonl | sort | sha256sum)"
expect_exit 2 kms handover --target headend
expect_exit 2 kms handover --received receipts.jsonl --all
expect_exit 1 kms handover --target nobody --all; expect_error "never was a handover target 'nobody'"

case_ "keys from before its admission; suspicion"
make_target late
expect_exit 0 admit_target late gak
expect_exit 0 kms rotate --missing-handover late --reason operational --batch late --out t4.jsonl --handover-out h4.jsonl "${WHO[@]}"
expect_equal "devices" "$(jq -r 'select(.target == "late") | .device_id' h4.jsonl | sort -u | wc -l)" 4
expect_exit 0 kms compromise --target late --suspicion "a stolen disk" "${WHO[@]}"
expect_output '4 keys marked'
expect_exit 0 kms doctor; expect_output 'target headend/1'
expect_not_in out 'target late/1'
expect_exit 0 "$AUDIT" verify registry.db --key audit.pem --handovers h.jsonl --handovers h2.jsonl --handovers h3.jsonl --handovers h4.jsonl
jq -c 'if .wrapped then .wrapped |= ("00" + .[2:]) else . end' h4.jsonl >forged.jsonl
expect_exit 4 "$AUDIT" verify registry.db --key audit.pem --handovers forged.jsonl

case_ "keys of the other vault: the target is admitted again"
sed -i 's/^keep = .*/keep = "sealed"/' kms.toml
kms enrol "${OFFICER[@]}" "${WHO[@]}" >/dev/null 2>&1
make_fleet 1 sealed --first-device 00DB1234567891A0
expect_exit 0 import_fleet sealed
sealed=$(sed -n 2p sealed/fleet.csv | cut -d, -f1)
expect_exit 1 kms rotate --device "$sealed" --role guek --reason operational "${WHO[@]}"
expect_error 'was admitted while keys rested in the token'
run kms doctor; expect_output 'target headend/1 .*it was admitted while keys rested in the token'
expect_exit 0 admit_target headend guek,gak --before-transfer
expect_error 'headend/2'
expect_exit 0 kms rotate --device "$sealed" --role guek --reason operational --handover-out h5.jsonl "${WHO[@]}"
expect_exit 0 "$AUDIT" verify registry.db --key audit.pem --handovers h5.jsonl

case_ "plain enrolment: init takes the same options"
mkdir plain; mv headend.key headend.pem plain; cd plain
all=$work work=$work/plain ENROLMENT=plain
setup_token
expect_exit 0 kms init "${WHO[@]}" --handover headend --certificate headend.pem --fingerprint "$(fingerprint headend)" --roles guek,gak
make_fleet 1 mfr
expect_exit 0 kms device import mfr/fleet.csv --signature mfr/fleet.csv.p7s --transport-key mfr-a-2026=mfr/mfr-a-2026.key.bin "${WHO[@]}"
expect_exit 0 kms rotate --all --reason operational --out t.jsonl --handover-out h.jsonl "${WHO[@]}"
expect_output '2 keys handed over'
expect_exit 0 "$AUDIT" verify registry.db --key audit.pem --handovers h.jsonl
work=$all
finish
