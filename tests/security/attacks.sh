#!/usr/bin/env bash
# Provisions SoftHSM tokens with our own commands, lets attack_tests loose on them, prints the attack table.
# usage: attacks.sh        (from CMake: KMS, AUDIT, METER, MANUFACTURER, ATTACKS; KEEP=1 keeps the tokens;
#                           TABLE=FILE: the table goes there too;
#                           MODES="officer plain sealed" are the columns beside the naive one)
set -euo pipefail
: "${KMS:?} ${METER:?} ${MANUFACTURER:?} ${ATTACKS:?} ${AUDIT:?}"
here=$(cd "$(dirname "$0")/../.." && pwd)
base=${TEST_DIR:-/dev/shm}; [ -d "$base" ] && [ -w "$base" ] || base=${TMPDIR:-/tmp}
work=$(mktemp -d "$base/smets1-attacks.XXXXXX")
trap 'code=$?; cd /; if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi; exit $code' EXIT
trap 'exit 130' INT TERM HUP
who=(--requested-by s1sp:ops-1 --authorised-by dco:ops-7 --reference CHG-1)
kms() { "$KMS" --config kms.toml "$@" >>commands.log 2>&1 || { echo "smets1-kms $1 failed:"; tail -5 commands.log; exit 1; }; }
meter() { "$METER" --state meters.json "$@" >>commands.log; }
device() { sed -n "$(($1 + 2))p" fleet.csv | cut -d, -f1; }   # from 0, as attack_tests counts
# Rotates, delivers, confirms; the transfers stay for the attacker.
rotate() {  # NAME [options of rotate]
  local name=$1; shift
  kms rotate --reason operational --out "transfers-$name.jsonl" "${who[@]}" "$@"
  meter --transfers "transfers-$name.jsonl" --replies "replies-$name.jsonl" --associate all
  kms confirm --replies "replies-$name.jsonl"
}

# A party that uses keys, or would like to: key pair and certificate.
party() {  # NAME
  openssl req -x509 -newkey rsa:3072 -nodes -keyout "$1.key.pem" -out "$1.pem" -subj "/CN=$1" -days 30 2>/dev/null
  openssl x509 -in "$1.pem" -outform DER -out "$1.cert.der"
  openssl x509 -in "$1.pem" -noout -pubkey >"$1.spki.pem"
  openssl pkcs8 -topk8 -nocrypt -in "$1.key.pem" -outform DER -out "$1.key.der"
}
admit() {  # NAME [options of init or enrol]
  local name=$1; shift
  kms "$@" --handover "$name" --certificate "$name.pem" --fingerprint "$(sha256sum <"$name.cert.der" | cut -d' ' -f1)" --roles guek,gak "${who[@]}"
}

# The one place that knows how KEKs come into the token: fleet.csv, meters.csv and transport.key.bin for 24 devices.
# Device 5 gets a second KEK and new keys under it; the second KEKs of 13 and 14 wait for the officer.
provision() {  # officer|plain|sealed
  local officer=()
  [ "$1" != sealed ] || sed -i 's/^#keep = .*/keep = "sealed"/' kms.toml
  if [ "$1" != plain ]; then
    officer=(--so-pin-source file:so.pin)
    kms enrol "${officer[@]}" "${who[@]}"
  else
    sed -i 's/^enrolment = .*/enrolment = "plain"/' kms.toml
    kms init "${who[@]}"
  fi
  "$MANUFACTURER" --public-key transport-import.pem --devices 24 --out mfr --transport-name mfr-1 >>commands.log
  cp mfr/fleet.csv mfr/meters.csv .; cp mfr/mfr-1.key.bin transport.key.bin
  cp mfr/fleet.csv.p7s .; cp mfr/manufacturer.pem manufacturers.pem
  local import=(device import); [ "$1" = plain ] || import=(enrol)
  kms "${import[@]}" fleet.csv --signature fleet.csv.p7s --transport-key mfr-1=transport.key.bin "${officer[@]}" "${who[@]}"
  meter --meters meters.csv
  local ceremony=(init); [ "$1" = plain ] || ceremony=(enrol "${officer[@]}")
  cp "$work"/parties/* .
  admit former "${ceremony[@]}"
  admit headend "${ceremony[@]}"
  kms "${ceremony[@]}" --retire-handover former "${who[@]}"
  rotate first --all --role guek --role gak
  rotate kek --device "$(device 5)" --role kek
  [ "$1" = plain ] || kms enrol "${officer[@]}" "${who[@]}"
  rotate proving --device "$(device 5)" --role gak
  rotate second --device "$(device 5)" --role guek --role gak
  rotate waiting --device "$(device 13)" --device "$(device 14)" --role kek
}

mkdir "$work/parties"
(cd "$work/parties"; for name in headend former thief; do party $name; done)
results=()
for mode in ${MODES:-officer plain sealed}; do
  "$here/scripts/with-softhsm" "$work/$mode" true
  cd "$work/$mode"
  export SOFTHSM2_CONF=$PWD/softhsm2.conf
  provision "$mode"
  (umask 077; openssl rand -hex 16 >naive.pin)
  # The PIN goes through the prompts: a command line is for everybody to read.
  cat so.pin so.pin naive.pin naive.pin | script -qec "softhsm2-util --init-token --free --label naive" /dev/null >/dev/null
  "$ATTACKS" run --mode "$mode" --dir "$PWD" --kms "$KMS" --audit "$AUDIT" --meter "$METER" --out "$work/$mode.json"
  results+=("$work/$mode.json")
done
"$ATTACKS" table "${results[@]}" | tee "${TABLE:-/dev/null}"
