# Devices per second of a batch rotation, everything durable and recorded, against a bare loop in C of the token's calls that
# this needs; for each vault, without and with a handover target. Interleaved rounds from the same state.
# shellcheck shell=bash disable=SC2154,SC1091
. "$here/tests/bench/lib.sh"
declare -A quantities=([sealed]=16384 [token]=4096 [sealed_target]=8192 [token_target]=4096)
rounds=7; [ -z "$quick" ] || { quantities=([sealed]=48 [token]=48 [sealed_target]=48 [token_target]=48); rounds=1; }

# The calls for one device, of both: the difference between a run over 20 devices and one over 40, so that what is per
# process, session or batch (login, search, anchors) is apart; of the signatures, one for some dozens of devices, how many there
# are is a matter of timing, and rounding leaves them out. Counted behind the shim, in runs of their own.
per_device() {  # OUT COMMAND...: the last argument is the number of devices
  local out=$1 n; shift
  for n in 20 40; do restore_state; SHIM_COUNT_FILE=$token/count.$n "$@" $n >/dev/null; done
  jq -s '(.[0].functions) as $few | .[1].functions | del(.C_OpenSession, .C_CloseSession, .C_GetSessionInfo) | to_entries
         | map({key, value: ((.value - ($few[.key] // 0)) / 20 | round)}) | map(select(.value != 0)) | from_entries' "$token/count.20" "$token/count.40" >"$out"
  jq -c --slurpfile each "$out" '.functions | to_entries | map({key, value: (.value - 20 * ($each[0][.key] // 0))}) | map(select(.value != 0)) | from_entries' "$token/count.20" >"$out.apart"
}
same_calls() {  # VAULT
  use_module "$SHIM"
  per_device "$token/calls.ours" ours
  per_device "$token/calls.bare" "bare_$1" "$SHIM"
  use_module "$SOFTHSM"
  say "$1 vault, calls for one device:   ours $(jq -cS . "$token/calls.ours")"
  say "$1 vault, calls for one device:   bare $(jq -cS . "$token/calls.bare")"
  say "$1 vault, apart (opening, batch): ours $(jq -cS . "$token/calls.ours.apart")"
  jq -en --slurpfile a "$token/calls.ours" --slurpfile b "$token/calls.bare" '$a == $b' >/dev/null
}

compare() {  # VAULT ALLOCATOR: a JSON object
  local round allocator=$2
  for round in $(seq "$rounds"); do
    restore_state; ours "$quantity" >"$token/ours.$round"
    restore_state; "bare_$1" "$SOFTHSM" "$quantity" >"$token/bare.$round"
    say "round $round${2:+ ($2)}: ours $(rate "$token/ours.$round"), bare $(rate "$token/bare.$round") devices/s"
  done
  jq -n --slurpfile ours <(cat "$token"/ours.*) --slurpfile bare <(cat "$token"/bare.*) "$JQ_RATIOS"'
    {ratio: ($ours | against($bare; .seconds)), cpu_ratio: ($ours | against($bare; .cpu_seconds)), ours_per_second: ($ours | per_second), bare_per_second: ($bare | per_second)}'
}

overhead() {  # VAULT: a JSON object
  local equal=true
  quantity=${quantities[$1]}
  make_token "$1" "$1"
  enrol_fleet "$quantity"
  case $1 in *_target) (cd "$token" && admit_target);; esac
  save_state
  say "$1 vault: $quantity devices, $rounds rounds"
  same_calls "$1" || { equal=false; say "$1 vault: THE CALLS DIFFER: the bare loop (tests/bench/bare.c, 'vaults') does not do what ours does"; }
  compare "$1" "$allocator" >"$token/same"
  compare "$1" '' >"$token/libc"  # the C library's, which is quicker in the bare loop's one thread
  jq -n --arg vault "$1" --argjson equal $equal --slurpfile same "$token/same" --slurpfile libc "$token/libc" \
    --slurpfile ours_calls "$token/calls.ours" --slurpfile bare_calls "$token/calls.bare" '
    {overhead: {($vault): $same[0].ratio},
     raw: {overhead: {($vault): ($same[0] + {libc_allocator: $libc[0], same_calls: $equal, calls: {ours: $ours_calls[0], bare: $bare_calls[0]}})}}}'
}

for vault in sealed token sealed_target token_target; do overhead "$vault"; done
