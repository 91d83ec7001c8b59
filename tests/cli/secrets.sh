#!/usr/bin/env bash
# After a full run: no key in clear and no PIN in anything that the command wrote, in any spelling; no wrapped key in the
# trail or in what is printed, and of a destroyed key not even that.
. "$(dirname "$0")/lib.sh"
setup_token "$SHIM"
export SHIM_LOG=$work/calls
mkdir printed
n=0
# The state file of the simulated meters has their keys in clear, those of this moment.
harvest() { grep -oE '"[0-9A-Fa-f]{32}"|"[0-9A-Fa-f]{64}"' meters.state | tr -d '"' >>held.hex; }
# Every command's output is kept.
said() { n=$((n + 1)); run kms "$@"; cp out "printed/$n.out"; cp err "printed/$n.err"; }
said init "${OFFICER[@]}" "${WHO[@]}"
make_fleet 26 mfr
said device import mfr/fleet.csv --signature mfr/fleet.csv.p7s "${OFFICER[@]}" --transport-key mfr-a-2026=mfr/mfr-a-2026.key.bin "${WHO[@]}"
meter --meters mfr/meters.csv
for round in 1 2; do
  said rotate --all --reason operational "${WHO[@]}" --out t$round.jsonl
  deliver t$round.jsonl --fault '#5=lose-reply' --fault '#7=not-ok' --fault-once
  harvest
  said confirm --replies replies.jsonl
  for d in $(kms --json status | jq -r '.waiting[] | .device_id + ":" + .role + ":" + (.generation | tostring)'); do
    IFS=: read -r device_id role generation <<<"$d"
    holds=old; ! meter_holds "$device_id" "$role" "$generation" || holds=new
    said resolve --device "$device_id" --role "$role" --generation "$generation" --holds $holds --evidence "key proof" "${WHO[@]}"
  done
done
said --json rotate --reason operational "${WHO[@]}" --device "$(device 2)" --role kek
cp out t3.jsonl; rm "printed/$n.out"  # a transfer: its wrapped key is the result
deliver t3.jsonl
harvest
said confirm --replies replies.jsonl
[ "$ENROLMENT" = plain ] || said enrol "${OFFICER[@]}" "${WHO[@]}"
said --json rotate --reason operational "${WHO[@]}" --device "$(device 2)" --role gak
cp out t4.jsonl; rm "printed/$n.out"
deliver t4.jsonl
harvest
said confirm --replies replies.jsonl
said compromise --device "$(device 6)" --role kek --generation 1 --suspicion "lost file" "${WHO[@]}"
said retire --superseded "${WHO[@]}"
said destroy --deactivated "${WHO[@]}"
said doctor
said status
said --json status
said device list
for d in 1 2 5 6 7 13; do said device show "$(device $d)" --trail; said --json device show "$(device $d)" --trail; done
challenge_line "$(device 2)" gak >c.jsonl
said prove --challenges c.jsonl
cp "printed/$n.out" proof.jsonl
# Failures too, on each of their ways out.
said rotate --device "$(device 6)" --reason operational "${WHO[@]}"
said confirm --transfer "$(device 1)/1" --reply C701C100FA
awk -F, -v OFS=, 'NR == 3 { $8 = substr($8, 3) } 1' mfr/fleet.csv >bad.csv
sign bad.csv
said device import bad.csv --signature bad.csv.p7s "${OFFICER[@]}" --transport-key mfr-a-2026=mfr/mfr-a-2026.key.bin "${WHO[@]}"
make_fleet 1 more --first-device 00-DB-12-34-56-78-FF-00
sed 's/,\([0-9A-Fa-f]\)\([0-9A-Fa-f]\{47\}\),/,\2\1,/' more/fleet.csv >bad2.csv
sign bad2.csv
said device import bad2.csv --signature bad2.csv.p7s "${OFFICER[@]}" --transport-key mfr-a-2026=more/mfr-a-2026.key.bin "${WHO[@]}"
for function in C_GenerateKey C_WrapKey C_CopyObject C_Login; do
  SHIM_FAIL="$function:*:0x00000068" said rotate --device "$(device 3)" --role gak --reason operational "${WHO[@]}"
done
echo "wrong-$PIN" >token.pin
said rotate --device "$(device 3)" --reason operational "${WHO[@]}"
printf '%s\n' "$PIN" >token.pin; chmod 644 token.pin
said rotate --device "$(device 3)" --reason operational "${WHO[@]}"
chmod 600 token.pin
sed "s/pin-source=file:token.pin/pin-value=$PIN/" kms.toml >leaky.toml
n=$((n + 1)); run "$KMS" --config leaky.toml rotate --device "$(device 3)" --reason operational "${WHO[@]}"; cp err printed/$n.err; cp out printed/$n.out

# What must not be found: every key that a meter was ever seen to hold, and the KEKs of meters.csv.
{ cat held.hex; sed 1d mfr/meters.csv | cut -d, -f2; } | tr A-F a-f | sort -u >clear.hex
checks=$((checks + 1)); [ "$(wc -l <clear.hex)" -gt 100 ] || fail "only $(wc -l <clear.hex) clear keys are known to this test"
unhex() { local text=$1; while [ -n "$text" ]; do printf '%b' "\\x${text:0:2}"; text=${text:2}; done; }
# Base64 of a key, wherever in the encoded text it begins: what is common to the three alignments.
base64_of() {  # keys in hex, on standard input
  local key shift
  while read -r key; do
    for shift in "" 00 0000; do
      unhex "$shift$key" | base64 -w0 | cut -c"$((${#shift} == 0 ? 1 : ${#shift} == 2 ? 3 : 4))"- | sed 's/=*$//; s/.$//'
    done
  done
}
base64_of <clear.hex >clear.base64
printf '%s\n' "$PIN" "$SO_PIN" >pins
for pin in "$PIN" "$SO_PIN"; do printf '%s' "$pin" | base64 | sed 's/=*$//; s/.$//'; printf '%s' "$pin" | od -An -v -tx1 | tr -d ' \n'; echo; done >>pins
# The wrapped keys that were handed out.
cat t[1-4].jsonl | jq -r '.device_id + " " + .role + " " + (.generation | tostring) + " " + (.parameter | ascii_downcase)' | sed 's/ 01010202160[0-3]09[0-9a-f][0-9a-f]/ /' >wrapped.txt
cut -d' ' -f4 wrapped.txt >wrapped.hex
checks=$((checks + 1)); [ "$(awk '{print length($0)}' wrapped.hex | sort -u | tr '\n' ' ')" = "48 80 " ] || fail "the wrapped keys were not cut out right"

base64_of <wrapped.hex >wrapped.base64

as_text() { cat "$@" | tr A-Z a-z; }
as_hex() { cat "$@" | od -An -v -tx1 | tr -d ' \n'; }
absent() {  # WHAT PATTERNS, text to search on standard input
  checks=$((checks + 1))
  local found; found=$(grep -aoFf "$2" | sort -u | head -3 || true)
  [ -z "$found" ] || fail "$1 is there: $found"
}
# The searches find what is there.
case_ "the search itself"
k=$(head -1 clear.hex); checks=$((checks + 3))
[ "$(unhex "00$k" | od -An -v -tx1 | tr -d ' \n' | grep -coFf clear.hex)" = 1 ] || fail "raw bytes would not be found"
[ "$(unhex "aa$k" | base64 -w0 | grep -cFf clear.base64)" = 1 ] || fail "base64 would not be found"
[ "$(tr a-f A-F <<<"$k" | tr A-Z a-z | grep -cFf clear.hex)" = 1 ] || fail "upper-case hex would not be found"

kms checkpoint >/dev/null
kms export exported >/dev/null
"$AUDIT" prove exported --device "$(device 2)" --out device.bundle >/dev/null
"$AUDIT" show exported --device "$(device 2)" >shown
find exported -type f -exec cat {} + >exported.all
for file in exported.all device.bundle shown registry.db.heads; do
  case_ "$file"
  checks=$((checks + 1)); [ "$(wc -c <"$file")" -gt 1000 ] || fail "it is too short for this test"
  as_text "$file" | absent "a wrapped key, hex" wrapped.hex
  as_hex "$file" | absent "a wrapped key, raw" wrapped.hex
  absent "a wrapped key, base64" wrapped.base64 <"$file"
done
everything=(exported.all device.bundle shown registry.db* kms.toml transport-import.pem t[1-4].jsonl proof.jsonl calls printed/*)
for file in "${everything[@]}"; do
  [ -s "$file" ] || continue
  case_ "$file"
  as_text "$file" | absent "a clear key, hex" clear.hex
  as_hex "$file" | absent "a clear key, raw" clear.hex
  absent "a clear key, base64" clear.base64 <"$file"
  absent "a PIN" pins <"$file"
done
case_ "the token's own files"
find tokens -type f -exec cat {} + | od -An -v -tx1 | tr -d ' \n' | absent "a clear key" clear.hex
case_ trail
sql 'SELECT bytes FROM record' >trail
checks=$((checks + 1)); [ "$(wc -l <trail)" -gt 300 ] || fail "the trail is too short for this test"
as_text trail | absent "a wrapped key" wrapped.hex
absent "a wrapped key, base64" wrapped.base64 <trail
sed 1d mfr/fleet.csv | cut -d, -f8 | tr A-F a-f >wrapped-kek.hex
as_text trail | absent "a wrapped KEK" wrapped-kek.hex
as_hex registry.db* | absent "a wrapped KEK" wrapped-kek.hex
case_ "what was printed"
as_text printed/* | absent "a wrapped key" wrapped.hex
cat printed/* | absent "a wrapped key, base64" wrapped.base64
as_text printed/* | absent "a wrapped KEK" wrapped-kek.hex
case_ "destroyed keys"
kms --json status >/dev/null
sql "SELECT id FROM device" >/dev/null
while read -r d role generation blob; do
  [ "$(kms --json device show "$d" | jq -r ".keys[] | select(.role == \"$role\" and .generation == $generation) | .state")" != destroyed ] || echo "$blob"
done < <(head -40 wrapped.txt) >gone.hex
checks=$((checks + 1)); [ "$(wc -l <gone.hex)" -gt 20 ] || fail "only $(wc -l <gone.hex) destroyed keys"
as_hex registry.db* | absent "the wrapped key of a destroyed one" gone.hex
case_ "modes"
expect_equal "the registry's" "$(stat -c %a registry.db* | sort -u)" 600
expect_equal "the transfers'" "$(stat -c %a t1.jsonl)" 600
case_
finish
