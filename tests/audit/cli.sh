#!/usr/bin/env bash
# smets1-audit as an assessor meets it. From CMake: AUDIT, MAKE_EXPORT.
set -euo pipefail
: "${AUDIT:?} ${MAKE_EXPORT:?}"
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
expect 0 'Verified OK' bash -c "head -3 head.note >body; tail -1 head.note | cut -d' ' -f3 | base64 -d | tail -c +5 >der; openssl dgst -sha256 -verify audit.pem -signature der body"
expect 5 '^INCONCLUSIVE: missing: a public audit key' "$AUDIT" verify export
expect 5 '^INCONCLUSIVE: missing: audit key ' "$AUDIT" verify export --key other.pem
expect 4 '^FAILED' "$AUDIT" verify export --key audit.pem --origin log.example/other
expect 4 'FAILED: .*line 1 of the checkpoint' "$AUDIT" verify export --key audit.pem --since audit.pem

expect 0 '14 records, complete up to record 4200' "$AUDIT" prove export --device $device --out one.bundle
expect 0 '^VERIFIED: 14 records of 1 device,' "$AUDIT" verify one.bundle --key audit.pem
expect 5 'does not name it' "$AUDIT" prove export --device 00-00-00-00-00-00-00-01
expect 5 'missing' "$AUDIT" verify one.bundle --key other.pem
sed '/^record /,$d' one.bundle >cut.bundle
expect 4 'it was cut' "$AUDIT" verify cut.bundle --key audit.pem
expect 4 'neither an export' "$AUDIT" verify audit.pem --key audit.pem

expect 0 '"origin"|^origin' "$AUDIT" show export
expect 0 'key.destroy outcome ok' "$AUDIT" show export --device $device
expect 0 '^log.example/test$' "$AUDIT" show export --head
[ "$("$AUDIT" --json show export --from 7 --count 1)" = "$(sed -n 8p export/records/00000000.jsonl)" ] || { failures=$((failures + 1)); echo "FAILED: show --json is not the record's bytes"; }

cp -r export changed
sed -i '100s/dco:ops-7/dco:ops-8/' changed/records/00000001.jsonl
expect 4 '^FAILED: record 4195: its bytes' "$AUDIT" verify changed --key audit.pem
expect 4 '"index": 4195' "$AUDIT" --json verify changed --key audit.pem

! ldd "$AUDIT" | grep -qiE 'pkcs11|p11-kit|softhsm' || { failures=$((failures + 1)); echo "FAILED: smets1-audit links PKCS#11"; }
[ $failures -eq 0 ]
