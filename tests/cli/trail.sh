#!/usr/bin/env bash
# The signed trail: what an assessor gets and sees, an older registry, a fork, a change of key, anchors that fail.
. "$(dirname "$0")/lib.sh"
: "${AUDIT:?}"
setup_token "$SHIM"
setup_fleet 4
audit() { "$AUDIT" "$@"; }
round() {  # NAME: every GAK replaced
  rotate --all --role gak --out "$1.jsonl" >/dev/null
  deliver "$1.jsonl"
  kms confirm --replies replies.jsonl >/dev/null
}
first=$(device 1)

case_ "an assessor's first visit"
round t1
expect_exit 0 kms checkpoint
expect_output "^smets1-kms/[0-9a-f]{32}$"
cp out head1.note
expect_exit 0 kms checkpoint --vkey
{ head -1 head1.note | tr '\n' +; openssl pkey -pubin -in audit.pem -outform DER | sha256sum | head -c 8; printf +
  { printf '\002'; openssl pkey -pubin -in audit.pem -outform DER; } | base64 -w0; echo; } >vkey
expect_same_file out vkey
expect_exit 0 kms export exported
expect_exit 0 audit verify exported --key audit.pem --keep-head kept.note
expect_output '^VERIFIED: .* of 4 devices'
expect_same_file kept.note head1.note
expect_exit 0 audit verify registry.db --key audit.pem
expect_exit 0 audit prove exported --device "$first" --out first.bundle
expect_exit 0 audit verify first.bundle --key audit.pem
case_ "his second one"
find exported -type f ! -name manifest -exec sha256sum {} + >before.sums
cp -a exported first-visit
round t2
expect_exit 0 kms checkpoint
expect_exit 0 kms export exported
checks=$((checks + 1))
while read -r _ file; do cmp -s -n "$(stat -c %s "first-visit/${file#exported/}")" "$file" "first-visit/${file#exported/}" || fail "$file was changed, not appended to"; done <before.sums
expect_exit 0 audit verify exported --key audit.pem --since kept.note
expect_exit 0 kms --json export exported
expect_equal "new records of an export again" "$(jq .added out)" 0
case_ "exports and keys that are not this log's"
cp -a exported foreign; sed -i 's/^\({"[^\n]*"gak"\)/\1/; 0,/confirmed/s//Confirmed/' foreign/records/00000000.jsonl
expect_exit 4 audit verify foreign --key audit.pem
expect_output 'FAILED'
run bash -c '"$AUDIT" verify foreign --key audit.pem >/dev/full'; expect_equal "FAILED, whoever reads it" "$code" 4
run bash -c '"$AUDIT" verify exported --key audit.pem >/dev/full'; expect_equal "nobody could read it" "$code" 1
openssl ecparam -name prime256v1 -genkey -noout 2>/dev/null | openssl pkey -pubout -out other.pem
expect_exit 5 audit verify exported --key other.pem
mkdir full; echo something >full/file
expect_exit 1 kms export full
expect_equal "what was there" "$(ls full)" file

case_ "every single record that a thief rewrites in the database is seen"
cp registry.db thief.db; sqlite3 registry.db "VACUUM INTO 'plain.db'"
for index in 0 7 20 $(($(records) - 1)); do
  cp plain.db thief.db
  sqlite3 thief.db "UPDATE record SET bytes=replace(bytes,'\"phase\":\"outcome\"','\"phase\":\"note\"') WHERE idx=$index; UPDATE record SET bytes=replace(bytes,'SoftHSM','HardHSM') WHERE idx=$index"
  [ "$(sqlite3 thief.db "SELECT bytes FROM record WHERE idx=$index")" != "$(sqlite3 plain.db "SELECT bytes FROM record WHERE idx=$index")" ] || sqlite3 thief.db "UPDATE record SET leaf=zeroblob(32) WHERE idx=$index"
  expect_exit 4 audit verify thief.db --key audit.pem
done

case_ "a registry restored from its backup"
sqlite3 registry.db "VACUUM INTO 'backup.db'"
round t3
save_state
restore_backup() { rm -f registry.db registry.db-wal registry.db-shm; cp backup.db registry.db; chmod 600 registry.db; }
refused() {
  before=$(registry_contents)
  for command in "rotate --all --role gak --reason operational --out never.jsonl ${WHO[*]}" "checkpoint" "destroy --deactivated ${WHO[*]}" "confirm --transfer $first/1 --no-answer"; do
    # shellcheck disable=SC2086
    expect_exit 6 kms $command
    expect_error 'older copy, or went another way'
    expect_one_line_error
  done
  expect_equal registry "$(registry_contents)" "$before"
  checks=$((checks + 1)); [ ! -s never.jsonl ] || fail "a transfer was released"
  rm -f never.jsonl
}
restore_backup
refused
case_ "its file of heads gone too: the token has the last one"
mv registry.db.heads away.heads
refused
expect_error 'the token has a signed head'
case_ "an acceptance that can't be signed leaves what shows the gap in the token"
SHIM_FAIL='C_Sign:*:0x00000030' run kms checkpoint --after-restore "${WHO[@]}"
checks=$((checks + 1)); [ "$code" -ne 0 ] || fail "the gap was accepted without a signature"
refused
expect_error 'the token has a signed head'
mv away.heads registry.db.heads
case_ "the gap needs two identities, and is recorded"
expect_exit 1 kms checkpoint --after-restore --requested-by me --authorised-by ME --reference R
expect_error 'two|distinct|same'
refused
expect_exit 0 kms checkpoint --after-restore "${WHO[@]}"
expect_error '4 key objects in the token are named by nothing in the registry: smets1-kms/gak/'
expect_error 'rotate the devices'
expect_exit 1 kms checkpoint --after-restore "${WHO[@]}"
expect_error 'no gap'
expect_equal "orphans in the trail" "$(sql "SELECT count(*) FROM record WHERE bytes LIKE '%\"op\":\"token.orphan\"%' AND bytes LIKE '%smets1-kms/gak/%'")" 4
sql "SELECT bytes FROM record" >trail; expect_in trail '"detail":"lost-head [0-9]+ [0-9a-f]{64}, orphans 4"'
expect_exit 0 kms doctor
expect_output "^warn +token objects +4 key objects .*$first.*-> a device may hold"
expect_exit 0 kms export restored
expect_exit 5 audit verify restored --key audit.pem
expect_output 'INCONCLUSIVE.*lost'
cp out verdict
expect_output 'finding +orphan '
tail -5 saved/registry.db.heads >lost.note
expect_exit 4 audit verify restored --key audit.pem --since lost.note
expect_exit 0 kms status

case_ "two hosts went on from one copy: the second is refused"
restore_state
rm -f backup.db; sqlite3 registry.db "VACUUM INTO 'backup.db'"
round t4
save_state
restore_backup
cp registry.db.heads mine.heads
mv tokens their.tokens; cp -a saved/tokens tokens
head -c "$(stat -c %s mine.heads)" mine.heads >registry.db.heads
refused
restore_state

case_ "a new audit key"
cp audit.pem old.pem
expect_exit 1 kms checkpoint --new-key new.pem --requested-by me --authorised-by me --reference R
checks=$((checks + 1)); [ ! -e new.pem ] || fail "a key was written although it was refused"
expect_exit 0 kms checkpoint --new-key new.pem "${WHO[@]}"
expect_exit 1 kms checkpoint --new-key new.pem "${WHO[@]}"
expect_error 'exists'
round t5
expect_exit 0 audit verify registry.db --key old.pem --key new.pem
expect_exit 0 audit verify registry.db --key old.pem  # the log introduces the new one
expect_exit 0 audit verify registry.db --key new.pem
kms export renewed >/dev/null
expect_exit 0 audit verify renewed --key old.pem
expect_exit 0 audit verify renewed --key new.pem
openssl ecparam -name prime256v1 -genkey | openssl pkey -pubout -out nobodys.pem
expect_exit 5 audit verify renewed --key nobodys.pem
expect_equal "heads signed by both" "$(sql "SELECT count(*) FROM checkpoint WHERE (length(note)-length(replace(note,char(8212),'')))=2")" 1
expect_consistent

case_ "a file of heads that is gone, cut, of yesterday or another log's"
head -c "$(($(stat -c %s registry.db.heads) / 2))" registry.db.heads >half.heads
tail -5 half.heads >short.heads
save_state
for harm in 'rm registry.db.heads' ': >registry.db.heads' 'cp half.heads registry.db.heads' 'cp short.heads registry.db.heads' 'rm registry.db.heads; mkdir registry.db.heads' \
  "sed -i 's|^smets1-kms/.|smets1-kms/x|' registry.db.heads"; do
  eval "$harm"
  before=$(registry_contents)
  expect_exit 6 rotate --device "$first" --role gak --out t6.jsonl
  expect_error 'file of heads, .*registry.db.heads, does not have the last heads'
  expect_one_line_error
  expect_exit 1 kms doctor
  expect_output '^fail +anchors +the file of heads, .*does not have the last heads'
  expect_equal registry "$(registry_contents)" "$before"
  restore_state
done
rm registry.db.heads
expect_exit 1 kms checkpoint --after-restore --requested-by me --authorised-by ME --reference R
expect_exit 0 kms checkpoint --after-restore "${WHO[@]}"
expect_exit 0 rotate --device "$first" --role gak --out t6.jsonl
expect_exit 0 audit verify registry.db --key old.pem --key new.pem
expect_output 'finding +anchor-lost .*dco:ops-7'
restore_state; rm -f t6.jsonl
case_ "a device-head map that is old"
expect_exit 0 kms doctor
expect_output '^ok +anchors +the registry has every head'
expect_output '^ok +device-head map +made 20'
sqlite3 registry.db "UPDATE setting SET value='1000' WHERE name='audit.device_map_at'"
expect_exit 0 kms doctor
expect_output "^warn +device-head map +made 1970.*run 'smets1-kms checkpoint' from a timer"
restore_state
case_ "an anchor command"
printf '[audit]\nanchor_command = ["sh", "-c", "cat >>sink.notes"]\ndeadline = 1\n' >>kms.toml
expect_exit 0 rotate --device "$first" --role gak --out t7.jsonl
expect_in sink.notes '^smets1-kms/[0-9a-f]{32}$'
deliver t7.jsonl; kms confirm --replies replies.jsonl >/dev/null
for bad in '"false"' '"sleep", "20"' '"/no/such/program"'; do
  save_state
  sed -i "s|^anchor_command = .*|anchor_command = [$bad]|" kms.toml
  expect_exit "$([ "$bad" = '"/no/such/program"' ] && echo 1 || echo 0)" kms doctor
  expect_exit 6 rotate --device "$first" --role gak --out t8.jsonl
  expect_error 'anchor_command'
  checks=$((checks + 1)); [ ! -s t8.jsonl ] || fail "released without an anchor"
  rm -f t8.jsonl
  restore_state
done
sed -i '/^anchor_command/d' kms.toml

case_ "a token that does not sign in time"
save_state
SHIM_DELAY_OF=C_Sign SHIM_DELAY_US=3000000 expect_exit 3 rotate --device "$first" --role gak --out t9.jsonl
expect_error 'did not sign .* within 1 s'
checks=$((checks + 1)); [ ! -s t9.jsonl ] || fail "released without a signature"
rm -f t9.jsonl
expect_exit 0 rotate --device "$first" --role gak --out t9.jsonl
deliver t9.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_token_and_meter_agree "$first:gak"
expect_consistent
expect_exit 0 kms checkpoint  # the proof that was asked for is under a head, too
expect_exit 0 audit verify registry.db --key old.pem --key new.pem
case_
finish
