#!/usr/bin/env bash
# A bad line is named by file, line and column, and nothing of the file is imported unless all of it is good.
. "$(dirname "$0")/lib.sh"
setup_token "$SHIM"
init_keys >/dev/null
make_fleet 5 mfr
make_fleet 2 other --first-device 00-DB-12-34-56-78-FF-00  # another transport key under the same name
objects() { "$TOKEN_CHECK" "$token_uri" "file:$work/token.pin" registry.db --list 2>/dev/null | wc -l; }
import_file() {
  [ ! -e bad.csv ] || sign bad.csv
  import_csv bad.csv mfr
}
in_token=$(objects)

# Fields of the third line: 1 device_id 2 kind 3 model 4 system_title 5 suite 6 supports 7 commissioned_at 8 kek 9 transport
column_of() { sed -n 3p mfr/fleet.csv | cut -d, -f1-"$(($1 - 1))" | awk '{print length($0) + 2}'; }
with_field() { awk -F, -v OFS=, -v f="$1" -v v="$2" 'NR == 3 { $f = v } 1' mfr/fleet.csv >bad.csv; }
named() {  # LINE COLUMN REGEX
  rm -f counts
  SHIM_COUNT_FILE=$work/counts expect_exit 1 import_file
  expect_error "^smets1-kms: bad.csv:$1:$2: .*$3"
  expect_one_line_error
  expect_equal "devices" "$(devices)" 0
  expect_equal "objects in the token" "$(objects)" "$in_token"
}
bad_field() {  # FIELD VALUE REGEX
  case_ "field $1 '$2'"
  with_field "$1" "$2"
  named 3 "$([ "$1" = 1 ] && echo 1 || column_of "$1")" "$3"
}
bad_field 1 '' device_id
bad_field 1 00-DB-12-34-56-78-90 device_id
bad_field 1 00-DB-12-34-56-78-90-ZZ device_id
bad_field 2 TOASTER 'kind: .*ESME.*GSME'
bad_field 2 '' kind
bad_field 3 '' model
bad_field 3 EXAMPLE-X9 'model EXAMPLE-X9 is not in the configuration'
bad_field 4 4558450000 'system_title: 8 bytes'
bad_field 4 45584500000000zz system_title
bad_field 5 3 security_suite
bad_field 5 '' security_suite
bad_field 6 '' supports
bad_field 6 guek+lock supports
bad_field 6 guek+guek 'supports: guek twice'
bad_field 6 guek+ supports
bad_field 7 2026-02-30T00:00:00Z commissioned_at
bad_field 7 2026-11-20T09:30:00 commissioned_at
bad_field 7 yesterday commissioned_at
bad_field 8 '' kek_wrapped
bad_field 8 ABC kek_wrapped
bad_field 8 00112233445566778899AABBCCDDEEFF 'kek_wrapped has 16 bytes'
bad_field 9 '' kek_transport

case_ "a KEK that is not one under that transport key"
kek=$(sed -n 3p mfr/fleet.csv | cut -d, -f8)
flipped=$([ "${kek:0:1}" = 0 ] && echo 1 || echo 0)${kek:1}
with_field 8 "$flipped"; named 3 "$(column_of 8)" 'the token does not unwrap this KEK under transport key mfr-a-2026'
case_ "a KEK of another length than the suite's"
with_field 5 2; named 3 "$(column_of 8)" 'a KEK of security suite 2 is 40'
awk -F, -v OFS=, 'NR == 3 { $8 = $8 substr($8, 1, 32) } 1' mfr/fleet.csv >bad.csv; named 3 "$(column_of 8)" 'kek_wrapped has 40 bytes; a KEK of security suite 0 is 24'
case_ "a transport key that was not given"
with_field 9 mfr-b; named 3 '[0-9]+' 'transport key mfr-b was not given; give it with --transport-key mfr-b=FILE'

case_ "form"
sed '3s/$/,more/' mfr/fleet.csv >bad.csv; named 3 '[0-9]+' 'a field too many: 10 of 9'
sed '3s/,[^,]*$//' mfr/fleet.csv >bad.csv; named 3 '[0-9]+' 'kek_transport is missing: 8 fields of 9'
sed '3s/ESME/"ESME"/' mfr/fleet.csv >bad.csv; named 3 '[0-9]+' 'a quote'
sed '3i\\' mfr/fleet.csv >bad.csv; named 3 1 'an empty line'
sed 1d mfr/fleet.csv >bad.csv; named 1 1 'the header is not that of a fleet file: device_id is expected'
sed '1s/kind,model/model,kind/' mfr/fleet.csv >bad.csv; named 1 11 'kind is expected here'
head -1 mfr/fleet.csv >bad.csv; named 1 1 'no device in it'
: >bad.csv; expect_exit 1 import_file; expect_error 'bad.csv'
head -c 100 /dev/urandom >bad.csv; expect_exit 1 import_file; expect_error '^smets1-kms: bad.csv:1:'
awk 'NR == 5 { print last } 1; { if (NR == 2) last = $0 }' mfr/fleet.csv >bad.csv; named 5 1 'stands in line 2 already'
awk -F, -v OFS=, 'NR == 2 { id = $1; gsub(/-/, "", id) } NR == 4 { $1 = tolower(id) } 1' mfr/fleet.csv >bad.csv; named 4 1 'stands in line 2 already'
rm bad.csv; expect_exit 1 import_file; expect_error "bad.csv: can't be read"
sed '$s/ESME/TOASTER/' mfr/fleet.csv >bad.csv; named 6 '[0-9]+' kind

case_ "transport key"
cp mfr/fleet.csv bad.csv
sign bad.csv; expect_exit 1 kms device import bad.csv --signature bad.csv.p7s --transport-key mfr-a-2026=nowhere.bin "${OFFICER[@]}" "${WHO[@]}"; expect_error "nowhere.bin: can't be read"
sign bad.csv; expect_exit 2 kms device import bad.csv --signature bad.csv.p7s --transport-key nowhere.bin "${OFFICER[@]}" "${WHO[@]}"
sign bad.csv; expect_exit 1 kms device import bad.csv --signature bad.csv.p7s --transport-key mfr-a-2026=mfr/fleet.csv "${OFFICER[@]}" "${WHO[@]}"; expect_error 'transport key mfr-a-2026.*RSA-OAEP'
sign bad.csv; expect_exit 1 kms device import bad.csv --signature bad.csv.p7s --transport-key mfr-a-2026=other/mfr-a-2026.key.bin "${OFFICER[@]}" "${WHO[@]}"; expect_error '^smets1-kms: bad.csv:2:[0-9]+: the token does not unwrap'
expect_exit 1 kms device import bad.csv --signature bad.csv.p7s "${OFFICER[@]}" "${WHO[@]}"; expect_error 'was not given'
case_ "a key of another size under the import key"
head -c 16 /dev/urandom | openssl pkeyutl -encrypt -pubin -inkey transport-import.pem -pkeyopt rsa_padding_mode:oaep -out short.bin
sign bad.csv; expect_exit 1 kms device import bad.csv --signature bad.csv.p7s --transport-key mfr-a-2026=short.bin "${OFFICER[@]}" "${WHO[@]}"
expect_equal devices "$(devices)" 0
expect_equal "objects in the token" "$(objects)" "$in_token"

case_ "a token that fails is not the file's fault"
SHIM_FAIL='C_UnwrapKey:*:0x00000030' expect_exit 3 import_file
expect_not_in err 'bad.csv:[0-9]'
expect_error 'CKR_DEVICE_ERROR'
expect_equal devices "$(devices)" 0

case_ "whose file it is"
cp mfr/fleet.csv bad.csv
unsigned() { expect_exit 1 kms device import bad.csv "$@" --transport-key mfr-a-2026=mfr/mfr-a-2026.key.bin "${OFFICER[@]}" "${WHO[@]}"; expect_one_line_error; expect_equal devices "$(devices)" 0; }
unsigned; expect_error "sign"
unsigned --signature nowhere.p7s; expect_error "nowhere.p7s"
unsigned --signature mfr/fleet.csv; expect_error "sign"
unsigned --signature other/fleet.csv.p7s; expect_error "sign"  # of another file
mkdir stranger
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=Stranger" -keyout stranger/manufacturer.key.pem -out stranger/manufacturer.pem 2>openssl.log
sign bad.csv stranger; unsigned --signature bad.csv.p7s; expect_error "sign"
cat stranger/manufacturer.pem >>bad.csv.p7s; unsigned --signature bad.csv.p7s
sign bad.csv; sed -i 3s/ESME/GSME/ bad.csv
unsigned --signature bad.csv.p7s; expect_error "sign"
cp mfr/fleet.csv bad.csv; cp manufacturers.pem all.pem; cp stranger/manufacturer.pem manufacturers.pem
unsigned --signature mfr/fleet.csv.p7s; expect_error "sign"
cp all.pem manufacturers.pem

case_ "a good file"
sed '1s/^/\xEF\xBB\xBF/; s/$/\r/' mfr/fleet.csv >bad.csv  # as Excel writes it
expect_exit 0 import_file
expect_output '^5 devices imported'
expect_consistent
keys=$(sql 'SELECT hex(id) FROM key ORDER BY 1')
case_ "the same again"
for file in bad.csv mfr/fleet.csv; do
  [ $file = mfr/fleet.csv ] || sign $file; expect_exit 0 kms device import $file --signature $file.p7s --transport-key mfr-a-2026=mfr/mfr-a-2026.key.bin "${OFFICER[@]}" "${WHO[@]}"
  expect_output '^0 devices imported with their KEKs, 5 known already'
done
expect_exit 0 kms device import mfr/fleet.csv --signature mfr/fleet.csv.p7s "${OFFICER[@]}" "${WHO[@]}"  # nothing to unwrap, so no transport key is needed
expect_equal keys "$(sql 'SELECT hex(id) FROM key ORDER BY 1')" "$keys"
case_ "a part that is new"
{ cat mfr/fleet.csv; sed 1d other/fleet.csv | sed 's/mfr-a-2026$/mfr-b/'; } >bad.csv
sign bad.csv; expect_exit 0 kms device import bad.csv --signature bad.csv.p7s --transport-key mfr-b=other/mfr-a-2026.key.bin "${OFFICER[@]}" "${WHO[@]}"
expect_output '^2 devices imported with their KEKs, 5 known already'
case_ "a known device with other facts"
known=$(devices)
for change in kind=s/ESME/GSME/ supports=s/guek+gak,/guek+gbek+gak,/ model=s/EXAMPLE-E1/EXAMPLE-G1/ 'commissioned_at=s/T\([0-9][0-9]\):[0-9][0-9]:/T\1:59:/'; do
  sed "2${change#*=}" mfr/fleet.csv >bad.csv
  cmp -s bad.csv mfr/fleet.csv && { fail "the change $change changes nothing"; continue; }
  expect_exit 1 import_file
  expect_error "^smets1-kms: bad.csv:2:1: device .* is in the registry with other facts \(${change%%=*}\)"
done
case_ "a known device with another KEK: passed over, its KEK is kept"
awk -F, -v OFS=, -v k="$flipped" 'NR == 2 { $8 = k } 1' mfr/fleet.csv >bad.csv
run import_file
expect_equal devices "$(devices)" "$known"
expect_equal keys "$(sql 'SELECT hex(id) FROM key ORDER BY 1' | sort | comm -12 - <(sort <<<"$keys"))" "$(sort <<<"$keys")"
expect_consistent
meter --meters mfr/meters.csv
rotate --device "$(device 1)" --role gak --out t.jsonl >/dev/null
deliver t.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_token_and_meter_agree "$(device 1):gak"
case_
finish
