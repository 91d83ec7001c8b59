# A token that takes 5 ms a call, as a network HSM does (the shim sleeps and holds no lock): devices per second with ever more
# sessions that make keys, against one. Beside them two sessions are open: the one that stays logged in, and the trail's.
# shellcheck shell=bash disable=SC2154,SC1091
. "$here/tests/bench/lib.sh"
each=24 rounds=3; [ -z "$quick" ] || { each=2 rounds=1; }  # devices for each session

make_token latency sealed
enrol_fleet $((64 * each))
use_module "$SHIM"
save_state
for round in $(seq "$rounds"); do
  for sessions in 1 4 16 64; do
    restore_state
    SHIM_DELAY_US=5000 ours $((sessions * each)) --sessions $((sessions + 2)) >"$token/$sessions.$round"
    say "round $round, $sessions sessions: $(rate "$token/$sessions.$round") devices/s"
  done
done
for sessions in 1 4 16 64; do cat "$token/$sessions".*; done | jq -s --argjson rounds "$rounds" "$JQ_RATIOS"'
  [range(4) as $i | .[$i * $rounds:($i + 1) * $rounds]] as $all
  | {latency: ([range(4) | {key: (["1", "4", "16", "64"][.]), value: ((. as $i | $all[0] | map(.seconds / .devices)) as $one
       | $all[.] | map(.seconds / .devices) as $many | [range($rounds) | $one[.] / $many[.]] | median)}] | from_entries),
     raw: {latency: {devices_per_second: ([range(4) | {key: (["1", "4", "16", "64"][.]), value: ($all[.] | per_second)}] | from_entries)}}}'
