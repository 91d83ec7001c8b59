#!/usr/bin/env bash
# Builds a rotation service of the public headers alone against the package of a build tree, and runs it on a fresh token:
# due, a named batch killed in the middle and gone on with, what waits, replies by result, keys ended by selection.
# From CMake: CMAKE CXX PACKAGE SANITIZE LAUNCHER KMS MANUFACTURER. DEVICES: how many (600). KEEP=1 keeps the directory.
set -euo pipefail
: "${LAUNCHER:=}" "${CMAKE:?} ${CXX:?} ${PACKAGE:?} ${KMS:?} ${MANUFACTURER:?}" "${DEVICES:=600}"
here=$(cd "$(dirname "$0")" && pwd)
module=${SOFTHSM:-/usr/lib/softhsm/libsofthsm2.so}
if ! command -v softhsm2-util >/dev/null || [ ! -e "$module" ]; then echo "skipped: this test needs softhsm2"; exit 77; fi
base=${TEST_DIR:-/dev/shm}   # in memory: SoftHSM is ten times faster there
[ -d "$base" ] && [ -w "$base" ] || base=${TMPDIR:-/tmp}
work=$(mktemp -d "$base/smets1-service.XXXXXX")
trap 'code=$?; cd /; [ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"; exit $code' EXIT
cd "$work"

includes=$(grep -hoE '#include <smets1kms/[^>]*>|#include "[^"]*"' "$here/service/service.cpp" | sort -u)
[ "$includes" = '#include <smets1kms/key_manager.hpp>' ] || { echo "it includes more than the public header: $includes"; exit 1; }
flags=
case ${SANITIZE:-} in ON|on|1|TRUE|YES) flags="-fsanitize=address,undefined";; esac
"$CMAKE" -G Ninja -S "$here/service" -B build -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_CXX_COMPILER_LAUNCHER="$LAUNCHER" \
  -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror $flags" -Dsmets1kms_DIR="$PACKAGE" >configure.log || { cat configure.log; exit 1; }
"$CMAKE" --build build >build.log || { cat build.log; exit 1; }

umask 077
mkdir tokens
printf 'directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n' "$work" >softhsm2.conf
export SOFTHSM2_CONF=$work/softhsm2.conf
echo example-pin >token.pin
softhsm2-util --init-token --free --label example --pin example-pin --so-pin example-so-pin >/dev/null
cat >kms.toml <<TOML
version = 1
[token]
module = "$module"
uri = "pkcs11:token=example?pin-source=file:token.pin"
enrolment = "plain"
sessions = 9
[vault]
keep = "sealed"
[import]
unsigned_files = "taken-for-testing"
[registry]
database = "registry.db"
[models."EXAMPLE-E1"]
[models."EXAMPLE-G1"]
[models."EXAMPLE-N1"]
activation = "next-association"
TOML
who=(--requested-by s1sp:example --authorised-by dco:example --reference EXAMPLE-1)
openssl req -x509 -newkey rsa:3072 -noenc -keyout head-end.key -out head-end.pem -days 30 -subj /CN=head-end 2>/dev/null
"$KMS" init --handover head-end --certificate head-end.pem --roles guek,gak \
  --fingerprint "$(openssl x509 -in head-end.pem -noout -fingerprint -sha256 | cut -d= -f2)" "${who[@]}" >/dev/null
"$MANUFACTURER" --public-key transport-import.pem --devices "$DEVICES" --out mfr --transport-name mfr-1 >/dev/null
"$KMS" device import mfr/fleet.csv --transport-key mfr-1=mfr/mfr-1.key.bin "${who[@]}" >/dev/null

time build/service kms.toml "$DEVICES"
"$KMS" export trail >/dev/null
if [ -n "${AUDIT:-}" ]; then "$AUDIT" verify trail --key audit.pem | tee verdict; grep -q '^VERIFIED' verdict; fi
