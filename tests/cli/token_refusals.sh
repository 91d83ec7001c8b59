#!/usr/bin/env bash
# Wrong PIN, wrong token, wrong configuration: one attempt, one clear line, nothing changed.
. "$(dirname "$0")/lib.sh"
setup_token "$SHIM"
setup_fleet 2
before=$(registry_contents)
export SHIM_LOG=$work/calls
nothing_changed() { expect_equal registry "$(registry_contents)" "$before"; }
logins() { [ ! -e calls ] && echo 0 || grep -c " C_Login " calls || true; }
commands=("rotate --all --reason operational" "destroy --deactivated"
  "retire --superseded" "compromise --device $(device 1) --role gak --generation 1 --suspicion x")

case_ "wrong PIN"
cp token.pin right.pin
echo "not-the-PIN" >token.pin
for command in "${commands[@]}" "confirm --transfer $(device 1)/1 --no-answer" doctor; do
  case_ "wrong PIN: $command"
  who=("${WHO[@]}"); case $command in confirm* | doctor) who=() ;; esac
  rm -f calls
  # shellcheck disable=SC2086
  run kms $command "${who[@]}"
  checks=$((checks + 1))
  if [ "$command" = doctor ]; then expect_equal exit "$code" 1; expect_output 'fail +token .*PIN_INCORRECT'
  else expect_equal exit "$code" 3; expect_one_line_error; expect_error 'refused the PIN \(C_Login: CKR_PIN_INCORRECT\); it is not tried again'; fi
  expect_equal "attempts" "$(logins)" 1
  nothing_changed
done
cp right.pin token.pin
case_ "wrong PIN of the security officer"
cp so.pin right.so.pin; echo not-the-officer >so.pin
for command in init_keys "import_csv mfr/fleet.csv mfr" admit_keks; do
  rm -f calls
  expect_exit 3 $command
  expect_one_line_error
  expect_error "security officer can.t log in: C_Login: CKR_PIN_INCORRECT"
  expect_equal "attempts" "$(logins)" 1
  nothing_changed
done
mv registry.db aside.db
expect_exit 3 init_keys --public-key other.pem
checks=$((checks + 1)); [ ! -e registry.db ] && [ ! -e other.pem ] || fail "a wrong PIN left a registry or a key file"
rm -f registry.db registry.db-wal registry.db-shm registry.db.lock; mv aside.db registry.db; cp right.so.pin so.pin
case_ "the officer is right, the user is not"
echo not-the-PIN >token.pin; rm -f calls
make_fleet 1 more --first-device 00-DB-12-34-56-78-FF-00
expect_exit 3 import_csv more/fleet.csv more
expect_one_line_error
expect_equal "attempts, his own included" "$(logins)" 2
nothing_changed
cp right.pin token.pin
chmod 644 so.pin; rm -f calls
expect_exit 3 import_csv more/fleet.csv more
expect_error "so.pin can be used by others"
expect_equal attempts "$(logins)" 0
chmod 600 so.pin

case_ "readers need no token"
echo no >token.pin; rm -f calls
expect_exit 0 kms status
expect_exit 0 kms device list
expect_exit 0 kms device show "$(device 1)" --trail
checks=$((checks + 1)); [ ! -e calls ] || fail "a reader called the token"
cp right.pin token.pin

pin_source() { write_config "$SHIM" "$token_uri?pin-source=$1"; }
refused_without_login() {  # CODE REGEX
  rm -f calls
  expect_exit "$1" rotate --device "$(device 1)"
  expect_one_line_error
  expect_error "$2"
  expect_equal "attempts" "$(logins)" 0
  expect_not_in err "$PIN"
  nothing_changed
}
case_ "PIN file"
chgrp 54321 token.pin 2>/dev/null || true  # not a group of this process
for mode in 644 640 660 604; do
  chmod $mode token.pin
  refused_without_login 3 'token.pin can be used by others than its owner; run: chmod 600'
done
if [ "$(id -u)" = 0 ]; then  # of a group that is root's alone, as a mounted secret may be
  chgrp 0 token.pin
  chmod 440 token.pin
  expect_exit 0 kms doctor
  expect_output "^warn +PIN source +.*token.pin, mode 0440: it can be read by group 0, which is this process's alone  -> chmod 600 .* pin-source=fd:N"
fi
chmod 600 token.pin
pin_source file:nowhere.pin; refused_without_login 3 "nowhere.pin: can't be read: No such file"
pin_source file:.; refused_without_login 3 'is not a regular file'
(umask 077; : >empty.pin; printf 'a\nb\n' >two.pin)
pin_source file:empty.pin; refused_without_login 3 'is empty'
pin_source file:two.pin; refused_without_login 3 'more than one line'
pin_source '|/bin/cat'; refused_without_login 1 'commands are not run'
pin_source 'http://pin'; refused_without_login 1 'unknown form'
case_ "PIN descriptor"
pin_source fd:7
expect_exit 0 kms doctor 7<token.pin
refused_without_login 3 'fd:7' 7<&-  # closed, whatever the caller of this test had there
expect_exit 0 import_csv more/fleet.csv more 7<token.pin
case_ "PIN descriptors: the whole ceremony, each read once"
make_fleet 1 fds --first-device 00-DB-12-34-56-78-FE-00
expect_exit 0 kms enrol fds/fleet.csv --signature fds/fleet.csv.p7s --transport-key mfr-a-2026=fds/mfr-a-2026.key.bin --so-pin-source fd:8 "${WHO[@]}" 7<token.pin 8<so.pin
expect_output '^1 devices imported'
rm -f calls
expect_exit 3 kms enrol --so-pin-source fd:8 "${WHO[@]}" 7<token.pin 8<<<"not-the-officer"
expect_equal "attempts" "$(logins)" 1
case_ "PIN descriptors: after a restore"
cp registry.db copy.db
expect_exit 0 kms checkpoint 7<token.pin
rm -f registry.db-wal registry.db-shm; cp copy.db registry.db
expect_exit 6 kms checkpoint 7<token.pin
expect_exit 0 kms checkpoint --after-restore "${WHO[@]}" 7<token.pin
before=$(registry_contents)
case_ "no PIN source and no terminal"
write_config "$SHIM" "$token_uri"
rm -f calls
expect_exit 3 setsid -w "$KMS" --config kms.toml rotate --device "$(device 1)" --reason operational "${WHO[@]}" </dev/null
expect_one_line_error
expect_equal "attempts" "$(logins)" 0

case_ "token URI"
uri() { write_config "$SHIM" "$1"; }
uri 'pkcs11:token=kms-tset?pin-source=file:token.pin'; refused_without_login 3 'kms-tset.*"?kms-test'
uri 'pkcs11:serial=0123456789abcdef?pin-source=file:token.pin'; refused_without_login 3 '0123456789abcdef.*"?kms-test'
uri 'pkcs11:tokn=kms-test?pin-source=file:token.pin'; refused_without_login 1 'unknown attribute "tokn"'
uri 'pkcs11:?pin-source=file:token.pin'; refused_without_login 1 'names no token'
uri 'kms-test'; refused_without_login 1 'does not begin with "pkcs11:"'
uri "pkcs11:token=kms-test?pin-value=$PIN"; refused_without_login 1 'pin-value puts the PIN into a configuration file'
uri 'pkcs11:slot-id=0?pin-source=file:token.pin'; refused_without_login 1 '"slot-id" has no place here'
softhsm2-util --init-token --free --label kms-test --pin other-pin --so-pin other-so-pin >/dev/null
write_config "$SHIM"; refused_without_login 3 '(2|two|more than one).*'
uri 'pkcs11:token=kms-test;serial=0000000000000000?pin-source=file:token.pin'; refused_without_login 3 'kms-test'

case_ "module"
write_config /nowhere/module.so; refused_without_login 1 '/nowhere/module.so'
write_config "$work/kms.toml"; refused_without_login 1 'kms.toml'
write_config no-such-p11-kit-module; refused_without_login 1 'no-such-p11-kit-module'

case_ "configuration"
write_config "$SHIM" 'pkcs11:token=kms-test?pin-source=file:token.pin'
cp kms.toml good.toml
bad() {  # SED-SCRIPT REGEX
  sed "$1" good.toml >kms.toml
  expect_exit 1 kms status
  expect_one_line_error
  expect_error "$2"
  expect_exit 1 rotate --all
  expect_error "$2"
  nothing_changed
}
bad 's/^module/modul/' 'kms.toml:[0-9]+:[0-9]+: token.module is missing'
bad '3i sessionz = 9' 'kms.toml:3:1: token.sessionz is not a key of this file; here: .*sessions'
bad '2i surprise = 1' 'kms.toml:2:1: surprise is not a key of this file'
bad '3i sessions = 1' 'kms.toml:3:12: token.sessions is 1: from 2 to 1024'
bad '3i sessions = "8"' 'kms.toml:3:12: token.sessions is not an integer'
bad '3i pin = "1234"' 'kms.toml:3:1: token.pin is not a key of this file'
bad '/^version/d' 'version = 1 is missing'
bad 's/^version.*/version = 2/' 'kms.toml:1:11: '
bad 's/^database.*/database = 7/' 'kms.toml:11:12: registry.database is not a string'
bad 's/^activation = "immediate"/activation = "sometime"/' 'kms.toml:14:14: models.EXAMPLE-E1.activation: .*immediate'
bad '0,/^logical_name.*/s//logical_name = "0.0.43.0.0.256"/' 'kms.toml:13:16: models.EXAMPLE-E1.logical_name'
bad '14i colour = "red"' 'kms.toml:14:1: models.EXAMPLE-E1.colour is not a key'
bad '4i this is not TOML' 'kms.toml:4:[0-9]+: '
cp good.toml kms.toml
case_ "registry"
sed 's/registry.db/nowhere.db/' good.toml >kms.toml
expect_exit 6 kms status; expect_error "no registry at .*nowhere.db: 'smets1-kms enrol' makes one"
expect_exit 6 rotate --all; expect_error "no registry at"
echo "no database at all, but long enough to be taken for the header of one" >junk.db
sed 's/registry.db/junk.db/' good.toml >kms.toml
expect_exit 6 kms status; expect_one_line_error; expect_error 'not a database|not a registry'
sqlite3 foreign.db 'CREATE TABLE t(x)'
sed 's/registry.db/foreign.db/' good.toml >kms.toml
expect_exit 6 kms status; expect_error 'not a registry of this version'
case_ "a PIN descriptor can be read once: plain init too"
rm -rf tokens
ENROLMENT=plain setup_token
ENROLMENT=plain write_config "$SOFTHSM" "$token_uri?pin-source=fd:7"
mv registry.db aside.db
expect_exit 0 kms init "${WHO[@]}" --public-key plain.pem 7<token.pin
case_
NO_CHECK="its configuration has a PIN source that is gone"
finish
