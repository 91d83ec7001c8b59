# Ours, with registry and trail, against plain programs on pkcs11js and PyKCS11 that make the same token calls for the sealed
# vault and record nothing. Interleaved rounds.
# shellcheck shell=bash disable=SC2154,SC1091
. "$here/tests/bench/lib.sh"
quantity=1024 rounds=7; [ -z "$quick" ] || { quantity=48 rounds=3; }
PYTHON=/usr/bin/python3  # Debian's, for which python3-pykcs11 is

"$here/scripts/setup" peers
[ -d "$build/peers/node_modules/pkcs11js" ] || { say "npm install pkcs11js"; npm install --silent --no-audit --no-fund --prefix "$build/peers" pkcs11js@2.1.7 >&2; }
peer_pkcs11js() { NODE_PATH=$build/peers/node_modules LD_PRELOAD=$allocator node "$here/tests/bench/peer.js" "$1" smets1-demo "$token/token.pin" "$quantity" "$2"; }
peer_pykcs11() { LD_PRELOAD=$allocator "$PYTHON" "$here/tests/bench/peer.py" "$1" smets1-demo "$token/token.pin" "$quantity" "$2"; }

make_token peers sealed
enrol_fleet "$quantity"
save_state
for round in $(seq "$rounds"); do
  restore_state; ours "$quantity" >"$token/ours.$round"
  for peer in pkcs11js pykcs11; do restore_state; "peer_$peer" "$SOFTHSM" "$quantity" >"$token/$peer.$round"; done
  say "round $round: ours $(rate "$token/ours.$round"), pkcs11js $(rate "$token/pkcs11js.$round"), PyKCS11 $(rate "$token/pykcs11.$round") devices/s"
done
jq -n --slurpfile ours <(cat "$token"/ours.*) --slurpfile js <(cat "$token"/pkcs11js.*) --slurpfile py <(cat "$token"/pykcs11.*) "$JQ_RATIOS"'
  {peers: {pkcs11js: ($ours | against($js; .seconds)), pykcs11: ($ours | against($py; .seconds))},
   raw: {peers: {ours_per_second: ($ours | per_second), pkcs11js_per_second: ($js | per_second), pykcs11_per_second: ($py | per_second),
                 cpu_ratio: {pkcs11js: ($ours | against($js; .cpu_seconds)), pykcs11: ($ours | against($py; .cpu_seconds))}}}}'
