#!/usr/bin/env bash
# The token does a call and its answer is lost, or it answers an error once, or always. The operation succeeds or fails
# with one clear line; afterwards nothing is lost, orphaned or open, and the device goes on.
#
#   lost_replies.sh rotate|destroy|import|handover|admit
fault=$(cd "$(dirname "$0")" && pwd)
. "$fault/../cli/lib.sh"
. "$fault/targets.sh"
operation=$1
passing=(0x00000030 0x00000006 0x000000B3 0x00000005)  # DEVICE_ERROR FUNCTION_FAILED SESSION_HANDLE_INVALID GENERAL_ERROR
final=0x00000068                                        # KEY_FUNCTION_NOT_PERMITTED: the caller's error, no retry helps

setup_token "$SHIM"
case $operation in
  rotate)
    functions=(C_GenerateKey C_WrapKey C_CopyObject C_DestroyObject C_GetAttributeValue)
    setup_fleet 1
    act() { rm -f t.jsonl; rotate --device "$(device 1)" --role guek --role gak --out t.jsonl; }
    ;;
  destroy)
    functions=(C_DestroyObject C_FindObjectsInit C_FindObjects)
    setup_fleet 1
    for generation in 1 2; do
      rotate --all --out "t$generation.jsonl" >/dev/null
      deliver "t$generation.jsonl"
      kms confirm --replies replies.jsonl >/dev/null
    done
    act() { kms destroy --deactivated "${WHO[@]}"; }
    ;;
  import)
    functions=(C_UnwrapKey C_DestroyObject C_GetAttributeValue)
    init_keys >/dev/null
    make_fleet 3 mfr
    meter --meters mfr/meters.csv
    act() { import_fleet mfr; }
    ;;
  handover)  # for a target that is served first
    functions=(C_WrapKey)
    setup_target
    act() { hand_over; }
    ;;
  admit)  # another certificate, and the end of the one before
    functions=(C_CreateObject C_DestroyObject)
    setup_target
    party next
    act() { admit next; }
    ;;
esac
save_state

# The act under a failure, then without it.
try() {  # SHIM_FAIL
  case_ "$operation: $1"
  restore_state
  rm -f t.jsonl
  export SHIM_FAIL=$1
  run act
  unset SHIM_FAIL
  checks=$((checks + 1))
  case $code in
    0) ;;
    1 | 3)
      expect_error '^smets1-kms: .*(C_[A-Z]|token|CKR_)'
      expect_not_in err 'terminate|what\(\)|Segmentation|std::'
      ;;
    *) fail "exit $code"; head -3 err ;;
  esac
  first=$code
  expect_at_rest
}
# Nothing may be left that hinders the next.
go_on() {
  case $operation in
    rotate)
      # What was released counts as sent; its transfers are answered before there are new ones.
      [ "$first" -eq 0 ] || expect_exit 0 act
      deliver t.jsonl
      expect_exit 0 kms confirm --replies replies.jsonl
      expect_token_and_meter_agree "$(device 1):guek" "$(device 1):gak"
      ;;
    destroy)
      expect_exit 0 act
      expect_equal "destroyed keys" "$(sql 'SELECT count(*) FROM key WHERE state=6')" 2
      ;;
    handover)
      [ "$first" -eq 0 ] || expect_exit 0 act
      serve h.jsonl
      ;;
    admit)
      expect_exit 0 act
      expect_equal targets "$(targets)" 1:1,2:0
      expect_exit 0 rotate --device "$(device 1)" --role gak --out t.jsonl
      ;;
    import)
      expect_exit 0 act
      expect_equal devices "$(devices)" 3
      expect_exit 0 rotate --all --role gak --out t.jsonl
      ;;
  esac
  expect_consistent
  expect_no_repeats
}

for function in "${functions[@]}"; do
  for rv in "${passing[@]}"; do
    for nth in 1 2 3; do
      # GENERAL_ERROR and friends, once: the pool rides them out where the call may be repeated.
      try "$function:$nth:after:$rv"; go_on
      [ $nth -gt 1 ] || { try "$function:$nth:$rv"; go_on; }
    done
  done
  try "$function:1:$final"; go_on
  try "$function:1:after:$final"; go_on
done

# For good. What the token did in secret is settled by the next command, when the token answers again.
persistent=(0x00000030 "$final")
for function in "${functions[@]}"; do
  for rv in "${persistent[@]}"; do
    for form in "$rv" "after:$rv"; do
      try "$function:*:$form"
      case $function in
        C_GenerateKey | C_WrapKey | C_CopyObject | C_UnwrapKey)
          checks=$((checks + 1))
          [ "$first" -ne 0 ] || fail "success although $function never answered"
          # Only looking and destroying were possible, and that is enough to leave nothing.
          [ "$operation" = import ] || expect_consistent
          ;;
      esac
      go_on
    done
  done
done
case_
finish
