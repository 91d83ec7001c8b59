#!/usr/bin/env bash
# smets1-audit report as an assessor meets it. From CMake: AUDIT, MAKE_SAMPLE, MAKE_EXPORT.
set -euo pipefail
: "${AUDIT:?} ${MAKE_SAMPLE:?} ${MAKE_EXPORT:?}"
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
failures=0
fail() { failures=$((failures + 1)); echo "FAILED: $*"; }
expect() {  # EXIT CODE, REGEX of the output, COMMAND ...
  local code=0 expected=$1 regex=$2; shift 2
  "$@" >out 2>&1 || code=$?
  if [ "$code" -ne "$expected" ] || ! grep -qE -- "$regex" out; then fail "exit $code, expected $expected and /$regex/: $*"; head -5 out; fi
}
"$MAKE_SAMPLE" rich audit.pem list.csv

expect 0 '^usage: smets1-audit .*report' "$AUDIT" report --help
expect 2 'PATH' "$AUDIT" report --html r.html
expect 2 'where is the report to go' "$AUDIT" report rich --key audit.pem
expect 2 'at: .*zone' "$AUDIT" report rich --key audit.pem --html r.html --at 2026-11-01T10:00
expect 1 "can't be read" "$AUDIT" report nowhere --html r.html

expect 0 '^Not compliant: 3 devices are overdue' "$AUDIT" report rich --key audit.pem --fleet list.csv --html r.html --json r.json --csv r.csv
expect 1 'never overwritten' "$AUDIT" report rich --key audit.pem --html r.html
expect 0 '"compliant":false' "$AUDIT" --json report rich --key audit.pem --csv other.csv
[ "$(jq .numbers.devices r.json)" = 53 ] || fail "the JSON does not count 53 devices"
[ "$(jq -r .devices_file r.json)" = r-devices.jsonl ] || fail "the JSON does not name its lines"
[ "$(wc -l <r-devices.jsonl)" = 54 ] || fail "a line for each device, and one for the device on the list alone"
# All three from the same numbers: the page's, the lines' and the CSV's.
[ "$(jq -s '[.[] | select(any(.duties[]; .rule == "P1" and .status == "met"))] | length' r-devices.jsonl)" = "$(jq '.numbers["p1-met"]' r.json)" ] || fail "JSON lines and summary differ"
[ "$(awk -F, '$3 == "P1" && $7 == "met-late"' r.csv | wc -l)" = "$(jq '.numbers["p1-met-late"]' r.json)" ] || fail "CSV and summary differ"
[ "$(awk -F, '{ print NF }' r.csv | sort -u)" = 16 ] || fail "the CSV's lines have not 16 fields each"
[ "$(awk -F, '$3 == "P3" && $4 != "project"' r.csv | wc -l)" = 0 ] || fail "a project rule is shown as the regulator's"
[ "$(jq -c '[.handovers.version, (.handovers.targets[] | [.target, .status, .keys.gak.count])]' r.json)" = '[1,["head-end/1","renewed",27],["head-end/2","admitted",4],["dco/1","compromised",1]]' ] || fail "the JSON does not say who holds which keys"
grep -q 'head-end/2<br>' r.html || fail "the page does not say who holds which keys"
! grep -q '<script\|src=\|http' r.html || fail "the page has a script or asks for something"
! grep -q '<ref 123>\|<ignored>' r.html || fail "a text from the trail is not escaped"
grep -q 'SEC Panel &lt;ref 123&gt;' r.html || fail "the deviation is not shown"

expect 5 'INCONCLUSIVE: missing: a public audit key' "$AUDIT" report rich --html unverified.html
[ "$(grep -c 'Nothing on this page is proved' unverified.html)" = 1 ] || fail "an unverified page does not say so"
cp -r rich changed; sed -i '100s/dco:ops-7/dco:ops-8/' changed/records/00000000.jsonl
expect 4 '^FAILED: record 99: its bytes' "$AUDIT" report changed --key audit.pem --html failed.html
grep -q 'only 99 of 504 records' failed.html || fail "a failed page does not say how far it got"
expect 0 'as of 2021-01-01.* 3 devices' "$AUDIT" report rich --key audit.pem --html then.html --at 2021-01-01T00:00:00Z
grep -q 'later records are passed over' then.html || fail "what is passed over is not counted"
expect 0 'as of 2027' "$AUDIT" report rich --key audit.pem --html later.html --at 2027-01-01T00:00:00Z
grep -q 'The trail ends at' later.html || fail "a moment behind the trail's end is not said"

printf 'device_id,kind,commissioned_at\n00-DB,ESME,2026-01-01T00:00Z\n<b>,ESME,2026-01-01T00:00Z\n' >bad.csv
expect 1 'bad.csv:3: ' "$AUDIT" report rich --key audit.pem --fleet bad.csv --html bad.html
[ ! -e bad.html ] || fail "a refused list leaves a page"

# A large fleet: pages beside the report, every link goes somewhere.
"$MAKE_EXPORT" large large.pem 2100 registered
expect 0 '^Compliant' "$AUDIT" report large --key large.pem --html large.html --json large.json
[ "$(find large-devices -name 'records-*.html' | wc -l)" = 3 ] || fail "2100 devices are not on three pages"
[ "$(find large-devices -name 'p1-met-*.html' | wc -l)" = 3 ] || fail "the list of 2100 is not on three pages"
[ "$(cat large-devices/p1-met-*.html | grep -c '<li><a class="id"')" = "$(jq '.numbers["p1-met"]' large.json)" ] || fail "the list's pages have not all devices"
[ "$(stat -c %s large.html)" -lt 500000 ] || fail "the summary of a large fleet is too long to read"
for page in large.html large-devices/*.html; do
  grep -oE 'href="[^"#]+' "$page" | cut -c7- | { grep -v ^data: || true; } | sort -u | while read -r link; do [ -e "$(dirname "$page")/$link" ] || echo "$page: $link"; done
done >dead; [ ! -s dead ] || { fail "dead links:"; head -3 dead; }
link=$(grep -m1 -oE 'records-00002.html#d-[0-9A-F]+' large-devices/p1-met-00002.html)
grep -q "id=\"${link#*#}\"" "large-devices/${link%#*}" || fail "$link goes nowhere"
expect 1 'never overwritten' "$AUDIT" report large --key large.pem --html "$work/large.html"
rm large.html; expect 1 'large-devices is there already' "$AUDIT" report large --key large.pem --html large.html
[ $failures -eq 0 ]
