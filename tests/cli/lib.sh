# Helpers of tests/cli and tests/fault: sourced, not run. Each test has a directory of its own, with its own SoftHSM
# token, and removes it. A failed expectation is printed and counted; the test goes on, and `finish` says how it ended.
#
# From CMake: KMS, METER, MANUFACTURER, SHIM, SYNC_SHIM, TOKEN_CHECK. KEEP=1 keeps the directory.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
: "${KMS:?} ${METER:?} ${MANUFACTURER:?} ${SHIM:?} ${SYNC_SHIM:?} ${TOKEN_CHECK:?}"
SOFTHSM=${SOFTHSM:-/usr/lib/softhsm/libsofthsm2.so}
for tool in jq sqlite3 openssl softhsm2-util; do
  command -v $tool >/dev/null || { echo "this test needs $tool (Debian packages: jq sqlite3 openssl softhsm2)"; exit 1; }
done

work_base=${TEST_DIR:-/dev/shm}   # in memory: SoftHSM is ten times faster there
[ -d "$work_base" ] && [ -w "$work_base" ] || work_base=${TMPDIR:-/tmp}
work=$(mktemp -d "$work_base/smets1-test.XXXXXX")
trap 'code=$?; cd /; [ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"; exit $code' EXIT
trap 'exit 130' INT TERM HUP
cd "$work"
unset SHIM_MODULE SHIM_LOG SHIM_KILL_AT SHIM_KILL_WHEN SHIM_COUNT_FILE SHIM_FAIL SHIM_DELAY_US SHIM_DELAY_OF LD_PRELOAD SYNC_KILL_AT SYNC_KILL_WHEN SYNC_COUNT_FILE

failures=0 checks=0 about=
WHO=(--requested-by s1sp:ops-1 --authorised-by dco:ops-7 --reference CHG-1234)
PIN=pin-Zq7391-wombat
SO_PIN=so-pin-Kx2284-gannet
# Who brings KEKs into the token: the security officer, as deployed, or with ENROLMENT=plain the service.
ENROLMENT=${ENROLMENT:-officer}
# Where new keys go: token or sealed.
VAULT=${VAULT:-token}
OFFICER=(--so-pin-source file:so.pin)

# ---- expectations ----

case_() { about="$*"; }
fail() {
  failures=$((failures + 1))
  echo "FAILED${about:+ [$about]}: $*"
  [ "$failures" -lt "${MAX_FAILURES:-25}" ] || { echo "too many failures: given up"; exit 1; }
}
# Runs a command; its output is in the files out and err, its code in $code.
run() {
  code=0
  "$@" >out 2>err || code=$?
}
expect_exit() {
  local expected=$1; shift
  run "$@"
  checks=$((checks + 1))
  [ "$code" -eq "$expected" ] && return
  fail "exit $code, expected $expected: ${*##*/}"; sed 's/^/    | /' err | head -5; { grep '^fail ' out || cat out; } | sed 's/^/    > /' | head -5
}
expect_in() {  # FILE REGEX
  checks=$((checks + 1))
  grep -qE -- "$2" "$1" || { fail "no /$2/ in $1:"; head -8 "$1" | sed 's/^/    | /'; }
}
expect_not_in() {
  checks=$((checks + 1))
  ! grep -qE -- "$2" "$1" || { fail "/$2/ is in $1:"; grep -E -- "$2" "$1" | head -3 | sed 's/^/    | /'; }
}
expect_output() { expect_in out "$1"; }
expect_error() { expect_in err "$1"; }
# A failure speaks in one line that names the program, and never as a crash of it.
expect_one_line_error() {
  checks=$((checks + 1))
  { [ "$(wc -l <err)" -eq 1 ] && grep -q '^smets1-kms: ' err; } || { fail "standard error is not one line of the command:"; sed 's/^/    | /' err | head -5; }
}
expect_equal() {  # WHAT ACTUAL EXPECTED
  checks=$((checks + 1))
  [ "$2" = "$3" ] || fail "$1: '$2', expected '$3'"
}
expect_same_file() { checks=$((checks + 1)); cmp -s "$1" "$2" || fail "$1 and $2 differ"; }
# The registry is what its trail says, and so is the token.
expect_agreement() {
  local name
  for name in "${!SHIM_@}" "${!SYNC_@}" LD_PRELOAD; do [ "$name" = SHIM_QUIRKS ] || unset "$name"; done  # what token it is stays
  expect_exit 0 "$KMS" --config "${1:-kms.toml}" check
  [ "$code" -eq 0 ] || sed 's/^/    ! /' out | head -20
}
finish() {
  if [ -z "${NO_CHECK:-}" ] && [ -f kms.toml ] && [ -s registry.db ]; then about='registry, token and trail at the end'; expect_agreement; fi
  echo "$checks expectations, $failures failed"
  [ "$failures" -eq 0 ]
}
skip() { echo "skipped: $*"; exit 77; }

# ---- the surroundings ----

token_uri='pkcs11:token=kms-test'
kms() { "$KMS" --config kms.toml "$@"; }
sql() { sqlite3 -readonly -batch "${DB:-registry.db}" "$1"; }
# What must not change: the tables as text (pages may move by a checkpoint).
registry_contents() { sqlite3 -readonly -batch "${DB:-registry.db}" .dump | sha256sum; }
records() { sql 'SELECT count(*) FROM record'; }
last_record() { sql "SELECT bytes FROM record ORDER BY idx DESC LIMIT 1"; }
devices() { sql 'SELECT count(*) FROM device'; }

setup_token() {  # [MODULE]
  mkdir -p tokens
  printf 'directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n' "$work" >softhsm2.conf
  export SOFTHSM2_CONF=$work/softhsm2.conf
  softhsm2-util --init-token --free --label kms-test --pin "$PIN" --so-pin "$SO_PIN" >/dev/null
  (umask 077; printf '%s\n' "$PIN" >token.pin; printf '%s\n' "$SO_PIN" >so.pin)
  : >manufacturers.pem
  write_config "${1:-$SOFTHSM}"
}
write_config() {  # MODULE [URI]
  cat >kms.toml <<END
version = 1
[token]
module = "$1"
uri = "${2:-$token_uri?pin-source=file:token.pin}"
enrolment = "$ENROLMENT"
[token.environment]
SOFTHSM2_CONF = "$work/softhsm2.conf"
[vault]
keep = "$VAULT"
[registry]
database = "registry.db"
[models."EXAMPLE-E1"]
logical_name = "0.0.43.0.0.255"
activation = "immediate"
[models."EXAMPLE-G1"]
logical_name = "0.0.43.0.1.255"
activation = "immediate"
[models."EXAMPLE-N1"]
logical_name = "0.0.43.0.0.255"
activation = "next-association"
[import]
manufacturers = "manufacturers.pem"
END
}
init_keys() { kms init "${OFFICER[@]}" "${WHO[@]}" "$@"; }
# A registry with N devices of the example manufacturer, and their meters.
setup_fleet() {  # N [more options of the manufacturer]
  local n=$1; shift
  init_keys >/dev/null
  make_fleet "$n" mfr "$@"
  import_fleet mfr >/dev/null
  "$METER" --state meters.state --meters mfr/meters.csv
}
make_fleet() {  # N DIRECTORY [more options]
  local n=$1 to=$2; shift 2
  "$MANUFACTURER" --public-key transport-import.pem --devices "$n" --out "$to" --transport-name mfr-a-2026 --identity maker "$@" >/dev/null
  cp maker/manufacturer.pem manufacturers.pem  # whom we trust to send KEKs
}
# Adds a device without a KEK to a fleet file.
add_without_kek() {  # DIRECTORY DEVICE REASON [COMMISSIONED_AT]
  { awk '{ print $0 (NR == 1 ? ",no_kek_reason" : ",") }' "$1/fleet.csv"
    echo "$2,ESME,EXAMPLE-E1,$(tr -d - <<<"$2"),0,guek+gak,${4:-2026-01-20T09:30:00Z},,,$3"; } >added.csv
  mv added.csv "$1/fleet.csv"
  sign "$1/fleet.csv"
}
import_fleet() { import_csv "$1/fleet.csv" "$1" "${@:2}"; }
# A signed file, with the transport key in DIRECTORY.
import_csv() { kms device import "$1" --signature "$1.p7s" --transport-key mfr-a-2026="$2/mfr-a-2026.key.bin" "${OFFICER[@]}" "${WHO[@]}" "${@:3}"; }
# Signs a file that a test has changed.
sign() {  # FILE [IDENTITY]
  openssl cms -sign -binary -md sha256 -outform DER -in "$1" -signer "${2:-maker}/manufacturer.pem" -inkey "${2:-maker}/manufacturer.key.pem" -out "$1.p7s"
}
# New KEKs wait for the officer; until he has admitted them they wrap nothing.
admit_keks() { [ "$ENROLMENT" = plain ] || kms enrol "${OFFICER[@]}" "${WHO[@]}" "$@"; }
# The id of the Nth device, from 1.
device() { local lines; mapfile -t lines <mfr/fleet.csv; echo "${lines[$1]%%,*}"; }
meter() { "$METER" --state meters.state "$@"; }
# Sends the transfers of a file to the meters and gives back what they answered.
deliver() {  # TRANSFERS [options of the meter]; answers in replies.jsonl
  meter --transfers "$1" --replies replies.jsonl "${@:2}"
}
rotate() { kms rotate --reason operational "${WHO[@]}" "$@"; }
field() { jq -r "$2" <"$1"; }

# Do the token and the meter hold the same key? Which of them: GENERATION "" is the active one.
challenge_line() {  # DEVICE ROLE [GENERATION]
  jq -nc --arg d "$1" --arg r "$2" --arg c "$(openssl rand -hex 24)" '{device_id: $d, role: $r, challenge: $c}' | if [ -n "${3:-}" ]; then jq -c ". + {generation: $3}"; else cat; fi
}
# True if the meter proves that it holds that generation.
meter_holds() {  # DEVICE ROLE GENERATION
  rm -f probe.*
  challenge_line "$@" >probe.challenge
  kms prove --challenges probe.challenge --out probe.token
  meter --prove probe.challenge --proofs probe.meter
  [ "$(jq -r '.proof | ascii_downcase' probe.token)" = "$(jq -r '.proof // "none" | ascii_downcase' probe.meter)" ]
}
# The same for many keys at once: the active key of every role given, DEVICE:ROLE each. The sweeps ask hundreds of times:
# no jq here, which takes longer to start than the command to answer. Both sides answer in the order asked.
expect_token_and_meter_agree() {  # DEVICE:ROLE…
  local pair challenge
  challenge=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
  rm -f probe.*
  for pair in "$@"; do printf '{"device_id":"%s","role":"%s","challenge":"%s"}\n' "${pair%:*}" "${pair#*:}" "$challenge"; done >probe.challenge
  expect_exit 0 kms prove --challenges probe.challenge --out probe.token
  expect_exit 0 meter --prove probe.challenge --proofs probe.meter
  proofs probe.token
  proofs probe.meter
  expect_equal "proofs" "$(wc -l <probe.token.proofs)" $#
  checks=$((checks + 1))
  cmp -s probe.token.proofs probe.meter.proofs || { fail "token and meter don't hold the same keys:"; sed 's/^/    | /' probe.token probe.meter; }
}
proofs() { grep -oE '"proof":"[0-9A-F]{32}"' "$1" >"$1.proofs" || true; }  # of 16 bytes each; where there is none, none
# A counter of the meters' report, all meters together.
report_total() { meter --report | jq ".total.$1"; }
# Domain point 3: no GCM nonce repeats, nothing was sent a second time.
expect_no_repeats() {
  local total
  total=$(meter --report | tr -d ' \n')
  total=${total##*\"total\":}
  expect_zero() { checks=$((checks + 1)); [[ $total =~ \"$1\":0[,}] ]] || fail "$2: $total"; }
  expect_zero repeats "a key that a meter had before"
  expect_zero offered_again "a wrapped key was sent twice"
  expect_zero careless "a request that only a careless meter takes"
}

# ---- invariants ----

expect_at_rest() { checks=$((checks + 1)); "$TOKEN_CHECK" --at-rest "$token_uri" "file:$work/token.pin" 2>check.err || { fail "the token right after:"; sed 's/^/    | /' check.err; }; }
expect_consistent() { checks=$((checks + 1)); "$TOKEN_CHECK" "$token_uri" "file:$work/token.pin" "$work/registry.db" 2>check.err || { fail "token, registry and trail:"; sed 's/^/    | /' check.err | head -12; }; }

# Everything that an operation can change: token, registry, meters.
save_state() { rm -rf saved; mkdir saved; cp -a tokens saved/; cp -a registry.db* meters.state transport-import.pem audit.pem saved/ 2>/dev/null || true; }
restore_state() { rm -rf tokens registry.db* meters.state transport-import.pem audit.pem; cp -a saved/. .; }

# ---- handover targets ----

# Makes the key pair and the certificate of a party: NAME.key, NAME.pem. Options are openssl req's.
make_target() {  # NAME [OPTION…]
  local name=$1; shift
  openssl req -x509 -newkey rsa:3072 -nodes -keyout "$name.key" -out "$name.pem" -days 30 -subj "/CN=$name" "$@" 2>/dev/null
}
fingerprint() { openssl x509 -in "$1.pem" -outform DER | sha256sum | cut -d' ' -f1; }  # NAME
# Admits a party, whose files make_target made.
admit_target() {  # NAME ROLES [OPTION…]
  local name=$1 roles=$2; shift 2
  kms enrol "${OFFICER[@]}" "${WHO[@]}" --handover "$name" --certificate "$name.pem" --fingerprint "$(fingerprint "$name")" --roles "$roles" "$@"
}
# The receipts of a party for a file of handovers. The token's proofs stand in for the party's: both compute the same.
receipts() {  # FILE TARGET
  jq -c "select(.target == \"$2\") | {device_id, role, generation, challenge}" "$1" >receipts.challenges
  kms prove --challenges receipts.challenges | jq -c "{device_id, role, generation, target: \"$2\", proof}"
}
