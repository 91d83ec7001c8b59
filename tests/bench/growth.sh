# Cost of a device in registries of 1 thousand, 100 thousand and 1 million devices (--large: 10 million), sealed vault: the same
# 500 devices are rotated in each, eight times over, and confirmed, round after round. They follow each other, as they come in a
# batch over all; beside that stands what it is for 500 that are spread over the registry, each on pages of its own. Opening,
# memory, and one device's 'status' at each size.
# A thousand devices are imported; the others are filled in by tests/bench/fill_registry.cpp, with rows and records of their own
# but without a KEK: importing a million takes too long for a benchmark.
# shellcheck shell=bash disable=SC2154,SC1091
. "$here/tests/bench/lib.sh"
half=500 rounds=7 times=8 sizes=(1000 100000 1000000)
[ -z "$large" ] || sizes+=(10000000)
[ -z "$quick" ] || { half=25 rounds=2 times=2 sizes=(50 100 500); }

status_ms() {  # median of 9, of the whole command
  local id; id=$(sed -n $((half / 2))p "$token/devices")
  for _ in 1 2 3 4 5 6 7 8 9; do
    local from; from=$(date +%s%N); kms status --device "$id" >/dev/null; echo $((($(date +%s%N) - from) / 1000))
  done | sort -n | sed -n 5p | jq '. / 1000'
}

make_token "size.${sizes[0]}" sealed
enrol_fleet $((2 * half - 1)) $half $((sizes[-1] / half))
tail -n $half "$token/devices" >"$token/spread"
for size in "${sizes[@]:1}"; do copy_token "size.${sizes[0]}" "size.$size"; done
for size in "${sizes[@]}"; do
  use_token "size.$size"
  from=$(date +%s); [ "$size" = "${sizes[0]}" ] || "$FILL" "$kms_toml" "$size"
  ours 1 --times 1 >"$token/first"  # the first opening signs what was filled in
  say "$size devices: $((2 * half)) imported, the others filled in ($(($(date +%s) - from)) s), $(du -h "$registry/registry.db" | cut -f1); opened the first time in $(jq '.open_ms | floor' "$token/first") ms"
done
for round in $(seq "$rounds"); do
  for size in "${sizes[@]}"; do
    use_token "size.$size"
    for list in "$token/devices" "$token/spread"; do
      sync -f "$registry"
      ours $((half - 1)) --times $times >"$list.round.$round"
    done
    list=''
    say "round $round, $size devices: $(rate "$token/devices.round.$round") devices/s (spread: $(rate "$token/spread.round.$round")), opened in $(jq '.open_ms | floor' "$token/devices.round.$round") ms, peak $(jq '.peak_kib / 1024 | floor' "$token/devices.round.$round") MiB"
  done
done
for size in "${sizes[@]}"; do
  use_token "size.$size"
  base=$tokens/size.${sizes[0]}
  jq -n --arg size "$size" --argjson status "$(status_ms)" --slurpfile ours <(cat "$token"/devices.round.*) --slurpfile base <(cat "$base"/devices.round.*) \
    --slurpfile spread <(cat "$token"/spread.round.*) --slurpfile base_spread <(cat "$base"/spread.round.*) "$JQ_RATIOS"'
    {growth: {($size): ($base | against($ours; .seconds))},
     raw: {growth: {($size): {devices_per_second: ($ours | per_second), open_ms: ([$ours[].open_ms] | median), peak_mib: ([$ours[], $spread[] | .peak_kib / 1024] | max),
                              status_ms: $status, cpu_ratio: ($base | against($ours; .cpu_seconds)), spread: ($base_spread | against($spread; .seconds)),
                              spread_cpu_ratio: ($base_spread | against($spread; .cpu_seconds))}}}}'
done
