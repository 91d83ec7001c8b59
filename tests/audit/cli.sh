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

expect 0 '^VERIFIED: 4203 records of 300 devices' "$AUDIT" verify export --key audit.pem --keep-head head.note
expect 1 'never overwritten' "$AUDIT" verify export --key audit.pem --keep-head head.note
expect 0 '^VERIFIED' "$AUDIT" verify export --key audit.pem --since head.note
expect 0 '"verdict":"VERIFIED"' "$AUDIT" --json verify export --key audit.pem
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

expect 0 '14 records, complete up to record 4202' "$AUDIT" prove export --device $device --out one.bundle
expect 0 '^VERIFIED: 14 records of 1 device,' "$AUDIT" verify one.bundle --key audit.pem
expect 5 'does not name it' "$AUDIT" prove export --device 00-00-00-00-00-00-00-01
expect 5 'missing' "$AUDIT" verify one.bundle --key other.pem
sed '/^record /,$d' one.bundle >cut.bundle
expect 4 'it was cut' "$AUDIT" verify cut.bundle --key audit.pem
expect 1 'neither an export' "$AUDIT" verify audit.pem --key audit.pem

expect 0 '"origin"|^origin' "$AUDIT" show export
expect 0 'key.destroy outcome ok' "$AUDIT" show export --device $device
expect 0 '^log.example/test$' "$AUDIT" show export --head
expect 0 "^14 records of $device, complete up to record 4202" "$AUDIT" show one.bundle
expect 0 'key.destroy outcome ok' "$AUDIT" show one.bundle
expect 0 '^log.example/test$' "$AUDIT" show one.bundle --head
expect 2 'of one device' "$AUDIT" show one.bundle --from 3
[ "$("$AUDIT" --json show one.bundle)" = "$("$AUDIT" --json show export --device $device)" ] || { failures=$((failures + 1)); echo "FAILED: a bundle shows other records than the export"; }
[ "$("$AUDIT" --json show export --from 7 --count 1)" = "$(sed -n 8p export/records/00000000.jsonl)" ] || { failures=$((failures + 1)); echo "FAILED: show --json is not the record's bytes"; }

cp -r export changed
sed -i '102s/dco:ops-7/dco:ops-8/' changed/records/00000001.jsonl
expect 4 '^FAILED: record 4197: its bytes' "$AUDIT" verify changed --key audit.pem
expect 4 '"index":4197' "$AUDIT" --json verify changed --key audit.pem

# A file of handovers beside the log: every member of a line, in the form that it has and as its key's outcome says.
"$MAKE_EXPORT" handed handed.pem 3 handovers handed.jsonl
check=("$AUDIT" verify handed --key handed.pem --handovers)
expect 0 '^handovers handed.jsonl, 9 lines, 1 checkpoint$' "${check[@]}" handed.jsonl
expect 0 '"handovers":\[\{"file":"handed.jsonl","lines":9,"checkpoints":1\}' "$AUDIT" --json verify handed --key handed.pem --handovers handed.jsonl
expect 0 '^VERIFIED' "${check[@]}" handed.jsonl --handovers <(jq -c -S . handed.jsonl)  # the order of members counts for nothing
other_blob=$(jq -r 'select(.role == "guek").wrapped' handed.jsonl | head -1)
digest=$(basenc --base16 -d <<<"$other_blob" | sha256sum | cut -c-64)
expect_line() {  # REGEX, JQ PROGRAM for line 2, whose key is a GAK
  jq -c "if input_line_number == 2 then $2 else . end" handed.jsonl >bad.jsonl
  expect 4 "^FAILED: bad.jsonl:2:$1" "${check[@]}" bad.jsonl
}
told='.* is not what the outcome of its key, record [0-9]+, says'
expect_line " its member \"device_id\"$told" '.device_id = "00-DB-12-34-56-78-90-99" | .transfer_id |= sub(".*/"; "00-DB-12-34-56-78-90-99/")'
expect_line " its member \"role\"$told" '.role = "gbek"'
expect_line " its member \"generation\"$told" '.generation += 1'
expect_line " its member \"transfer_id\"$told" '.transfer_id += "1"'
expect_line " its member \"target\"$told" '.target = "tail-end"'
expect_line " its member \"target\"$told" '.target_generation = 2'
expect_line " its member \"hash\"$told" '.hash = "SHA-1"'
expect_line " its member \"sha256\"$told" ".wrapped = \"$other_blob\" | .sha256 = \"$digest\" | .challenge = (\"$digest\" | ascii_upcase)"
expect_line " no record up to the checkpoint in line 10 says that its key was made" '.key_id = "00112233445566778899aabbccddeeff"'
expect_line '[0-9]+: the member "sha256" is not that of "wrapped"' ".wrapped = \"$other_blob\""
expect_line '[0-9]+: the member "wrapped" is not upper-case hex' '.wrapped |= ascii_downcase'
expect_line '[0-9]+: the member "wrapped" is bad' '.wrapped += "0"'
expect_line '[0-9]+: the member "wrapped" is not' '.wrapped = ""'
expect_line '[0-9]+: the member "challenge" is not "sha256" in upper case' '.challenge += "00"'
expect_line '[0-9]+: the member "challenge" is not "sha256" in upper case' '.challenge |= ascii_downcase'
expect_line '[0-9]+: the member "challenge" is missing' 'del(.challenge)'
expect_line '[0-9]+: the member "schema" is not smets1-kms-handover-1' '.schema = "smets1-kms-handover-2"'
expect_line '[0-9]+: the member "schema" is missing' 'del(.schema)'
expect_line '[0-9]+: the member "device_id" is not a device' '.device_id |= ascii_downcase'
expect_line '[0-9]+: the member "role" is kek' '.role = "kek"'
expect_line '[0-9]+: the member "role" is bad' '.role = "all"'
expect_line '[0-9]+: the member "key_id" is not 32 lower-case' '.key_id |= ascii_upcase'
expect_line '[0-9]+: the member "generation" is 0: a whole number from 1 to 4294967295' '.generation = 0'
expect_line '[0-9]+: the member "generation" is 4294967296' '.generation = 4294967296'
expect_line '[0-9]+: the member "generation" is "1"' '.generation = "1"'
expect_line '[0-9]+: the member "target_generation" is 1.5' '.target_generation = 1.5'
expect_line '[0-9]+: the member "target" is no target.s name' '.target = "head,end"'
expect_line '[0-9]+: the member "hash" is not SHA-1 or SHA-256' '.hash = "MD5"'
expect_line '[0-9]+: the member "transfer_id" is not DEVICE/NUMBER' '.transfer_id |= sub("90-00/"; "90-01/")'
expect_line '[0-9]+: the member "wrapped" stands beside a checkpoint' '.checkpoint = "x" | del(.device_id)'
expect_line '[0-9]+: the member "device_id" stands beside a checkpoint' '.checkpoint = "x"'
sed '2s/"role":"gak"/"role":"guek",&/' handed.jsonl >bad.jsonl
expect 4 '^FAILED: bad.jsonl:2:[0-9]+: the member "role" is there a second time' "${check[@]}" bad.jsonl
sed '2s/.*/[]/' handed.jsonl >bad.jsonl
expect 4 '^FAILED: bad.jsonl:2:.*not a JSON object' "${check[@]}" bad.jsonl
sed '$s/\\n1*[0-9]*\\n/\\n7\\n/' handed.jsonl >bad.jsonl
expect 4 '^FAILED: bad.jsonl:10: a false signature' "${check[@]}" bad.jsonl
sed '$s/"checkpoint":"/&x y/' handed.jsonl >bad.jsonl
expect 4 '^FAILED: bad.jsonl:10:[0-9]+: the member "checkpoint" is none: line 1' "${check[@]}" bad.jsonl
head -9 handed.jsonl >bad.jsonl
expect 4 '^FAILED: bad.jsonl:1: no checkpoint stands behind it' "${check[@]}" bad.jsonl
expect 4 '^FAILED: /dev/null:1: there is no checkpoint' "${check[@]}" /dev/null
expect 1 "nowhere.jsonl" "${check[@]}" nowhere.jsonl
expect 5 'missing: audit key .*which has signed the checkpoint at handed.jsonl:10' "$AUDIT" verify handed --key audit.pem --handovers handed.jsonl
expect 2 'for a whole log' "$AUDIT" verify one.bundle --key audit.pem --handovers handed.jsonl
expect 0 'guek 1  none -> pre-active  for head-end/1' "$AUDIT" show handed --device 00-DB-12-34-56-78-90-00
expect 0 'target.admit outcome ok  target head-end/1' "$AUDIT" show handed --from 0 --count 2

# The shell that it shares with smets1-kms.
expect 0 '^smets1-audit [0-9]+[.]' "$AUDIT" --version
expect 2 "'verfiy' is not a command; did you mean 'verify'" "$AUDIT" verfiy export
expect 2 "'--kye' is not an option here; did you mean '--key'" "$AUDIT" verify export --kye audit.pem
expect 2 "'--config' is not an option here" "$AUDIT" --config kms.toml verify export
expect 0 '^usage: smets1-audit verify' "$AUDIT" help verify
code=0; "$AUDIT" --json verify changed --key audit.pem >out 2>err || code=$?
[ "$code" = 4 ] && [ "$(tail -1 err | jq -r .reason)" = not-verified ] || { failures=$((failures + 1)); echo "FAILED: --json gives no reason for exit 4"; cat err; }
# Nothing that a name or a record holds steers the terminal.
name=$(printf 'x\033[2J\007\302\233'); cp -r export strange; echo >"strange/documents/$name"
expect 4 'documents/x.x1B.2J.x07.u009B does not belong' "$AUDIT" verify strange --key audit.pem
! grep -q "$(printf '\033')" out || { failures=$((failures + 1)); echo "FAILED: an escape character reaches the terminal"; }
expect 1 'x.x1B.2J.x07.u009B can.t be read' "$AUDIT" verify "$name"

# A FIFO in the place of a part is refused, not waited for; what is written is its owner's alone, whatever the umask.
cp -r export piped; rm piped/records/00000000.jsonl; mkfifo piped/records/00000000.jsonl
expect 4 'FAILED: .*00000000.jsonl: .*not a regular file' timeout 20 "$AUDIT" verify piped --key audit.pem
(umask 000; "$MAKE_EXPORT" open open.pem 10)
open_to_others=$(find open \( -type d ! -perm 0700 \) -o \( -type f ! -perm 0600 \))
[ -z "$open_to_others" ] || { failures=$((failures + 1)); echo "FAILED: open to others: $open_to_others"; }

! ldd "$AUDIT" | grep -qiE 'pkcs11|p11-kit|softhsm' || { failures=$((failures + 1)); echo "FAILED: smets1-audit links PKCS#11"; }
[ $failures -eq 0 ]
