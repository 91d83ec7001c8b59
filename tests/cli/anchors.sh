#!/usr/bin/env bash
# The last head in the token while work is under way: a registry put back to before a killed batch's transfers, a token
# that is behind, a key whose successor the token has lost.
. "$(dirname "$0")/lib.sh"
: "${AUDIT:?}"
setup_token "$SHIM"
setup_fleet 700
first=$(device 1)

case_ "how often"
for bad in -1 86401 '"often"'; do
  cp kms.toml kept.toml
  printf '[audit]\ntoken_anchor_seconds = %s\n' "$bad" >>kms.toml
  expect_exit 1 kms status
  expect_error 'token_anchor_seconds'
  mv kept.toml kms.toml
done
printf '[audit]\ntoken_anchor_seconds = 0\n' >>kms.toml
SHIM_COUNT_FILE=$work/each expect_exit 0 rotate --all --role guek --out t3.jsonl
sed -i 's/^token_anchor_seconds = .*/token_anchor_seconds = 3600/' kms.toml
deliver t3.jsonl; kms confirm --replies replies.jsonl >/dev/null
SHIM_COUNT_FILE=$work/once expect_exit 0 rotate --all --role guek --out t4.jsonl
deliver t4.jsonl; kms confirm --replies replies.jsonl >/dev/null
anchors() { jq '.functions.C_CreateObject // 0' "$1"; }
checks=$((checks + 1)); [ "$(anchors each)" -gt "$(anchors once)" ] || fail "as many anchors with 0 s as with 3600 s: $(anchors each)"
checks=$((checks + 1)); [ "$(anchors once)" -le 2 ] || fail "$(anchors once) anchors in an hour: the first, and the one at the end"
echo "anchors of 700 rotations: $(anchors each) with 0 s, $(anchors once) with 3600 s"

case_ "a registry and its file of heads put back to before a killed batch"
expect_exit 0 kms checkpoint
sqlite3 registry.db "VACUUM INTO 'backup.db'"
cp registry.db.heads backup.heads
SHIM_KILL_AT=$(($(jq '[.functions[]] | add' once) * 19 / 20)) run rotate --all --role gak --batch b1 --out t1.jsonl
checks=$((checks + 1)); [ "$code" -gt 128 ] || fail "the batch was not killed: exit $code"
checks=$((checks + 1)); [ -s t1.jsonl ] || fail "nothing was released before the batch was killed"
save_state
rm -f registry.db registry.db-wal registry.db-shm; cp backup.db registry.db; chmod 600 registry.db; cp backup.heads registry.db.heads
before=$(registry_contents)
expect_exit 6 rotate --device "$first" --role gak --out t2.jsonl
expect_error 'is an older copy, or went another way: the token has a signed head'
expect_exit 1 kms doctor
expect_output '^fail +anchors +.*the token has a signed head'
expect_equal registry "$(registry_contents)" "$before"
checks=$((checks + 1)); [ ! -s t2.jsonl ] || fail "a transfer was released"
restore_state
case_ "the right one goes on"
expect_exit 0 kms rotate --resume b1 --out t1b.jsonl
expect_exit 0 kms doctor
expect_output '^ok +anchors '
cat t1b.jsonl >>t1.jsonl; deliver t1.jsonl
expect_exit 0 kms confirm --replies replies.jsonl

case_ "an older copy of the token, which lacks a key's successor"
cp -a tokens older.tokens
rotate --device "$first" --role gak --out t5.jsonl >/dev/null
deliver t5.jsonl; kms confirm --replies replies.jsonl >/dev/null
mv tokens newer.tokens; cp -a older.tokens tokens
expect_exit 1 kms doctor
expect_output "^warn +anchors +the token.s copy of the last head is older .*-> smets1-kms checkpoint"
expect_output "^fail +key .*$first"
expect_exit 1 kms destroy --device "$first" --role gak --generation 1 "${WHO[@]}"
expect_error 'which is to take its place, is not in the token: nothing is destroyed'
rm -rf tokens; mv newer.tokens tokens
expect_exit 0 kms destroy --device "$first" --role gak --generation 1 "${WHO[@]}"
expect_exit 0 kms checkpoint
expect_exit 0 kms doctor
expect_output '^ok +anchors '
expect_output '^ok +anchor time +[0-9]+\.[0-9] ms to keep a head in the token, which is done at most every 3600 s'
expect_exit 0 "$AUDIT" verify registry.db --key audit.pem
case_
finish
