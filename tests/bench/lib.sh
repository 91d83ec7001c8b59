# Helpers of the benchmarks of scripts/bench: sourced, not run. A benchmark prints one JSON object; what it is doing goes to
# standard error. From scripts/bench: here (the sources), build (the programs), tokens (a directory in memory: SoftHSM is ten
# times faster there), disk (one on the build's filesystem, for the registry: what is committed there is durable), quick, large.
# shellcheck shell=bash disable=SC2154
set -euo pipefail
SOFTHSM=${SOFTHSM:-/usr/lib/softhsm/libsofthsm2.so}
KMS=$build/bin/smets1-kms BARE=$build/tests/bench/bench_bare ROTATE=$build/tests/bench/bench_rotate_fleet
MANUFACTURER=$build/tests/support/smets1-example-manufacturer SHIM=$build/tests/support/libkms_shim.so
WHO=(--requested-by s1sp:bench --authorised-by dco:bench --reference BENCH-1)
unset "${!SHIM_@}"

say() { echo "bench: $*" >&2; }
median() { sort -g | awk '{ all[NR] = $1 } END { print NR % 2 ? all[(NR + 1) / 2] : (all[NR / 2] + all[NR / 2 + 1]) / 2 }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4f\n", a / b }'; }
rate() { jq -r '.devices / .seconds' "$1"; }  # of a result of BARE or ROTATE

# ---- a token and a registry of their own, and how they were ----

# A SoftHSM token, and a configuration whose module is the shim (which forwards to it) or SoftHSM itself.
make_token() {  # NAME [MODULE]
  token=$tokens/$1 registry=$disk/$1
  mkdir -p "$registry"
  "$here/scripts/with-softhsm" "$token" true
  export SOFTHSM2_CONF=$token/softhsm2.conf
  kms_toml=$token/kms.toml
  sed -i "s|^database = .*|database = \"$registry/registry.db\"|" "$kms_toml"
  use_module "${2:-$SOFTHSM}"
}
use_module() { sed -i "s|^module = .*|module = \"$1\"|" "$kms_toml"; }
kms() { "$KMS" --config "$kms_toml" "$@"; }

# Devices of suite 0, from the manufacturer's file, by the officer's ceremony. Their ids are left in $token/devices.
enrol_fleet() {  # COUNT
  local officer=(--so-pin-source "file:$token/so.pin")
  cd "$token"
  kms enrol "${officer[@]}" "${WHO[@]}" >/dev/null
  "$MANUFACTURER" --public-key transport-import.pem --devices "$1" --only-suite 0 --out mfr --transport-name mfr-1 >/dev/null
  cp mfr/manufacturer.pem manufacturers.pem
  kms enrol mfr/fleet.csv --signature mfr/fleet.csv.p7s --transport-key mfr-1=mfr/mfr-1.key.bin "${officer[@]}" "${WHO[@]}" >/dev/null 2>&1
  tail -n +2 mfr/fleet.csv | cut -d, -f1 >devices
  cd "$here"
}

# Each measurement begins with the same token and the same registry, and with nothing that waits for the disk.
save_state() { rm -rf "$token/saved" "$registry/saved"; cp -a "$token/tokens" "$token/saved"; mkdir "$registry/saved"; cp -a "$registry"/registry.db* "$registry/saved"; }
restore_state() { rm -rf "$token/tokens" "$registry"/registry.db*; cp -a "$token/saved" "$token/tokens"; cp -a "$registry/saved/." "$registry"; sync -f "$registry"; }

# ---- ours and the bare loop ----

ours() { "$ROTATE" "$kms_toml" "$token/devices" "$@"; }                      # COUNT [SESSIONS]
bare_token() { "$BARE" "${1}" smets1-demo "$token/token.pin" token "$token/devices" "$2"; }  # MODULE COUNT
bare_sealed() { "$BARE" "${1}" smets1-demo "$token/token.pin" sealed "$quantity" "$2"; }
