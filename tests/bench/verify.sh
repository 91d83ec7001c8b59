#!/usr/bin/env bash
# How fast the assessor's program is, as ratios within one run (this says nothing in seconds: machines differ).
# usage: scripts/bench verify [--json FILE] [--devices N]     (71500 devices are a million records, the default)
#   verify.speed   time of 'openssl dgst -sha256' over the same records / time of 'smets1-audit verify': median of 5
#   verify.memory  peak memory of verify, MiB; prove.ms, bundle.ms: one device's bundle, made and verified
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
json= devices=71500
while [ $# -gt 0 ]; do case $1 in --help) sed -n 2,5p "$0"; exit 0;; --json) json=$2; shift 2;; --devices) devices=$2; shift 2;; *) sed -n 2,5p "$0" >&2; exit 2;; esac; done
"$here/scripts/setup"
cmake -S "$here" --preset release >/dev/null
cmake --build "$here/build/release" --target smets1-audit audit_make_export >/dev/null
audit=$here/build/release/bin/smets1-audit make=$(find "$here/build/release" -name audit_make_export -type f)
base=/dev/shm; [ -w "$base" ] || base=${TMPDIR:-/tmp}
work=$(mktemp -d "$base/smets1-bench.XXXXXX"); trap 'rm -rf "$work"' EXIT
cd "$work"
echo "making an export of $devices devices" >&2
"$make" export audit.pem "$devices" >/dev/null
ms() { local from to; from=$(date +%s%N); "$@" >/dev/null; to=$(date +%s%N); echo $(((to - from) / 1000000)); }
median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
hash_all() { cat export/records/*.jsonl | openssl dgst -sha256; }
for round in 1 2 3 4 5; do
  h=$(ms hash_all) v=$(ms "$audit" verify export --key audit.pem)
  echo "round $round: openssl $h ms, verify $v ms" >&2
  awk -v h="$h" -v v="$v" 'BEGIN { printf "%.3f\n", h / v }' >>ratios
done
"$audit" verify export --key audit.pem >/dev/null & pid=$! peak=0
while kill -0 $pid 2>/dev/null; do
  now=$(awk '/VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null || true); [ "${now:-0}" -le "$peak" ] || peak=$now; sleep 0.02
done
wait $pid
device=$(head -c 4000 export/records/00000000.jsonl | grep -oE '"device":"[0-9A-F-]{23}"' | head -1 | cut -d'"' -f4)
prove=$(for _ in 1 2 3 4 5; do rm -f one.bundle; ms "$audit" prove export --device "$device" --out one.bundle; done | median)
bundle=$(for _ in 1 2 3 4 5; do ms "$audit" verify one.bundle --key audit.pem; done | median)
result=$(printf '{"machine":"%s, %s processors","records":%s,"verify":{"speed":%s,"memory":%s},"prove":{"ms":%s},"bundle":{"ms":%s}}' \
  "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)" "$(cat export/records/*.jsonl | wc -l)" "$(median <ratios)" $((peak / 1024)) "$prove" "$bundle")
[ -z "$json" ] || { cd "$OLDPWD"; printf '%s\n' "$result" >"$json"; }
jq -r '"machine        \(.machine)\nrecords        \(.records)\nverify.speed   \(.verify.speed) of openssl dgst -sha256 (wanted: 0.25)\nverify.memory  \(.verify.memory) MiB (wanted: below 64)\nprove.ms       \(.prove.ms), bundle.ms \(.bundle.ms) (wanted: below 50)"' <<<"$result"
