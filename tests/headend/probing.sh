#!/usr/bin/env bash
# From the manufacturer's keys to keys that nobody doubts, through a head end: first rotation, faults, all four
# combinations of old and new GUEK and GAK, found by probing; GBEK, KEK, meters that switch at their next association.
. "$(dirname "$0")/lib.sh"
setup_fleet 13   # the tenth switches at its next association; the thirteenth is of suite 2
slow=$(device 10)
meter --fault "$slow=next-association"
activation() { [ "$1" = "$slow" ] && echo next-association || echo immediate; }
expect_agreement

case_ "first rotation: the keys are handed over, under both hashes, and the receipts are right"
for n in $(seq 13); do
  id=$(device "$n") number=0
  for role in guek gbek gak; do
    supports "$id" $role || continue
    new_key "$id" $role 1 "$([ $((n % 2)) = 0 ] && echo sha256 || echo sha1)" >>handovers.jsonl
    transfer_line "$id" $((number += 1)) "$(activation "$id")" $role:1 >>transfers.jsonl
  done
done
keys=$(wc -l <transfers.jsonl)
expect_equal "keys" "$(wc -l <handovers.jsonl)" "$keys"
handover_line "$(device 1)" guek 1 SHA-1 00112233 another-target >>handovers.jsonl
echo '{"schema":"smets1-kms-handover-1","checkpoint":"a note\n"}' >>handovers.jsonl
expect_exit 0 headend "${target[@]}" --handovers handovers.jsonl --receipts receipts.jsonl
expect_error "$keys handed over keys opened, 1 line of other targets"
expect_equal "receipts" "$(jq -r '[.target, (.proof | length)] | @csv' receipts.jsonl | sort | uniq -c | xargs)" "$keys head-end-1,32"
while read -r line <&3 && read -r receipt <&4; do  # a GAK's proof, computed by openssl
  [ "$(jq -r .role <<<"$line")" = gak ] || continue
  key=$(<"keys/$(jq -r '"\(.device_id).gak.\(.generation)"' <<<"$line")")
  proof=$({ printf 'smets1-kms key proof 1'; jq -r .challenge <<<"$line" | unhex; } | openssl mac -cipher "AES-$((${#key} * 4))-CBC" -macopt "hexkey:$key" CMAC)
  expect_equal "proof" "$(jq -r .proof <<<"$receipt")" "$proof"
done 3<handovers.jsonl 4<receipts.jsonl
case_ "opened twice: the same receipts, nothing else"
cp head.state before; cp receipts.jsonl first.jsonl
expect_exit 0 headend "${target[@]}" --handovers handovers.jsonl --receipts receipts.jsonl
expect_same_file receipts.jsonl first.jsonl
expect_same_file head.state before

case_ "first rotation, ciphered under the manufacturer's keys; four answers or requests go wrong"
deliver transfers.jsonl --fault "$(device 2)=lose-reply" --fault "$(device 3)=not-ok-after-apply" --fault "$(device 4)=not-ok" --fault "$(device 5)=lose-request" --fault-once
expect_equal "devices in doubt" "$(headend --report | jq .total.in_doubt)" 4
expect_equal "answers that are none" "$(jq -r 'select(.reply == null) | .transfer_id' replies.jsonl | sort | paste -sd' ')" "$(device 2)/1 $(device 5)/1"
expect_equal "answers 'not ok'" "$(jq -r 'select(.reply == "C701C1FA00") | .transfer_id' replies.jsonl | sort | paste -sd' ')" "$(device 3)/1 $(device 4)/1"
expect_equal "those in doubt get nothing more" "$(grep -c "$(device 2)" replies.jsonl)" 1
case_ "read twice: the same answers, nothing else"
cp head.state before
headend --ciphered-replies ciphered.jsonl --replies once.jsonl 2>>notes; headend --ciphered-replies ciphered.jsonl --replies twice.jsonl 2>>notes
expect_same_file once.jsonl twice.jsonl
expect_same_file head.state before
case_ "the probe finds which key each holds"
probe
expect_equal "asked: two a device" "$(wc -l <probes.jsonl)" 8
expect_equal "lost reply" "$(holds "$(device 2)")" "guek 1 new"
expect_equal "not ok after applying" "$(holds "$(device 3)")" "guek 1 new"
expect_equal "not ok" "$(holds "$(device 4)")" "guek 1 old"
expect_equal "lost request" "$(holds "$(device 5)")" "guek 1 old"
expect_equal "evidence" "$(jq -r '.evidence' evidence.jsonl | sed -n 1p)" "association answered under guek 1, gak 0; refused under the other pair"
expect_equal "its members" "$(jq -rc 'keys_unsorted | sort' evidence.jsonl | sort -u)" '["device_id","evidence","generation","holds","role"]'
case_ "answers read twice: the same evidence, nothing else"
cp head.state before; cp evidence.jsonl first.jsonl
expect_exit 0 headend --probe-answers answers.jsonl --evidence evidence.jsonl
expect_same_file evidence.jsonl first.jsonl
expect_same_file head.state before
case_ "then the rest is delivered"
deliver transfers.jsonl
expect_equal "devices in doubt" "$(headend --report | jq .total.in_doubt)" 0
for n in 4 5; do new_key "$(device $n)" guek 2 >more.jsonl; headend "${target[@]}" --handovers more.jsonl --receipts r.jsonl 2>>notes; transfer_line "$(device $n)" 9 immediate guek:2 >>transfers-2.jsonl; done
deliver transfers-2.jsonl
expect_equal "confirmed" "$(success)" 2
expect_agreement
expect_equal "generations" "$(headend --report | jq -r '[.devices[] | [.guek.in_use, .gak.in_use] | join("/")] | sort | unique | join(" ")')" "1/1 2/1"
expect_equal "a new GUEK starts the counters anew" "$(headend --report | jq '[.devices[].guek.sent_counter] | max < 10')" true

case_ "second rotation, both keys in one ACTION: all four combinations"
rm -f handovers.jsonl transfers.jsonl
declare -A order=([6]="guek gak" [7]="gak guek" [8]="guek gak" [9]="guek gak" [10]="guek gak" [11]="gak guek" [12]="guek gak" [13]="gak guek")
for n in "${!order[@]}"; do
  id=$(device "$n") pairs=()
  for role in ${order[$n]}; do new_key "$id" "$role" 2 sha256 >>handovers.jsonl; pairs+=("$role:2"); done
  transfer_line "$id" 20 "$(activation "$id")" "${pairs[@]}" >>transfers.jsonl
done
headend "${target[@]}" --handovers handovers.jsonl --receipts receipts.jsonl 2>>notes
deliver transfers.jsonl --fault "$(device 6)=first-only" --fault "$(device 7)=first-only" --fault "$(device 8)=lose-reply" --fault "$(device 9)=not-ok" \
  --fault "$(device 10)=first-only" --fault "$(device 11)=not-ok-after-apply" --fault "$(device 13)=first-only" --fault-once
expect_equal "confirmed at once" "$(success)" 1
probe
expect_equal "asked: four a device" "$(wc -l <probes.jsonl)" 28
expect_equal "new GUEK, old GAK" "$(holds "$(device 6)")" "gak 2 old guek 2 new"
expect_equal "old GUEK, new GAK" "$(holds "$(device 7)")" "gak 2 new guek 2 old"
expect_equal "both new, no answer" "$(holds "$(device 8)")" "gak 2 new guek 2 new"
expect_equal "both old" "$(holds "$(device 9)")" "gak 2 old guek 2 old"
expect_equal "new GUEK that waited for an association" "$(holds "$slow")" "gak 2 old guek 2 new"
expect_equal "both new, not ok" "$(holds "$(device 11)")" "gak 2 new guek 2 new"
expect_equal "old GUEK, new GAK, of 32 bytes" "$(holds "$(device 13)")" "gak 2 new guek 2 old"
expect_equal "evidence" "$(jq -r "select(.device_id == \"$(device 6)\") | .evidence" evidence.jsonl | sort -u)" "association answered under guek 2, gak 1; refused under the three other pairs"
expect_agreement

case_ "a meter that switches at its next association, asked in the wrong order, answers under old and new"
rm -f handovers.jsonl
for role in guek gak; do new_key "$slow" $role 3 >>handovers.jsonl; done
headend "${target[@]}" --handovers handovers.jsonl --receipts receipts.jsonl 2>>notes
transfer_line "$slow" 30 next-association guek:3 gak:3 >transfers.jsonl
deliver transfers.jsonl --fault "$slow=lose-reply" --fault-once
headend --probe probes.jsonl 2>>notes
tac probes.jsonl >reversed.jsonl
meter --transfers reversed.jsonl --replies answers.jsonl
expect_equal "answers" "$(jq -r '.reply[0:2]' answers.jsonl | paste -sd' ')" "CC D8 D8 CC"
expect_exit 0 headend --probe-answers answers.jsonl --evidence evidence.jsonl
expect_equal "found" "$(holds "$slow")" "gak 3 new guek 3 new"
expect_agreement
case_ "it confirms, and the head end brings the keys into use by an association"
for role in guek gak; do new_key "$slow" $role 4 >>handovers.jsonl; done
headend "${target[@]}" --handovers handovers.jsonl --receipts receipts.jsonl 2>>notes
transfer_line "$slow" 40 next-association guek:4 gak:4 >transfers.jsonl
headend --transfers transfers.jsonl --requests requests.jsonl 2>>notes
meter --transfers requests.jsonl --replies ciphered.jsonl
expect_exit 0 headend --ciphered-replies ciphered.jsonl --replies replies.jsonl
expect_equal "confirmed" "$(success)" 1
expect_equal "waiting" "$(headend --report | jq -c ".devices[\"$slow\"].guek | [.in_use, .next]")" "[3,4]"
expect_equal "waiting at the meter" "$(meter --report | jq -c ".devices[\"$slow\"].pending_key_ids")" "[0,2]"
deliver transfers.jsonl --fault "$slow=lose-reply" --fault-once   # this association's answer is lost: another is made
expect_equal "in use" "$(headend --report | jq -c ".devices[\"$slow\"].guek | [.in_use, .next]")" "[4,null]"
expect_agreement

case_ "a GBEK in doubt: asked under the broadcast key set"
group=(); for n in $(seq 13); do ! supports "$(device "$n")" gbek || group+=("$(device "$n")"); done
rm -f handovers.jsonl transfers.jsonl
for id in "${group[@]:0:2}" "$slow"; do
  new_key "$id" gbek 2 >>handovers.jsonl
  transfer_line "$id" 50 "$(activation "$id")" gbek:2 >>transfers.jsonl
done
headend "${target[@]}" --handovers handovers.jsonl --receipts receipts.jsonl 2>>notes
deliver transfers.jsonl --fault "${group[0]}=lose-reply" --fault "${group[1]}=lose-request" --fault "$slow=lose-reply" --fault-once
probe
expect_equal "applied" "$(holds "${group[0]}")" "gbek 2 new"
expect_equal "not applied" "$(holds "${group[1]}")" "gbek 2 old"
expect_equal "applied, waiting for an association" "$(holds "$slow")" "gbek 2 new"
expect_equal "evidence" "$(jq -r .evidence evidence.jsonl | sort | paste -sd'|')" "broadcast-set request answered under gbek 1, gak 1; refused under the other pair|$(
  )broadcast-set request answered under gbek 2, gak 1; refused under the other pair|broadcast-set request answered under gbek 2, gak 4; refused under the other pair"
expect_agreement
case_ "a GBEK that was not handed over: carried all the same, without the head end"
new_key "${group[2]}" gbek 2 >/dev/null
transfer_line "${group[2]}" 50 immediate gbek:2 >transfers.jsonl
deliver transfers.jsonl
expect_equal "confirmed" "$(success)" 1
expect_equal "its proof" "$(printf '{"device_id":"%s","role":"gbek","challenge":"%s"}\n' "${group[2]}" "$(openssl rand -hex 16)" >c; headend --prove c --proofs p 2>>notes; jq -c .proof p)" null

case_ "a KEK: carried, never known here; in doubt it can't be probed"
id=$(device 2)
new_key "$id" kek 2
transfer_line "$id" 60 immediate kek:2 >transfers.jsonl
: >notes
deliver transfers.jsonl --fault "$id=lose-reply" --fault-once
expect_equal "no answer" "$(jq -c .reply replies.jsonl)" null
checks=$((checks + 1)); grep -q "kek 2 of $id is in doubt, and an association can't show" notes || fail "nothing is said of the KEK: $(cat notes)"
mv "keys/$id.kek.2" "keys/$id.kek"
new_key "$id" gak 2 >handovers.jsonl
headend "${target[@]}" --handovers handovers.jsonl --receipts receipts.jsonl 2>>notes
transfer_line "$id" 61 immediate gak:2 >transfers.jsonl
deliver transfers.jsonl
expect_equal "confirmed, wrapped under the new KEK" "$(success)" 1

case_ "at the end"
expect_equal "keys a meter had before" "$(total repeats)" 0
expect_equal "wrapped keys sent twice" "$(total offered_again)" 0
expect_equal "careless requests" "$(total careless)" 0
expect_equal "requests in clear, or with an old counter" "$(total refused_clear) $(total refused_counter)" "0 0"
expect_equal "mode of the state file" "$(stat -c %a head.state)" 600
finish
