#!/usr/bin/env bash
# smets1-audit as an assessor meets it. From CMake: AUDIT, MAKE_EXPORT, MANUAL (src/audit/export.md).
set -euo pipefail
: "${AUDIT:?} ${MAKE_EXPORT:?} ${MANUAL:?}"
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
failures=0
expect() {  # EXIT CODE, REGEX of the output, COMMAND ...
  local code=0 expected=$1 regex=$2; shift 2
  "$@" >out 2>&1 || code=$?
  if [ "$code" -ne "$expected" ] || ! grep -qE -- "$regex" out; then
    failures=$((failures + 1)); echo "FAILED: exit $code, expected $expected and /$regex/: $*"; head -5 out
  fi
}
"$MAKE_EXPORT" export audit.pem 300
device=00-DB-12-34-56-78-90-11
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>/dev/null | openssl pkey -pubout -out other.pem

expect 0 '^usage: smets1-audit' "$AUDIT" --help
for command in verify prove show; do expect 0 "^usage: smets1-audit .*$command" "$AUDIT" $command --help; done
expect 2 'no command' "$AUDIT"
expect 2 'not a command' "$AUDIT" nonsense
expect 2 'PATH' "$AUDIT" verify
expect 2 'not a device' "$AUDIT" prove export --device nonsense
expect 1 "can't be read" "$AUDIT" verify nowhere
expect 1 "can't be read" "$AUDIT" verify export --key nowhere.pem

expect 0 '^VERIFIED: 4201 records of 300 devices' "$AUDIT" verify export --key audit.pem --keep-head head.note
expect 1 'never overwritten' "$AUDIT" verify export --key audit.pem --keep-head head.note
expect 0 '^VERIFIED' "$AUDIT" verify export --key audit.pem --since head.note
expect 0 '"verdict": "VERIFIED"' "$AUDIT" --json verify export --key audit.pem
# The manual's five lines, as they stand on its page; the third and the fourth print the same.
sed -n '/^## A checkpoint by hand/,/^## /s/^    //p' "$MANUAL" >five.sh
expect 0 '^5$' bash -c 'wc -l <five.sh'
expect 0 'Verified OK' bash -e five.sh
expect 0 '^ *2 [0-9a-f]{8}$' bash -c 'bash -e five.sh | head -2 | uniq -c'
sed 's/^[0-9]*$/7/' head.note >other.note; sed 's/head[.]note/other.note/' five.sh >other.sh
expect 1 'Verification failure' bash -e other.sh
record=$(sed -n 1p export/records/00000000.jsonl)
expect 0 "^$(head -c 32 export/records/00000000.index | od -An -v -tx1 | tr -d ' \n') " bash -c "record='$record'; $(sed -n "s/^A record's leaf hash is .\(.*\).; an inner.*/\1/p" "$MANUAL")"
expect 5 '^INCONCLUSIVE: missing: a public audit key' "$AUDIT" verify export
expect 5 '^INCONCLUSIVE: missing: audit key ' "$AUDIT" verify export --key other.pem
expect 4 '^FAILED' "$AUDIT" verify export --key audit.pem --origin log.example/other
expect 1 'audit.pem is not a checkpoint, .*line 1' "$AUDIT" verify export --key audit.pem --since audit.pem
head -3 head.note >unsigned.note
expect 1 'not a checkpoint' "$AUDIT" verify export --key audit.pem --since unsigned.note
mkdir empty
expect 1 'empty is not an export' "$AUDIT" verify empty --key audit.pem
cp -r export headless; rm headless/manifest
expect 4 'FAILED: .*manifest' "$AUDIT" verify headless --key audit.pem

expect 0 '14 records, complete up to record 4200' "$AUDIT" prove export --device $device --out one.bundle
expect 0 '^VERIFIED: 14 records of 1 device,' "$AUDIT" verify one.bundle --key audit.pem
expect 5 'does not name it' "$AUDIT" prove export --device 00-00-00-00-00-00-00-01
expect 5 'missing' "$AUDIT" verify one.bundle --key other.pem
sed '/^record /,$d' one.bundle >cut.bundle
expect 4 'it was cut' "$AUDIT" verify cut.bundle --key audit.pem
expect 1 'neither an export' "$AUDIT" verify audit.pem --key audit.pem

expect 0 '"origin"|^origin' "$AUDIT" show export
expect 0 'key.destroy outcome ok' "$AUDIT" show export --device $device
expect 0 '^log.example/test$' "$AUDIT" show export --head
expect 0 "^14 records of $device, complete up to record 4200" "$AUDIT" show one.bundle
expect 0 'key.destroy outcome ok' "$AUDIT" show one.bundle
expect 0 '^log.example/test$' "$AUDIT" show one.bundle --head
expect 2 'of one device' "$AUDIT" show one.bundle --from 3
[ "$("$AUDIT" --json show one.bundle)" = "$("$AUDIT" --json show export --device $device)" ] || { failures=$((failures + 1)); echo "FAILED: a bundle shows other records than the export"; }
[ "$("$AUDIT" --json show export --from 7 --count 1)" = "$(sed -n 8p export/records/00000000.jsonl)" ] || { failures=$((failures + 1)); echo "FAILED: show --json is not the record's bytes"; }

cp -r export changed
sed -i '100s/dco:ops-7/dco:ops-8/' changed/records/00000001.jsonl
expect 4 '^FAILED: record 4195: its bytes' "$AUDIT" verify changed --key audit.pem
expect 4 '"index": 4195' "$AUDIT" --json verify changed --key audit.pem

# A FIFO in the place of a part is refused, not waited for; what is written is its owner's alone, whatever the umask.
cp -r export piped; rm piped/records/00000000.jsonl; mkfifo piped/records/00000000.jsonl
expect 4 'FAILED: .*00000000.jsonl: .*not a regular file' timeout 20 "$AUDIT" verify piped --key audit.pem
(umask 000; "$MAKE_EXPORT" open open.pem 10)
open_to_others=$(find open \( -type d ! -perm 0700 \) -o \( -type f ! -perm 0600 \))
[ -z "$open_to_others" ] || { failures=$((failures + 1)); echo "FAILED: open to others: $open_to_others"; }

! ldd "$AUDIT" | grep -qiE 'pkcs11|p11-kit|softhsm' || { failures=$((failures + 1)); echo "FAILED: smets1-audit links PKCS#11"; }
[ $failures -eq 0 ]
