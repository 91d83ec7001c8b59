#!/usr/bin/env bash
# Builds the README's example against the package of a build tree, and runs it on a fresh token with one device.
# From CMake: CMAKE CXX PACKAGE (directory of smets1kms-config.cmake) SANITIZE LAUNCHER KMS MANUFACTURER. KEEP=1 keeps the directory.
set -euo pipefail
: "${LAUNCHER:=}" "${CMAKE:?} ${CXX:?} ${PACKAGE:?} ${KMS:?} ${MANUFACTURER:?}"
here=$(cd "$(dirname "$0")" && pwd)
module=${SOFTHSM:-/usr/lib/softhsm/libsofthsm2.so}
if ! command -v softhsm2-util >/dev/null || [ ! -e "$module" ]; then echo "skipped: this test needs softhsm2"; exit 77; fi
base=${TEST_DIR:-/dev/shm}   # in memory: SoftHSM is ten times faster there
[ -d "$base" ] && [ -w "$base" ] || base=${TMPDIR:-/tmp}
work=$(mktemp -d "$base/smets1-example.XXXXXX")
trap 'code=$?; cd /; [ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"; exit $code' EXIT
cd "$work"

# What the README shows is what is compiled here.
diff <(sed -n '/README begin/,/README end/p' "$here/rotate_one/rotate_one.cpp" | sed '1d;$d;s/^  //') \
  <(sed -n '/^```cpp/,/^```$/p' "$here/../../README.md" | sed '1,4d;$d') || { echo "README.md shows other code"; exit 1; }

flags=
case ${SANITIZE:-} in ON|on|1|TRUE|YES) flags="-fsanitize=address,undefined";; esac
"$CMAKE" -G Ninja -S "$here/rotate_one" -B build -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_CXX_COMPILER_LAUNCHER="$LAUNCHER" \
  -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror $flags" -Dsmets1kms_DIR="$PACKAGE" >configure.log || { cat configure.log; exit 1; }
"$CMAKE" --build build >build.log || { cat build.log; exit 1; }

# Installed, and found by pkg-config from where it was moved to: what a project without CMake does.
"$CMAKE" --install "$PACKAGE" --prefix "$work/prefix" >install.log || { cat install.log; exit 1; }
mv prefix moved
export PKG_CONFIG_PATH; PKG_CONFIG_PATH=$(dirname "$(find moved -name smets1kms.pc)")
# shellcheck disable=SC2046,SC2086
$LAUNCHER "$CXX" -std=c++20 $flags $(pkg-config --cflags smets1kms) "$here/rotate_one/rotate_one.cpp" -o by_pkg_config $(pkg-config --libs smets1kms)

umask 077
mkdir tokens
printf 'directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n' "$work" >softhsm2.conf
export SOFTHSM2_CONF=$work/softhsm2.conf
echo example-pin >token.pin
softhsm2-util --init-token --free --label example --pin example-pin --so-pin example-so-pin >/dev/null
cat >kms.toml <<EOF
version = 1
[token]
module = "$module"
uri = "pkcs11:token=example?pin-source=file:token.pin"
enrolment = "plain"
[import]
unsigned_files = "taken-for-testing"
[registry]
database = "registry.db"
[models."EXAMPLE-E1"]
[models."EXAMPLE-G1"]
[models."EXAMPLE-N1"]
activation = "next-association"
EOF
who=(--requested-by s1sp:example --authorised-by dco:example --reference EXAMPLE-1)
openssl req -x509 -newkey rsa:3072 -noenc -keyout head-end.key -out head-end.pem -days 30 -subj /CN=head-end 2>/dev/null
"$KMS" init --handover head-end --certificate head-end.pem --roles guek,gak \
  --fingerprint "$(openssl x509 -in head-end.pem -noout -fingerprint -sha256 | cut -d= -f2)" "${who[@]}" >/dev/null
"$MANUFACTURER" --public-key transport-import.pem --devices 1 --out mfr --transport-name mfr-1 >/dev/null
"$KMS" device import mfr/fleet.csv --transport-key mfr-1=mfr/mfr-1.key.bin "${who[@]}" >/dev/null

build/rotate_one | tee out
# Two ACTION requests of class 64, method 2, a key each; both keys confirmed.
[ "$(grep -cE '^to the meter  C301C10040[0-9A-F]{12}020101010202160[02]0918[0-9A-F]{48}$' out)" = 2 ] || { echo "these are not two key transfers"; exit 1; }
# The head end's private key opens both.
[ "$(grep -cE '^to head-end  [0-9A-F]{768}$' out)" = 2 ] || { echo "these are not two keys for the head end"; exit 1; }
for n in 1 2; do
  sed -n 's/^to head-end  //p' out | sed -n ${n}p | basenc --base16 -d >wrapped
  openssl pkeyutl -decrypt -inkey head-end.key -in wrapped -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1 -out key
  [ "$(wc -c <key)" = 16 ] || { echo "the head end's key does not open what is for it"; exit 1; }
done
"$KMS" device show 00-DB-12-34-56-78-90-A0 | tee shown
[ "$(grep -cE '(guek|gak).*active.*confirmed' shown)" = 2 ] || { echo "the keys are not confirmed"; exit 1; }

ldd by_pkg_config | grep -q 'not found' && { echo "what pkg-config linked is not found"; exit 1; }

# Without a token it ends with one line, not with a crash.
rm -rf tokens; mkdir tokens
code=0
./by_pkg_config >/dev/null 2>err || code=$?
[ "$code" = 1 ] && [ "$(wc -l <err)" = 1 ] || { echo "exit $code, standard error:"; cat err; exit 1; }
