#!/usr/bin/env bash
# What doctor finds, and what it says to do: each finding made on purpose, then mended.
if [ "${1:-}" != inside ] && [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then exec unshare -m bash "$0" inside; fi  # for p11-kit's files
profiles=$(cd "$(dirname "$0")/../../hsm-config/profiles" && pwd)
. "$(dirname "$0")/../cli/lib.sh"
setup_token "$SHIM"
export SHIM_LOG=$work/calls
init_keys >/dev/null
doctor() { rm -f calls; expect_exit "$1" kms doctor; }
finds() { doctor "$1"; expect_output "$2"; }  # EXIT REGEX
logins() { grep -c ' C_Login ' calls 2>/dev/null || true; }

case_ "all in order"
doctor 0
for line in 'configuration +.*kms.toml' 'PIN source +.*token.pin, mode 0600' 'module +.*PKCS#11 2.40' 'p11-kit +calls are not logged' \
  'profile +softhsm, by what the token says of itself \(measured here\)' 'profile key_wrap +0x2109 \(measured here\)' 'token +SoftHSM v2/kms-test/.*logged in' \
  'sessions +7 at most' 'mechanisms +key wrap \(CKM_AES_KEY_WRAP\)' 'protections +[0-9]+ of [0-9]+ attempts' 'policy +s1sr-15-month, sec-appendix-at; 0 numbers adjusted' 'registry +.*registry.db: 0 devices' 'disk +[0-9]+ MiB free'; do
  expect_output "^ok +$line"
done
expect_output '^(ok|warn) +clock +20'
expect_not_in out '^fail'
expect_equal logins "$(logins)" 1
expect_exit 0 kms --json doctor
expect_equal "as JSON" "$(jq -c '[.ok, .next, ([.checks[] | select(.verdict == "fail")] | length), (.checks[] | select(.subject == "profile key_wrap").finding)]' out)" \
  '[true,"smets1-kms enrol FLEET.csv",0,"0x2109 (measured here)"]'

case_ "each profile's words"
export SHIM_QUIRKS='token-info=SafeNet/LunaSA 7.8.4,vendor-key-wrap=0x80000170,value-len-required,own-gcm-iv'
sed -i 's/^enrolment = .*/enrolment = "plain"/' kms.toml
finds 1 '^fail +import key .*its object differs|^fail +import key .*CKA_UNWRAP_TEMPLATE'  # it was made under the officer's enrolment
expect_equal "other failures" "$(grep '^fail' out | grep -cvE '^fail +(import|enrolment) key ')" 0
expect_output "^ok +profile key_wrap +0x80000170 \(vendor's document\)"
expect_output '^warn +profile persist_by +copy \(unverified: C_CopyObject is not in the documents read\)  -> try it, or ask the vendor'
expect_output '^warn +key proofs +.*only a GAK'
expect_output '^warn +enrolment +plain: '
unset SHIM_QUIRKS
sed -i 's/^enrolment = .*/enrolment = "officer"/' kms.toml

case_ "the policy"
printf '[policy]\nsite = "site.toml"\n' >>kms.toml
finds 1 '^fail +policy +.*site.toml'
printf 'version = 1\neditions = ["s1sr-15-month", "sec-appendix-at"]\n[[adjust]]\nedition = "sec-appendix-at"\nrule = "P1"\nwithin = "9 days"\nfrom = 2026-01-01T00:00:00\nuntil = 2027-01-01T00:00:00\nwho = "SEC Panel"\nauthorised_by = "security"\nwhy = "storm"\n' >site.toml
finds 0 '^warn +policy +.*1 numbers adjusted, 1 of them the regulator'
sed -i '/^\[policy\]/,$d' kms.toml

case_ "keys and waiting KEKs"
make_fleet 2 mfr; import_fleet mfr >/dev/null; meter --meters mfr/meters.csv
finds 0 '^next: smets1-kms rotate --all'
rotate --device "$(device 2)" --role kek --out kek.jsonl >/dev/null; deliver kek.jsonl; kms confirm --replies replies.jsonl >/dev/null
finds 0 '^warn +enrolment +1 new KEKs wait for the security officer'
expect_output '^next: smets1-kms enrol$'
admit_keks >/dev/null
finds 0 '^next: smets1-kms rotate --all'
sed 's/^max_keys = { value = "none"/max_keys = { value = 3/' "$profiles/softhsm.toml" >small.toml
sed -i '/^enrolment/a profile = "small.toml"' kms.toml
finds 0 '^warn +keys +3 of 3 that the token holds \(measured here\)'
sed -i '/^profile/d' kms.toml

case_ "files that others can use"
chmod 644 token.pin
finds 1 '^fail +PIN source +.*token.pin, mode 0644  -> chmod 600 .*token.pin'
expect_output '^next: mend what failed, then smets1-kms doctor'
expect_equal logins "$(logins)" 0
chmod 600 token.pin
chmod 666 kms.toml
finds 0 '^warn +configuration +.*can be changed by others \(mode 0666\).*-> chmod go-w'
chmod 600 kms.toml
chmod 644 registry.db
finds 0 '^warn +registry +.*others can read it  -> chmod 600'
chmod 600 registry.db
cp registry.db kept.db
echo 'no database, but a text that is long enough to be taken for the begin of one' >registry.db
finds 1 '^fail +registry +.*-> as it says'
expect_output '^next: mend what failed'
mv kept.db registry.db

case_ "PIN sources"
cp kms.toml good.toml
sed -i 's/file:token.pin/file:nowhere.pin/' kms.toml
finds 1 '^fail +PIN source +.*nowhere.pin is not there'
sed 's/file:token.pin/fd:7/' good.toml >kms.toml
finds 1 '^fail +PIN source +.*fd:7, which is not open' 7<&-
run kms doctor 7<token.pin
expect_equal exit "$code" 0
expect_output '^ok +PIN source +descriptor 7, open'
sed 's/?pin-source=file:token.pin//' good.toml >kms.toml
run setsid -w "$KMS" --config kms.toml doctor </dev/null
expect_output '^warn +PIN source +none: asked for on the terminal'
cp good.toml kms.toml

case_ "module"
sed 's|^module = .*|module = "/nowhere.so"|' good.toml >kms.toml
finds 1 '^fail +module +.*/nowhere.so.*-> correct token.module'
expect_not_in out '^(ok|fail) +token '
cp good.toml kms.toml

case_ "p11-kit that logs calls: nobody logs in"
if [ "${1:-}" = inside ]; then
  mount -t tmpfs tmpfs /usr/share/p11-kit/modules
  printf 'module: %s\nlog-calls: yes\n' "$SHIM" >/usr/share/p11-kit/modules/logged.module
  sed 's|^module = .*|module = "logged"|' good.toml >kms.toml
  finds 1 '^fail +p11-kit +log-calls is on for this module: .*no login was tried'
  expect_in err C_Initialize  # p11-kit's log itself
  expect_equal logins "$(logins)" 0
  printf 'module: %s\n' "$SHIM" >/usr/share/p11-kit/modules/logged.module
  finds 0 '^ok +p11-kit +calls are not logged'
  cp good.toml kms.toml
else
  echo "not root: p11-kit's configuration was left as it is"
fi
case_
finish
