#!/usr/bin/env bash
# Whatever the clocks do, a trail of our own commands is never FAILED: both clocks jump and stand still (faketime), and
# boots differ (where this may mount). Package: faketime.
. "$(dirname "$0")/lib.sh"
: "${AUDIT:?}"
command -v faketime >/dev/null || skip "faketime is not installed"
setup_token
setup_fleet 3
audit() { "$AUDIT" "$@"; }
RANDOM=${SEED:-20}
echo "seed ${SEED:-20}"

# Runs the command as of another boot, where that is possible.
boots=0
other_boot() {
  cat /proc/sys/kernel/random/uuid >boot_id
  unshare -rm sh -c 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"' "$work/boot_id" "$@"
}
other_boot true 2>/dev/null && boots=1

case_ "a command far in the future, then one without"
expect_exit 0 faketime '2028-02-29 12:00:00' "$KMS" --config kms.toml checkpoint
expect_exit 0 kms checkpoint
expect_exit 0 audit verify registry.db --key audit.pem
expect_output 'finding +clock-step '

case_ "any sequence"
step() {  # one command, chosen by $1, under the clock $2…
  local what=$1; shift
  case $what in
    0) "$@" "$KMS" --config kms.toml checkpoint ;;
    1 | 2) rm -f t.jsonl
      "$@" "$KMS" --config kms.toml rotate --all --role "$([ "$what" = 1 ] && echo gak || echo guek)" --reason operational --out t.jsonl "${WHO[@]}" || true
      deliver t.jsonl && "$@" "$KMS" --config kms.toml confirm --replies replies.jsonl ;;
    3) deliver t.jsonl && "$@" "$KMS" --config kms.toml confirm --replies replies.jsonl ;;
    4) "$@" "$KMS" --config kms.toml destroy --superseded "${WHO[@]}" ;;
    5) "$@" "$KMS" --config kms.toml device suspend --device "$(device 2)" "${WHO[@]}" ;;
    6) "$@" "$KMS" --config kms.toml device resume --device "$(device 2)" "${WHO[@]}" ;;
    7) "$@" "$KMS" --config kms.toml prove --device "$(device 1)" --role gak --generation 1 --challenge 00112233445566778899AABBCCDDEEFF ;;
  esac
}
done_well=0
for round in $(seq 40); do
  case $((RANDOM % 5)) in
    0) clock=() ;;
    1) clock=(faketime -f "+$((RANDOM % 400))d") ;;
    2) clock=(faketime -f "-$((RANDOM % 400))d") ;;
    3) clock=(faketime "2027-0$((RANDOM % 9 + 1))-1$((RANDOM % 9)) 0$((RANDOM % 9)):00:00") ;;  # it stands still
    4) clock=(faketime -f "+$((RANDOM % 90))s x$((RANDOM % 20 + 1))") ;;
  esac
  [ $boots -eq 0 ] || [ $((RANDOM % 3)) -ne 0 ] || clock=(other_boot "${clock[@]}")
  what=$((RANDOM % 8))
  run step $what "${clock[@]}"
  [ "$code" -ne 0 ] || done_well=$((done_well + 1))
  checks=$((checks + 1))
  [ "$code" -lt 100 ] || fail "round $round: command $what under '${clock[*]}' ended with $code: $(head -c 300 err)"
  code=0; audit verify registry.db --key audit.pem >verdict 2>err || code=$?
  checks=$((checks + 1))
  [ $code -ne 4 ] || { fail "round $round: command $what under '${clock[*]}': $(head -1 verdict)"; break; }
done
checks=$((checks + 1)); [ $done_well -ge 10 ] || fail "only $done_well commands of 40 did anything"
echo "$done_well of 40 commands did something$([ $boots -eq 0 ] && echo '; boots did not differ: this may not mount')"
expect_exit 0 audit verify registry.db --key audit.pem
case_
finish
