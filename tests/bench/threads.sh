# Single calls of rotate and record_reply, from one thread and from eight, on an anchor that takes 20 ms: they share
# transactions, signatures and anchors.
# shellcheck shell=bash disable=SC2154,SC1091
. "$here/tests/bench/lib.sh"
devices=80 rounds=5; [ -z "$quick" ] || { devices=8 rounds=1; }

make_token threads sealed
enrol_fleet "$devices"
sed -i 's|^\[audit\]|&\nanchor_command = ["/bin/sh", "-c", "cat >/dev/null; sleep 0.02"]|' "$kms_toml"
grep -q ^anchor_command "$kms_toml"
save_state
for round in $(seq "$rounds"); do
  for threads in 1 8; do
    restore_state
    ours "$devices" --sessions 10 --threads "$threads" >"$token/$threads.$round"
    say "round $round, $threads threads: $(rate "$token/$threads.$round") devices/s"
  done
done
for threads in 1 8; do cat "$token/$threads".*; done | jq -s --argjson rounds "$rounds" "$JQ_RATIOS"'
  .[:$rounds] as $one | .[$rounds:] as $eight
  | {threads: {"8": ([range($rounds) | $one[.].seconds / $eight[.].seconds] | median)},
     raw: {threads: {devices_per_second: {"1": ($one | per_second), "8": ($eight | per_second)}}}}'
