# Operations on handover targets for sweep.sh: sourced, not run. The target is served first: transfers wait for its receipts.
# shellcheck shell=bash

# A party that uses keys: key pair and certificate.
party() { openssl req -x509 -newkey rsa:3072 -nodes -keyout "$1.key" -out "$1.pem" -subj "/CN=$1" -days 30 2>/dev/null; }
ceremony() { if [ "$ENROLMENT" = plain ]; then kms init "$@" "${WHO[@]}"; else kms enrol "${OFFICER[@]}" "$@" "${WHO[@]}"; fi; }
admit() { ceremony --handover headend --certificate "$1.pem" --fingerprint "$(openssl x509 -in "$1.pem" -outform DER | sha256sum | cut -d' ' -f1)" --roles guek,gak --before-transfer; }
targets() { sql 'SELECT group_concat(generation||":"||status) FROM (SELECT * FROM target ORDER BY generation)'; }
# Receipts of what a file of handovers holds. The target opens the keys; here the token computes their proofs.
receipts() {  # HANDOVERS
  rm -f r.challenge r.proof
  jq -c 'select(.challenge) | {device_id, role, generation, challenge}' "$1" >r.challenge
  kms prove --challenges r.challenge --out r.proof
  jq -c '{device_id, role, generation, target: "headend", proof}' r.proof >r.jsonl
}
hand_over() { rm -f t.jsonl h.jsonl; rotate --device "$(device 1)" --role guek --role gak --operation-id op-1 --out t.jsonl --handover-out h.jsonl; }
# From the receipts to meters that have the keys.
serve() {  # HANDOVERS
  receipts "$1"
  expect_exit 0 kms handover --received r.jsonl --out t.jsonl
  expect_equal "transfers released" "$(jq -r .transfer_id t.jsonl | sort -u | wc -l)" 2
  expect_equal "wrapped keys still stored" "$(sql 'SELECT count(*) FROM handover WHERE wrapped IS NOT NULL')" 0
  deliver t.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_token_and_meter_agree "$(device 1):guek" "$(device 1):gak"
}
expect_verified() {  # [HANDOVERS]
  rm -rf trail
  expect_exit 0 kms export trail
  expect_exit 0 "$AUDIT" verify trail --key audit.pem ${1:+--handovers "$1"}
}

setup_target() {
  setup_fleet 2
  party headend
  admit headend >/dev/null 2>&1
}
prepare_target() { setup_token "$SHIM"; setup_target; }

# A rotation: its keys are handed over, its transfers wait.
prepare_handover() { prepare_target; }
act_handover() { [ ! -e h.jsonl ] || mv h.jsonl h.before; hand_over; }
verify_handover() {
  expect_equal "transfers released before their receipts" "$(cat t.jsonl 2>/dev/null | wc -l)" 0
  expect_equal "keys handed over" "$(grep -c '"wrapped"' h.jsonl)" 2
  # What a killed run wrote, and what is handed out once more, are the same bytes.
  expect_exit 0 kms handover --target headend --all --handover-out h.again
  grep -hoE '"wrapped":"[0-9A-F]{768}"' h.* | sort -u >wrapped
  rm -f h.before h.again
  expect_equal "different bytes" "$(wc -l <wrapped)" 2
  serve h.jsonl
  expect_verified h.jsonl
  rm -f h.jsonl
}

# The same for a batch, whose files are gone on with.
prepare_handover_batch() { prepare_target; }
act_handover_batch() { rotate --all --role guek --role gak --batch B1 --out t.jsonl --handover-out h.jsonl; }
verify_handover_batch() {
  expect_equal "transfers released before their receipts" "$(cat t.jsonl 2>/dev/null | wc -l)" 0
  expect_equal "keys handed over" "$(grep -c '"wrapped"' h.jsonl)" 4
  expect_equal "different keys" "$(jq -r 'select(.wrapped).key_id' h.jsonl | sort -u | wc -l)" 4
  expect_verified h.jsonl
  receipts h.jsonl
  expect_exit 0 kms handover --received r.jsonl --out t.jsonl
  expect_equal "transfers released" "$(jq -r .transfer_id t.jsonl | sort -u | wc -l)" 4
  deliver t.jsonl
  expect_exit 0 kms confirm --replies replies.jsonl
  expect_token_and_meter_agree "$(device 1):guek" "$(device 2):gak"
  rm -f h.jsonl t.jsonl
}

# The receipts, and the transfers that they release.
prepare_receive() {
  prepare_target
  hand_over >/dev/null
  receipts h.jsonl
  rm -f t.jsonl
}
act_receive() { kms handover --received r.jsonl --out t.jsonl; }
verify_receive() {
  expect_equal "lines of transfers" "$(wc -l <t.jsonl)" 2
  serve h.jsonl
  expect_verified
}

prepare_admit() {
  setup_token "$SHIM"
  setup_fleet 1
  party headend
}
act_admit() { admit headend; }
verify_admit() {
  expect_equal "targets" "$(targets)" 1:0
  expect_exit 0 hand_over
  serve h.jsonl
  expect_verified h.jsonl
}

# Another certificate of the same party; what was wrapped under the one before is still handed out.
prepare_renewal() {
  prepare_target
  hand_over >/dev/null
  party next
}
act_renewal() { admit next; }
verify_renewal() {
  expect_equal "targets" "$(targets)" 1:1,2:0
  expect_exit 0 kms handover --target headend --all --handover-out h.again
  expect_equal "keys of the certificate before" "$(jq -r 'select(.wrapped).target_generation' h.again | sort -u)" 1
  serve h.again
  rm -f h.again
  expect_verified
}

prepare_retire() { prepare_target; hand_over >/dev/null; }
# It is done, or refused because the recovery has done it.
act_retire() {
  local answer=0
  ceremony --retire-handover headend || answer=$?
  [ "$answer" -ne 1 ] || [ "$(targets)" != 1:2 ] || answer=0
  return $answer
}
verify_retire() {
  expect_equal "targets" "$(targets)" 1:2
  expect_equal "wrapped keys still stored" "$(sql 'SELECT count(*) FROM handover WHERE wrapped IS NOT NULL')" 0
  expect_exit 0 rotate --device "$(device 2)" --role gak --out t2.jsonl
  rm -f t2.jsonl
  expect_verified
}

prepare_suspect() { prepare_target; hand_over >/dev/null; }
act_suspect() { kms compromise --target headend --suspicion "its host was taken over" --operation-id op-c "${WHO[@]}"; }
verify_suspect() {
  expect_equal "targets" "$(targets)" 1:3
  expect_equal "keys marked" "$(sql 'SELECT count(*) FROM key WHERE role<>3 AND state=5')" 2
  expect_equal "wrapped keys still stored" "$(sql 'SELECT count(*) FROM handover WHERE wrapped IS NOT NULL')" 0
  expect_exit 0 rotate --device "$(device 2)" --role gak --out t2.jsonl
  rm -f t2.jsonl
  expect_verified
}
