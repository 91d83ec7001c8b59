# Helpers of tests/headend: sourced, not run. The key manager is played here by openssl alone: it makes keys, wraps them
# for the head end (RSA-OAEP) and for the meter (RFC 3394), and reads what comes back.
#
# From CMake: HEADEND, METER, MANUFACTURER. KEEP=1 keeps the directory.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
: "${HEADEND:?} ${METER:?} ${MANUFACTURER:?}"
for tool in jq openssl; do
  command -v $tool >/dev/null || { echo "this test needs $tool (Debian packages: jq openssl)"; exit 1; }
done
base=${TEST_DIR:-/dev/shm}
[ -d "$base" ] && [ -w "$base" ] || base=${TMPDIR:-/tmp}
work=$(mktemp -d "$base/smets1-headend.XXXXXX")
trap 'code=$?; cd /; [ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"; exit $code' EXIT
cd "$work"

failures=0 checks=0 about=
case_() { about="$*"; }
fail() { failures=$((failures + 1)); echo "FAILED${about:+ [$about]}: $*"; }
run() { code=0; "$@" >out 2>err || code=$?; }
expect_exit() {
  local expected=$1; shift
  run "$@"
  checks=$((checks + 1))
  [ "$code" -eq "$expected" ] && return
  fail "exit $code, expected $expected: ${*##*/}"; sed 's/^/    | /' err | head -5
}
expect_error() { checks=$((checks + 1)); grep -qE -- "$1" err || { fail "no /$1/ in what it says:"; sed 's/^/    | /' err | head -5; }; }
expect_equal() { checks=$((checks + 1)); [ "$2" = "$3" ] || fail "$1: '$2', expected '$3'"; }  # WHAT ACTUAL EXPECTED
expect_same_file() { checks=$((checks + 1)); cmp -s "$1" "$2" || fail "$1 and $2 differ"; }
finish() { echo "$checks expectations, $failures failed"; [ "$failures" -eq 0 ]; }

headend() { "$HEADEND" --state head.state "$@"; }
meter() { "$METER" --state meters.state "$@"; }
target=(--target head-end-1 --target-key target.key.pem)

# A target's RSA key, a fleet of N devices, their meters (ciphered) and the head end.
setup_fleet() {  # N
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out target.key.pem 2>/dev/null
  openssl pkey -in target.key.pem -pubout -out target.pub.pem
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 2>/dev/null | openssl pkey -pubout -out transport-import.pem
  "$MANUFACTURER" --public-key transport-import.pem --devices "$1" --out mfr --transport-name mfr-1 >/dev/null
  meter --meters mfr/meters.csv --ciphered
  headend --devices mfr/headend.csv
  mkdir keys
  cut -d, -f1,2 mfr/meters.csv | sed 1d | while IFS=, read -r id kek; do echo "$kek" >"keys/$id.kek"; done
}
device() { sed -n "$(($1 + 1))s/,.*//p" mfr/fleet.csv; }  # the id of the Nth, from 1
supports() { grep "^$1," mfr/fleet.csv | cut -d, -f6 | grep -q "$2"; }

unhex() { printf %b "$(sed 's/../\\x&/g')"; }
hex() { od -An -v -tx1 | tr -d ' \n' | tr a-f A-F; }
# RFC 3394 with its initial value.
key_wrap() {  # KEK KEY
  local bits=$((${#1} * 4))
  printf %s "$2" | unhex | openssl enc -e "-id-aes$bits-wrap" -K "$1" -iv A6A6A6A6A6A6A6A6 | hex
}
oaep() {  # HASH KEY (for openssl: sha1, sha256)
  printf %s "$2" | unhex | openssl pkeyutl -encrypt -pubin -inkey "${TARGET_PUB:-target.pub.pem}" -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:"$1" -pkeyopt rsa_mgf1_md:"$1" | hex
}
# A new key of a device, as the key manager makes it: kept in keys/, handed over on standard output.
new_key() {  # DEVICE ROLE GENERATION [HASH]
  local kek key hash=${4:-sha1} wrapped
  kek=$(<"keys/$1.kek")
  key=$(openssl rand -hex $((${#kek} / 2)) | tr a-f A-F)
  echo "$key" >"keys/$1.$2.$3"
  [ "$2" != kek ] || return 0
  wrapped=$(oaep "$hash" "$key")
  handover_line "$1" "$2" "$3" "${hash/sha/SHA-}" "$wrapped"
}
handover_line() {  # DEVICE ROLE GENERATION HASH WRAPPED [TARGET]
  printf '{"schema":"smets1-kms-handover-1","device_id":"%s","role":"%s","key_id":"%s","generation":%s,"target":"%s","target_generation":1,"hash":"%s","wrapped":"%s","sha256":"%s","transfer_id":"%s/1","challenge":"%s"}\n' \
    "$1" "$2" "$(openssl rand -hex 16)" "$3" "${6:-head-end-1}" "$4" "$5" "$(printf %s "$5" | unhex | sha256sum | cut -d' ' -f1)" "$1" "$(openssl rand -hex 32)"
}
# The transfer of keys of keys/ to a device: the Nth of that device.
declare -A key_ids=([guek]=0 [gbek]=1 [gak]=2 [kek]=3)
transfer_line() {  # DEVICE NUMBER ACTIVATION ROLE:GENERATION...
  local id=$1 number=$2 activation=$3 kek wrapped keys=() element parameter="" roles="" pair; shift 3
  kek=$(<"keys/$id.kek")
  for pair in "$@"; do
    wrapped=$(key_wrap "$kek" "$(<"keys/$id.${pair%:*}.${pair#*:}")")
    printf -v element '0202160%d09%02X%s' "${key_ids[${pair%:*}]}" $((${#wrapped} / 2)) "$wrapped"
    parameter+=$element
    roles+="${roles:+,}{\"role\":\"${pair%:*}\",\"key_id\":\"00\",\"generation\":${pair#*:}}"
  done
  printf -v parameter '01%02X%s' $# "$parameter"
  printf '{"schema":"smets1-kms-transfer-1","transfer_id":"%s/%s","device_id":"%s","role":"%s","generation":%s,%s"activation":"%s","resets_unicast_counter":%s,"resets_broadcast_counter":%s,"released_before":false,"action_request":"%s"}\n' \
    "$id" "$number" "$id" "${1%:*}" "${1#*:}" "$([ $# -eq 1 ] || echo "\"keys\":[$roles],")" "$activation" \
    "$([[ $roles == *guek* ]] && echo true || echo false)" "$([[ $roles == *gbek* ]] && echo true || echo false)" "C301C1004000002B0000FF0201$parameter"
}
# Delivers a file of transfers, one request a device at a time, until no device takes another. All answers of the run
# are in replies.jsonl. More options of the meter hold for the first round.
deliver() {  # TRANSFERS [options of the meter]
  local file=$1 round=0; shift
  : >replies.jsonl
  while :; do
    headend --transfers "$file" --requests requests.jsonl 2>>notes
    [ -s requests.jsonl ] || break
    round=$((round + 1))
    [ $round -lt 20 ] || { fail "no end of requests"; break; }
    meter --transfers requests.jsonl --replies ciphered.jsonl "$@"
    headend --ciphered-replies ciphered.jsonl --replies replies.jsonl --append 2>>notes || fail "answers of round $round: $(tail -3 notes)"
    set --
  done
}
# Asks the devices in doubt; what they show is in evidence.jsonl.
probe() {  # [options of the meter]
  headend --probe probes.jsonl 2>>notes
  meter --transfers probes.jsonl --replies answers.jsonl "$@"
  expect_exit "${PROBE_EXIT:-0}" headend --probe-answers answers.jsonl --evidence evidence.jsonl
}
holds() { jq -r "select(.device_id == \"$1\") | \"\(.role) \(.generation) \(.holds)\"" evidence.jsonl | sort | paste -sd' '; }  # DEVICE
success() { jq -r 'select(.reply == "C701C10000") | .transfer_id' "${1:-replies.jsonl}" | wc -l; }
# Head end and meters, asked for proofs by each key that the head end knows to be in use.
expect_agreement() {
  checks=$((checks + 1))
  headend --report | jq -r '.devices | to_entries[] | .key as $d | .value | to_entries[] | select(.key == "guek" or .key == "gbek" or .key == "gak") | select(.value.in_use != null) | "\($d) \(.key)"' |
    while read -r id role; do printf '{"device_id":"%s","role":"%s","challenge":"%s"}\n' "$id" "$role" "$(openssl rand -hex 24)"; done >challenges.jsonl
  headend --prove challenges.jsonl --proofs proofs.head
  meter --prove challenges.jsonl --proofs proofs.meter
  expect_same_file proofs.head proofs.meter
  expect_equal "proofs" "$(grep -c '"proof":"[0-9A-F]\{32\}"' proofs.head)" "$(wc -l <challenges.jsonl)"
}
total() { meter --report | jq ".total.$1"; }
key_of() { jq -r ".devices[\"$1\"].$2.in_use" <<<"$(headend --report)"; }  # DEVICE ROLE
