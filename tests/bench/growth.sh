# Cost of a device in registries of 1 thousand, 100 thousand and 1 million devices (--large: 10 million), sealed vault: the same
# 1,000 devices, spread over the registry, are rotated in each, and confirmed, round after round. Opening, memory, and one
# device's 'status' at each size.
# A thousand devices are imported; those between them are filled in by tests/bench/fill_registry.cpp, with rows and records of
# their own but without a KEK: importing a million takes too long for a benchmark.
# shellcheck shell=bash disable=SC2154,SC1091
. "$here/tests/bench/lib.sh"
real=1000 rounds=7 sizes=(1000 100000 1000000)
[ -z "$large" ] || sizes+=(10000000)
[ -z "$quick" ] || { real=50 rounds=2 sizes=(50 100 500); }

status_ms() {  # median of 9, of the whole command
  local id; id=$(sed -n $((real / 2))p "$token/devices")
  for _ in 1 2 3 4 5 6 7 8 9; do
    local from; from=$(date +%s%N); kms status --device "$id" >/dev/null; echo $((($(date +%s%N) - from) / 1000))
  done | sort -n | sed -n 5p | jq '. / 1000'
}

make_token "size.${sizes[0]}" sealed
enrol_fleet $((real - 1)) $((sizes[-1] / real))
for size in "${sizes[@]:1}"; do copy_token "size.${sizes[0]}" "size.$size"; done
for size in "${sizes[@]}"; do
  use_token "size.$size"
  from=$(date +%s); [ "$size" = "$real" ] || "$FILL" "$kms_toml" "$size"
  ours 1 --confirm >"$token/first"  # the first opening signs what was filled in
  say "$size devices: $real imported, the others filled in ($(($(date +%s) - from)) s), $(du -h "$registry/registry.db" | cut -f1); opened the first time in $(jq '.open_ms | floor' "$token/first") ms"
done
for round in $(seq "$rounds"); do
  for size in "${sizes[@]}"; do
    use_token "size.$size"; sync -f "$registry"
    ours $((real - 1)) --confirm >"$token/round.$round"
    say "round $round, $size devices: $(rate "$token/round.$round") devices/s, opened in $(jq '.open_ms | floor' "$token/round.$round") ms, peak $(jq '.peak_kib / 1024 | floor' "$token/round.$round") MiB"
  done
done
for size in "${sizes[@]}"; do
  use_token "size.$size"
  jq -s --arg size "$size" --argjson status "$(status_ms)" --slurpfile base <(cat "$tokens/size.${sizes[0]}"/round.*) "$JQ_RATIOS"'
    {growth: {($size): (. as $us | [range(length) | $us[.].seconds / $base[.].seconds] | median)},
     raw: {growth: {($size): {devices_per_second: per_second, open_ms: ([.[].open_ms] | median), peak_mib: ([.[].peak_kib / 1024] | max), status_ms: $status,
                              cpu_ratio: (. as $us | [range(length) | $us[.].cpu_seconds / $base[.].cpu_seconds] | median)}}}}' "$token"/round.*
done
