#!/usr/bin/env bash
# What smets1-audit does with inputs of any shape: a reason, an exit code, 256 MiB and 20 seconds at most.
# From CMake: AUDIT, MAKE_EXPORT, SCHEMA (src/registry/schema.hpp). Packages: sqlite3, python3.
set -euo pipefail
: "${AUDIT:?} ${MAKE_EXPORT:?} ${SCHEMA:?}"
base=/dev/shm   # in memory: databases are made faster there
[ -w $base ] || base=${TMPDIR:-/tmp}
work=$(mktemp -d $base/smets1-test.XXXXXX); cd "$work"
trap 'rm -rf "$work"' EXIT
# Runs a command; writes its peak memory in KiB and its seconds to the file `used`.
cat >measure.py <<'PY'
import os, subprocess, sys, threading, time
begin = time.monotonic()
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, close_fds=False)
watch = threading.Timer(60, child.kill); watch.daemon = True; watch.start()
_, status, usage = os.wait4(child.pid, 0)
open("used", "w").write(f"{usage.ru_maxrss} {int(time.monotonic() - begin)}\n")
os._exit(os.waitstatus_to_exitcode(status) & 255)
PY
python=$(python3 -c "import sys; print(sys.executable)")
failures=0 most_kib=$((256 * 1024)) most_seconds=20
# EXIT CODES (as "4" or "1|4"), REGEX of the output, words behind smets1-audit.
expect() {
  local codes=$1 regex=$2 code=0 kib seconds; shift 2
  "$python" "$work/measure.py" "$AUDIT" "$@" >out 2>&1 || code=$?
  read -r kib seconds <used
  [[ "$code" =~ ^($codes)$ ]] || fail "exit $code, expected $codes: $*"
  [ "$regex" = . ] || grep -qE -- "$regex" out || fail "no /$regex/: $*"
  [ "$kib" -le $most_kib ] || fail "$((kib / 1024)) MiB: $*"
  [ "$seconds" -lt $most_seconds ] || fail "$seconds seconds: $*"
  # No control character, whatever the names and the bytes were.
  ! LC_ALL=C tr -d '\n\t' <out | LC_ALL=C grep -qaP '[\x00-\x1f\x7f]|\xc2[\x80-\x9f]' || fail "a control character: $*"
}
fail() { failures=$((failures + 1)); echo "FAILED: $*"; head -c 600 out | head -5 | cat -v; }
sparse() { truncate -s 5G "$1"; }
"$MAKE_EXPORT" good audit.pem 20
device=00-DB-12-34-56-78-90-11
verify() { local codes=$1 regex=$2 path=$3; shift 3; expect "$codes" "$regex" verify "$path" --key audit.pem "$@"; }
verify 0 '^VERIFIED' good
"$AUDIT" verify good --key audit.pem --keep-head head.note >/dev/null
"$AUDIT" prove good --device $device --out good.bundle >/dev/null

# ---- the path itself, and the files beside it ----
mkfifo fifo; truncate -s 5G zeros; mkdir directory; ln -s /dev/zero link; ln -s good good-link
printf 'SQLite format 3\0' >short.db; (printf 'SQLite format 3\0'; head -c 4M /dev/zero) >zeros.db; cp short.db sparse.db; sparse sparse.db
(printf 'smets1-kms device history 1\n'; head -c 300K /dev/zero | tr '\0' x) >line.bundle
cp line.bundle sparse.bundle; sparse sparse.bundle
(sed '/^records /,$d' good.bundle; echo records 100000000; yes $'record 1\n{}\nproof 0' | head -c 60M) >many.bundle || true
for path in fifo /dev/zero /dev/tty /dev/stdin link; do verify 1 "can't be read|not an export|neither" $path; done
verify 0 '^VERIFIED' good-link
verify 1 'not an export' directory
verify 1 'neither' zeros
for path in short.db zeros.db sparse.db; do verify 4 '^FAILED' $path; done
verify 4 'FAILED: line 1 of the bundle' line.bundle
verify 1 'longer than' sparse.bundle
verify 4 'FAILED: line [0-9]+ of the bundle: more records' many.bundle
head -c 3M /dev/urandom >noise; (head -c 2M /dev/zero | tr '\0' a) >letters
# One FIFO after the other would take ten seconds each.
good=$PWD/good key=$PWD/audit.pem waits=()
waiting() {
  local name=$1; shift
  mkdir $name; (cd $name; mkfifo fifo; expect '1|4' 'fifo: .*nothing was written' "$@"; [ $failures -eq 0 ]) & waits+=($!)
}
waiting key verify "$good" --key fifo
waiting since verify "$good" --key "$key" --since fifo
waiting tsa verify "$good" --key "$key" --tsa fifo
waiting handovers verify "$good" --key "$key" --handovers fifo
waiting fleet report "$good" --key "$key" --fleet fifo --json report.json
for pid in "${waits[@]}"; do wait $pid || failures=$((failures + 1)); done
for input in /dev/zero zeros noise letters directory; do
  for option in --key --since --tsa; do
    expect 1 "$input: |can't be read|no certificate|not a checkpoint" verify good --key audit.pem $option $input
  done
  expect '1|4' "$input" verify good --key audit.pem --handovers $input
  expect 1 "$input" report good --key audit.pem --fleet $input --json report.json
  rm -rf report*
done
verify 0 '^VERIFIED' good --since <(cat head.note) --key <(sleep 0.2; cat audit.pem)
(printf '{"schema":'; head -c 900K /dev/zero | tr '\0' '['; echo) >deep.jsonl
expect 4 'deep.jsonl:1:' verify good --key audit.pem --handovers deep.jsonl
expect 4 'there is no checkpoint' verify good --key audit.pem --handovers /dev/null

# ---- an export in which one part is something else ----
parts=(manifest records/00000000.jsonl records/00000000.index nodes checkpoints maps/*0 maps/*.nodes)
cp good/records/00000000.jsonl line
(head -c 5M /dev/zero | tr '\0' a) >a-line
change() {  # NAME, then the command; the export is in bad/
  rm -rf bad; cp -r good bad; about=$1; shift; "$@"
}
for pattern in "${parts[@]}"; do
  part=$(cd good; echo $pattern)
  for shape in fifo socket /dev/zero directory link endless sparse empty noise; do
    rm -rf bad; cp -r good bad; was=$PWD/good/$part
    rm -f bad/$part
    case $shape in
      fifo) mkfifo bad/$part ;;
      socket) "$python" -c 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' bad/$part ;;
      /dev/zero) ln -s /dev/zero bad/$part ;;
      directory) mkdir bad/$part ;;
      link) ln -s "$was" bad/$part ;;
      endless) cp a-line bad/$part ;;
      sparse) sparse bad/$part ;;
      empty) : >bad/$part ;;
      noise) cp noise bad/$part ;;
    esac
    [ $shape = empty ] && [ ! -s good/$part ] && continue
    verify 4 "^FAILED: " bad
    [ $shape = fifo ] || [ $shape = sparse ] || continue
    expect '0|4|5' . show bad --head
    expect '0|4|5' . prove bad --device $device
  done
done
change 'a file too many' touch "bad/documents/$(printf 'x\033[2J\007\302\233\377')"; verify 4 'does not belong' bad
change 'many files' bash -c 'cd bad/documents; seq 5000 | xargs touch'; verify 4 'does not belong' bad
change 'deep' bash -c 'mkdir -p bad/$(printf "d/%.0s" {1..500})'; verify 4 'does not belong' bad
change 'many parts' bash -c 'seq 1000000 1140000 | sed "s/^/map /" >>bad/manifest'; verify 4 'FAILED: .*more than 131072 parts' bad
change 'a long manifest' bash -c 'yes "key 00000000" | head -c 70M >>bad/manifest'; verify 4 '^FAILED' bad
change 'huge numbers' sed -i 's/^head [0-9]*/head 9007199254740991/' bad/manifest; verify 4 '^FAILED' bad; expect '0|4' . prove bad --device $device

# ---- databases ----
sql() { sqlite3 -cmd "PRAGMA synchronous=OFF" "$1" "$2" >/dev/null; }
tables=$(sed -n '/R"sql(/,/)sql"/{//!p}' "$SCHEMA")
schema_changed='FAILED: the database is damaged: .*its schema was changed'
database() {  # CODES, REGEX, SQL behind our schema
  rm -f x.db*; sql x.db "$tables $3"
  verify "$1" "$2" x.db
  expect '0|1|4|5' . show x.db --from 0
  expect '0|1|4|5' . prove x.db --device $device
}
instead() {  # TABLE, SQL in its place
  database 4 "$schema_changed" "DROP TABLE $1; $2"
}
database 5 'INCONCLUSIVE' ''
wide=$(for i in $(seq 12); do echo -n ", g$i TEXT AS (g$((i - 1))||g$((i - 1)))"; done)
generated="(idx INTEGER PRIMARY KEY, g0 TEXT AS (hex(zeroblob(4000)))$wide, bytes TEXT AS (g12||g12), leaf BLOB AS (zeroblob(32)), previous INTEGER)"
instead record "CREATE TABLE record$generated; INSERT INTO record(idx) VALUES(0),(1),(2);"
instead record "CREATE TABLE record(idx INTEGER PRIMARY KEY, bytes TEXT AS (hex(zeroblob(100000000))), leaf BLOB, previous INTEGER); INSERT INTO record(idx) VALUES(0);"
endless='WITH RECURSIVE c(x) AS (SELECT 0 UNION ALL SELECT x+1 FROM c)'
instead record "CREATE VIEW record AS $endless SELECT x AS idx, hex(zeroblob(2000)) AS bytes, zeroblob(32) AS leaf, NULL AS previous FROM c;"
instead device_head "CREATE VIEW device_head AS $endless SELECT x AS device, 1 AS sequence, 0 AS record, zeroblob(32) AS leaf FROM c;"
instead setting "CREATE VIEW setting AS $endless SELECT 'audit.device_map' AS name, hex(zeroblob(100000000)) AS value FROM c;"
instead checkpoint 'CREATE VIRTUAL TABLE checkpoint USING fts5(size, note);'
instead node 'CREATE TABLE NODE(idx INTEGER PRIMARY KEY, hash BLOB AS (zeroblob(900000000)));'
database 4 "$schema_changed" 'CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM record; END;'
database 4 "$schema_changed" 'CREATE INDEX other ON record(hex(bytes));'
database 4 'FAILED: .*not a registry' 'DROP TABLE record;'
row="INSERT INTO record VALUES(0"
database 4 'longer than 4096' "$row,hex(zeroblob(9000000)),zeroblob(32),NULL);"
database 4 'FAILED: .*too big' "$row,zeroblob(80000000),zeroblob(32),NULL);"
database 4 '^FAILED' "$row,'x',zeroblob(30000000),NULL);"
database 4 '^FAILED' "$row,char(27)||']0;x'||char(7)||char(155),zeroblob(32),NULL);"
database 4 '^FAILED' "INSERT INTO record VALUES(9223372036854775807,'x',zeroblob(32),NULL);"
database 4 '^FAILED' "INSERT INTO record VALUES(-5,'x',zeroblob(32),-7);"
database '4|5' . "INSERT INTO checkpoint VALUES(1,1,zeroblob(20000000)); INSERT INTO setting VALUES('audit.device_map',zeroblob(20000000));"
database '4|5' . "$endless INSERT INTO setting SELECT 'audit.timestamp/'||x,hex(randomblob(40)) FROM c LIMIT 100000;"
rm -f x.db; sql x.db "PRAGMA encoding='UTF-16be'; PRAGMA page_size=512; $tables PRAGMA default_cache_size=2000000000; $row,'x',zeroblob(32),NULL);"
verify 4 '^FAILED' x.db
sql x.db 'PRAGMA journal_mode=WAL' # with something else for its log
for part in wal shm journal; do
  mkfifo x.db-$part; verify 4 'not a regular file' x.db; rm x.db-$part
  ln -s /dev/zero x.db-$part; verify 4 'not a regular file' x.db; rm x.db-$part
done
sparse x.db-wal; verify 4 '^FAILED' x.db; cp noise x.db-wal; verify 4 '^FAILED' x.db; rm -f x.db-*
python3 - <<'PY'  # bytes of pages, of a sound database
import random
good = open("x.db", "rb").read()
for n in range(12):
    bad = bytearray(good); r = random.Random(n)
    for _ in range(1 + 8 * n): bad[r.randrange(100, len(bad))] = r.randrange(256)
    open(f"pages{n}.db", "wb").write(bad)
PY
for n in $(seq 0 11); do verify '1|4|5' . pages$n.db; done
# Pages that lead to one page sixty times over, fifteen of them below each other: more rows than can ever be read.
rm -f x.db; sql x.db "PRAGMA page_size=512; $tables INSERT INTO setting VALUES('audit.device_map','1');
  $endless INSERT INTO record SELECT x,'x',zeroblob(32),NULL FROM c LIMIT 20; INSERT INTO checkpoint VALUES(1,5,readfile('head.note'));
  $endless INSERT INTO device_head SELECT x,1,0,zeroblob(32) FROM c LIMIT 1000;"
root=$(sqlite3 x.db "SELECT rootpage FROM sqlite_schema WHERE name='device_head'")
python3 - "$root" <<'PY'
import struct, sys
size = 512; data = bytearray(open("x.db", "rb").read()); root = int(sys.argv[1])
pages = [root] + list(range(len(data) // size - 18, len(data) // size - 3))
for page, child in zip(pages, pages[1:]):
    cells = b"".join(struct.pack(">I", child) + bytes([i]) for i in range(60))
    begin = size - len(cells)
    head = struct.pack(">BHHHBI", 5, 0, 60, begin, 0, child) + b"".join(struct.pack(">H", begin + 5 * i) for i in range(60))
    data[(page - 1) * size:page * size] = head + bytes(size - len(head) - len(cells)) + cells
open("x.db", "wb").write(data)
PY
expect 4 'FAILED: the database is damaged: .*interrupted' prove x.db --device $device
[ $failures -eq 0 ]
