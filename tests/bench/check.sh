# 'smets1-kms check' of a registry of a million devices, without its token, against 'smets1-audit verify' of the same log: the
# replay is the same, and every row is compared beside it. Ratio of the times, and the peak memory of the check.
# A hundred devices are imported; the others are filled in by tests/bench/fill_registry.cpp, each with rows and records.
# shellcheck shell=bash disable=SC2154,SC1091
. "$here/tests/bench/lib.sh"
AUDIT=$build/bin/smets1-audit
devices=1000000 rounds=5
[ -z "$quick" ] || { devices=1000 rounds=1; }

# Seconds, and KiB at most, of a command that prints nothing that is wanted.
measured() { command time -f '{"seconds":%e,"kib":%M}' -o "$token/time" "$@" >/dev/null; cat "$token/time"; }

make_token check sealed
enrol_fleet 99 0 $((devices / 100))
from=$(date +%s); "$FILL" "$kms_toml" "$devices"
ours 1 --times 1 >/dev/null  # the first opening signs what was filled in
kms export "$token/trail" --key "$token/audit.pem" >/dev/null; rm -rf "$token/trail"
say "$devices devices filled in ($(($(date +%s) - from)) s), $(du -h "$registry/registry.db" | cut -f1)"
for round in $(seq "$rounds"); do
  sync -f "$registry"
  measured "$AUDIT" verify "$registry/registry.db" --key "$token/audit.pem" >"$token/verify.$round"
  measured "$KMS" --config "$kms_toml" check --no-token >"$token/check.$round"
  say "round $round: verify $(jq -c . "$token/verify.$round"), check $(jq -c . "$token/check.$round")"
done
jq -n --argjson devices "$devices" --slurpfile verify <(cat "$token"/verify.*) --slurpfile check <(cat "$token"/check.*) "$JQ_RATIOS"'
  {check: ($verify | against($check; .seconds)),
   raw: {check: {devices: $devices, seconds: ([$check[].seconds] | median), peak_mib: ([$check[].kib / 1024] | max), verify_peak_mib: ([$verify[].kib / 1024] | max)}}}'
