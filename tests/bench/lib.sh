# Helpers of the benchmarks of scripts/bench: sourced, not run. A benchmark prints one JSON object; what it is doing goes to
# standard error. From scripts/bench: here (the sources), build (the programs), tokens (a directory in memory: SoftHSM is ten
# times faster there), disk (one on the build's filesystem, for the registry: what is committed there is durable), quick, large.
# shellcheck shell=bash disable=SC2154
set -euo pipefail
SOFTHSM=${SOFTHSM:-/usr/lib/softhsm/libsofthsm2.so}
KMS=$build/bin/smets1-kms BARE=$build/tests/bench/bench_bare ROTATE=$build/tests/bench/bench_rotate_fleet FILL=$build/tests/bench/bench_fill_registry
MANUFACTURER=$build/tests/support/smets1-example-manufacturer SHIM=$build/tests/support/libkms_shim.so
WHO=(--requested-by s1sp:bench --authorised-by dco:bench --reference BENCH-1)
# SoftHSM allocates memory some 2,600 times for a device. The C library's allocator (and nothing else of it but its mutexes) is
# quicker in a process of one thread, as the bare loop is and no service, so that it would be a good part of what is measured:
# all programs get the same other one.
allocator=libjemalloc.so.2
unset "${!SHIM_@}"

say() { echo "bench: $*" >&2; }
rate() { jq -r '.devices / .seconds | floor' "$1"; }

# ---- a token and a registry of their own, and how they were ----

# A SoftHSM token, a registry on the disk and a configuration for both. Of sessions so many as do most with SoftHSM
# (hsm-config/tokens/softhsm.md): one or two that make keys.
declare -A best_sessions=([sealed]=3 [token]=4 [sealed_target]=3 [token_target]=4)
make_token() {  # NAME VAULT
  "$here/scripts/with-softhsm" "$tokens/$1" true
  sed -i 's|^#keep = .*|keep = "'"${2%_target}"'"|; s|^manufacturers = .*|unsigned_files = "taken-for-testing"|; s|^sessions = .*|sessions = '"${best_sessions[$2]}"'|' "$tokens/$1/kms.toml"
  use_token "$1"
}
# What make_token made, or a copy of it.
use_token() {
  token=$tokens/$1 registry=$disk/$1 kms_toml=$tokens/$1/kms.toml
  export SOFTHSM2_CONF=$token/softhsm2.conf
  mkdir -p "$registry"
  sed -i "s|^directories.tokendir = .*|directories.tokendir = $token/tokens|" "$SOFTHSM2_CONF"
  sed -i "s|^database = .*|database = \"$registry/registry.db\"|; s|^SOFTHSM2_CONF = .*|SOFTHSM2_CONF = \"$SOFTHSM2_CONF\"|" "$kms_toml"
}
copy_token() { cp -a "$tokens/$1" "$tokens/$2"; cp -a "$disk/$1" "$disk/$2"; use_token "$2"; }  # FROM TO
use_module() { sed -i "s|^module = .*|module = \"$1\"|" "$kms_toml"; }
kms() { "$KMS" --config "$kms_toml" "$@"; }

# Devices of suite 0 from the manufacturer's file, by the officer's ceremony, and one that goes before them; the first DENSE have
# ids that follow each other, the others are SPACING apart. They are left in $token/devices.
enrol_fleet() {  # COUNT [DENSE SPACING]
  local officer=(--so-pin-source "file:$token/so.pin")
  cd "$token"
  kms enrol "${officer[@]}" "${WHO[@]}" >/dev/null
  "$MANUFACTURER" --public-key transport-import.pem --devices $(($1 + 1)) --only-suite 0 --out mfr --transport-name mfr-1 >/dev/null
  awk -F, -v OFS=, -v dense="${2:-0}" -v spacing="${3:-1}" 'NR > 1 { id = NR - 2 < dense ? NR - 2 : dense + (NR - 2 - dense) * spacing
    $1 = sprintf("00-DB-00-00-%02X-%02X-%02X-%02X", int(id / 16777216), int(id / 65536) % 256, int(id / 256) % 256, id % 256); print $1 >"devices" } { print }' mfr/fleet.csv >fleet.csv
  kms enrol fleet.csv --transport-key mfr-1=mfr/mfr-1.key.bin "${officer[@]}" "${WHO[@]}" >enrol.log 2>&1 || { cat enrol.log >&2; exit 1; }
  cd "$here"
}

# Each measurement begins with the same token and the same registry, and with nothing that waits for the disk.
save_state() { rm -rf "$token/saved" "$registry/saved"; cp -a "$token/tokens" "$token/saved"; mkdir "$registry/saved"; cp -a "$registry"/registry.db* "$registry/saved"; }
restore_state() { rm -rf "$token/tokens" "$registry"/registry.db*; cp -a "$token/saved" "$token/tokens"; cp -a "$registry/saved/." "$registry"; sync -f "$registry"; }

# ---- what is measured ----

ours() { LD_PRELOAD=$allocator "$ROTATE" "$kms_toml" "${list:-$token/devices}" "$@"; }  # COUNT [--sessions N] [--times N]
# The same calls by another program, on the module (SoftHSM or the shim) that is named first: MODULE COUNT
bare_token() { LD_PRELOAD=$allocator "$BARE" "$1" smets1-demo "$token/token.pin" token "$token/devices" "$2"; }
bare_sealed() { LD_PRELOAD=$allocator "$BARE" "$1" smets1-demo "$token/token.pin" sealed "$quantity" "$2"; }
bare_token_target() { LD_PRELOAD=$allocator "$BARE" "$1" smets1-demo "$token/token.pin" token_target "$token/devices" "$2"; }
bare_sealed_target() { LD_PRELOAD=$allocator "$BARE" "$1" smets1-demo "$token/token.pin" sealed_target "$quantity" "$2"; }
# A handover target, "bench", for GUEK and GAK.
admit_target() {
  openssl req -x509 -newkey rsa:3072 -nodes -keyout "$token/bench.key" -out "$token/bench.pem" -days 30 -subj /CN=bench 2>/dev/null
  kms enrol --so-pin-source "file:$token/so.pin" "${WHO[@]}" --handover bench --certificate "$token/bench.pem" --roles guek,gak \
    --fingerprint "$(openssl x509 -in "$token/bench.pem" -outform DER | sha256sum | cut -d' ' -f1)" --public-key "$token/transport-import.pem" >/dev/null 2>&1
}
# Medians of rounds: the ratio of two programs' times, pair by pair, and what they are.
JQ_RATIOS='
  def median: sort | if length % 2 == 1 then .[(length - 1) / 2] else (.[length / 2] + .[length / 2 - 1]) / 2 end;
  def per_second: [.[] | .devices / .seconds] | median;
  def against($them; field): . as $us | [range(length) | ($them[.] | field) / ($us[.] | field)] | median;'
