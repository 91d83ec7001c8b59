#!/usr/bin/env bash
# Time stamps on signed heads (RFC 3161), from an authority made by openssl: asked for, kept, exported, verified.
. "$(dirname "$0")/lib.sh"
: "${AUDIT:?}"
audit() { "$AUDIT" "$@"; }

# Makes a CA and a time-stamping authority under it: NAME.ca.pem, NAME.pem, NAME.key.
make_authority() {  # NAME [extended key usage]
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.ca.key" -out "$1.ca.pem" -days 3650 \
    -subj "/CN=$1 CA" -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1 TSA" 2>/dev/null
  printf 'basicConstraints=critical,CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\n' \
    "${2:-critical,timeStamping}" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$1.ca.pem" -CAkey "$1.ca.key" -CAcreateserial -days 3000 -extfile "$1.ext" -out "$1.pem" 2>/dev/null
  cat >"$1.cnf" <<CNF
[tsa]
default_tsa = t
[t]
serial = $work/serial
crypto_device = builtin
signer_cert = $work/$1.pem
signer_key = $work/$1.key
signer_digest = ${DIGEST:-sha256}
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_chain = no
ess_cert_id_alg = sha256
CNF
  [ -f serial ] || echo 01 >serial
}
answer() {  # AUTHORITY REQUEST RESPONSE
  openssl ts -reply -config "$1.cnf" -queryfile "$2" -out "$3" 2>/dev/null
}
make_authority site
make_authority other
setup_token
setup_fleet 2

case_ "a time stamp is asked for, answered and kept"
expect_exit 0 kms checkpoint --timestamp-request first.tsq
cp out first.note
openssl ts -query -in first.tsq -text >query.txt 2>/dev/null
expect_in query.txt 'Hash Algorithm: sha256'
expect_in query.txt 'Nonce: 0x'
expect_in query.txt 'Certificate required: yes'
expect_exit 1 kms checkpoint --timestamp-request first.tsq
expect_error 'exists'
answer site first.tsq first.tsr
rotate --all --role gak --out t1.jsonl >/dev/null
case_ "responses that are none of this request"
openssl rand 32 >other.data
openssl ts -query -data other.data -sha256 -cert -out other.tsq 2>/dev/null
answer site other.tsq wrong-imprint.tsr
openssl ts -query -data first.note -sha256 -cert -out nonce.tsq 2>/dev/null
answer site nonce.tsq wrong-nonce.tsr
openssl ts -query -data first.note -sha1 -cert -out sha1.tsq 2>/dev/null
answer site sha1.tsq rejected.tsr || true
head -c 200 first.tsr >cut.tsr
cat first.tsr first.tsq >longer.tsr
: >empty.tsr
for bad in wrong-imprint wrong-nonce cut longer empty; do
  expect_exit 1 kms checkpoint --timestamp-response $bad.tsr
  expect_error 'time stamp is not kept: '
  expect_one_line_error
done
[ ! -s rejected.tsr ] || { expect_exit 1 kms checkpoint --timestamp-response rejected.tsr; expect_error 'not granted'; }
expect_exit 1 kms checkpoint --timestamp-response first.tsr --tsa other.ca.pem
expect_error 'time stamp is not kept: '
expect_exit 1 kms checkpoint --timestamp-response missing.tsr
expect_exit 2 kms checkpoint --tsa site.ca.pem
expect_exit 2 kms checkpoint --timestamp-response first.tsr --timestamp-request more.tsq
expect_exit 5 audit verify registry.db --key audit.pem --tsa site.ca.pem
expect_output 'missing: a time stamp on a head of this log'
case_ "the right one"
before=$(records)
expect_exit 0 kms checkpoint --timestamp-response first.tsr --tsa site.ca.pem
expect_output '^the head of [0-9]+ records was stamped at 20.*Z$'
expect_equal "records for a time stamp" "$(records)" "$before"
expect_exit 1 kms checkpoint --timestamp-response first.tsr
expect_error 'no request .* waits'
size=$(sed -n 2p first.note)
expect_exit 0 kms checkpoint
expect_exit 0 kms export exported
for log in registry.db exported; do
  expect_exit 0 audit verify $log --key audit.pem
  expect_not_in out '^stamped'
  expect_exit 0 audit verify $log --key audit.pem --tsa site.ca.pem
  expect_output "^stamped   the head of $size records was there at 20"
  expect_exit 0 audit verify $log --key audit.pem --tsa site.pem
  expect_exit 4 audit verify $log --key audit.pem --tsa other.ca.pem
  expect_output 'FAILED: a time stamp of the log is false: '
  expect_exit 1 audit verify $log --key audit.pem --tsa audit.pem
  expect_error 'no certificate'
  expect_exit 0 audit --json verify $log --key audit.pem --tsa site.ca.pem
  expect_equal "the stamped head" "$(jq .stamped.records out)" "$size"
done
expect_exit 0 kms --json checkpoint --timestamp-request second.tsq
answer site second.tsq second.tsr
expect_exit 0 kms --json checkpoint --timestamp-response second.tsr
second=$(jq .stamped.records out)
expect_exit 0 kms export exported
expect_exit 0 audit --json verify exported --key audit.pem --tsa site.ca.pem
expect_equal "the newest stamped head" "$(jq .stamped.records out)" "$second"
expect_equal "time stamps in the export" "$(ls exported/timestamps | wc -l)" 2
case_ "by hand, as src/audit/export.md says"
expect_exit 0 openssl ts -verify -data first.note -in first.tsr -CAfile site.ca.pem
expect_exit 0 audit prove exported --device "$(device 1)" --out one.bundle
expect_exit 2 audit verify one.bundle --key audit.pem --tsa site.ca.pem

case_ "an export whose time stamps were changed, left out, added"
name=$(basename "$(ls exported/timestamps/*.tsr | head -1)")
try() {  # COMMAND: on a copy
  rm -rf changed; cp -a exported changed
  (cd changed && eval "$1")
  expect_exit 4 audit verify changed --key audit.pem
  expect_exit 4 audit verify changed --key audit.pem --tsa site.ca.pem
}
try "printf x >>timestamps/$name"
try "rm timestamps/$name"
try "cp timestamps/$name timestamps/$(printf '0%.0s' $(seq 64)).tsr"
try "sed -i 's/^timestamp 1 /timestamp 2 /' manifest"
case_ "a time stamp that is another log's, or by a certificate for something else"
keep_stamp() {  # RESPONSE IMPRINT: as whoever writes to the registry would
  cp -a registry.db changed.db
  sqlite3 changed.db "INSERT OR REPLACE INTO setting VALUES('audit.timestamp/$2','1 $(base64 -w0 "$1")')"
}
keep_stamp wrong-imprint.tsr x
expect_exit 4 audit verify changed.db --key audit.pem --tsa site.ca.pem
expect_output 'is of no head of this log'
make_authority web serverAuth
cp site.cnf web-signs.cnf; sed -i "s|$work/site\.|$work/web.|" web-signs.cnf
cp web.ca.pem all.pem; cat site.ca.pem >>all.pem
if openssl ts -reply -config web-signs.cnf -queryfile nonce.tsq -out web.tsr 2>/dev/null; then
  keep_stamp web.tsr y
  expect_exit 4 audit verify changed.db --key audit.pem --tsa all.pem
fi
DIGEST=sha1 make_authority weak
answer weak nonce.tsq weak.tsr
keep_stamp weak.tsr z
cat weak.ca.pem >>all.pem
expect_exit 4 audit verify changed.db --key audit.pem --tsa all.pem
expect_output 'digest below SHA-256'
sqlite3 changed.db "UPDATE setting SET value='nonsense' WHERE name='audit.timestamp/z'"
expect_exit 4 audit verify changed.db --key audit.pem --tsa all.pem
expect_exit 0 kms doctor
case_
finish
