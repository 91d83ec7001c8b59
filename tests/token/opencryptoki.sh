#!/usr/bin/env bash
# The real openCryptoki soft token is refused by the name of what it lacks. It keeps its state in system directories and
# needs a daemon: all of that in namespaces of this test's own, so as root only. (profile.opencryptoki plays the same on
# SoftHSM, anywhere.)
if [ "${1:-}" != inside ]; then
  [ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }
  command -v pkcsslotd >/dev/null || { echo "skipped: needs pkcsslotd (Debian package opencryptoki)"; exit 77; }
  unshare -mip -f --mount-proc true 2>/dev/null || { echo "skipped: this container allows no namespaces"; exit 77; }
  exec unshare -mip -f --mount-proc --kill-child bash "$0" inside  # the daemon goes with its namespace
fi
TEST_DIR=${TMPDIR:-/tmp}
. "$(dirname "$0")/../cli/lib.sh"
module=$(find /usr/lib -name libopencryptoki.so.0 -path '*/opencryptoki/*' -print -quit)
mkdir -p system/lib system/lock
for each in /var/lib/opencryptoki/*/; do mkdir -p "system/lib/$(basename "$each")/TOK_OBJ"; done
mkdir -p system/lock/{swtok,ccatok,tpm,icsf,lite,ep11tok}
mount --bind system/lib /var/lib/opencryptoki
mount -t tmpfs tmpfs /run
mkdir -p /run/lock/opencryptoki && mount --bind system/lock /run/lock/opencryptoki
mount -t tmpfs tmpfs /dev/shm

case_ "a token that is ready: PINs set, the user can log in"
pkcsslotd
for _ in $(seq 50); do pkcsconf -t >slots 2>&1 && break; sleep 0.1; done
slot=$(sed -n 's/^Token #\([0-9]*\) Info.*/\1/p' slots | head -1)
# The PIN of a new token is printed in its manual.
echo kms-test | pkcsconf -I -c "$slot" -S 87654321 >/dev/null
pkcsconf -P -c "$slot" -S 87654321 -n 76543210 >/dev/null
pkcsconf -u -c "$slot" -S 76543210 -n 12345678 >/dev/null
pkcsconf -p -c "$slot" -U 12345678 -n 1234567 >/dev/null
(umask 077; echo 1234567 >token.pin)
: >manufacturers.pem
ENROLMENT=plain SOFTHSM2_CONF=none write_config "$SHIM"
export SHIM_MODULE=$module SHIM_LOG=$work/calls
logins() { grep -c ' C_Login ' calls || true; }

case_ "by its profile, before any PIN is tried"
expect_exit 1 kms doctor
expect_output 'fail +profile +token "kms-test" is refused by its profile opencryptoki \(measured\): no AES key wrap \(0x2109\), no AES-GCM, no AES-CMAC'
expect_exit 3 init_keys
expect_one_line_error
expect_error 'refused by its profile opencryptoki .*no AES key wrap'
expect_equal logins "$(logins)" 0

case_ "under another profile: by the mechanism, once the token was asked"
sed -i '/^enrolment/a profile = "softhsm"' kms.toml
expect_exit 1 kms doctor
expect_output 'ok +token +IBM SoftTok/kms-test/.*logged in'
expect_output 'fail +mechanisms +.*CKM_AES_KEY_WRAP'
expect_exit 3 init_keys
expect_one_line_error
expect_error 'CKM_AES_KEY_WRAP'
checks=$((checks + 1)); [ ! -e registry.db ] || fail "a registry was left behind"

case_ "nor in a laboratory"
sed -i '/^profile/d; /^enrolment/a protection = "none-for-testing"' kms.toml
expect_exit 3 init_keys
expect_error 'refused by its profile opencryptoki'
case_
finish
