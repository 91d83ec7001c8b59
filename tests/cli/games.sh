#!/usr/bin/env bash
# An overdue fleet that is to look compliant: by facts dated back, by leaving and coming back, by dates that lie ahead, by a
# deviation that begins in the past, by a clock that is set back. Each is judged "Not compliant", or named in the headline.
# Package: faketime.
. "$(dirname "$0")/lib.sh"
: "${AUDIT:?}"
command -v faketime >/dev/null || skip "faketime is not installed"
ago() { local days=$1; shift; faketime -f "-${days}d" "$@"; }          # a command, as of DAYS ago
kms_ago() { local days=$1; shift; ago "$days" "$KMS" --config kms.toml "$@"; }
day() { date -u -d "$1 days ago" +%Y-%m-%dT%H:%M:%SZ; }
setup_token
# Imported 40 days ago, commissioned 42 days ago: due 35 days ago.
kms_ago 40 init "${OFFICER[@]}" "${WHO[@]}" >/dev/null
ago 40 "$MANUFACTURER" --public-key transport-import.pem --devices 1 --out mfr --transport-name mfr-a-2026 --identity maker >/dev/null
cp maker/manufacturer.pem manufacturers.pem
awk -F, -v OFS=, -v at="$(day 42)" 'NR > 1 { $7 = at } 1' mfr/fleet.csv >dated.csv
mv dated.csv mfr/fleet.csv
ago 40 openssl cms -sign -binary -md sha256 -outform DER -in mfr/fleet.csv -signer maker/manufacturer.pem -inkey maker/manufacturer.key.pem -out mfr/fleet.csv.p7s
kms_ago 40 device import mfr/fleet.csv --signature mfr/fleet.csv.p7s --transport-key mfr-a-2026=mfr/mfr-a-2026.key.bin "${OFFICER[@]}" "${WHO[@]}" >/dev/null
"$METER" --state meters.state --meters mfr/meters.csv
one=$(device 1)
save_state
cp kms.toml plain.toml

begin() { case_ "$1"; restore_state; cp plain.toml kms.toml; rm -rf trail report* t.jsonl replies.jsonl; }
# The report of the trail as it stands now.
headline() {
  expect_exit 0 kms checkpoint
  expect_exit 0 kms export trail --key audit.pem
  expect_exit 0 "$AUDIT" report trail --key audit.pem --html report.html --json report.json
  jq -r '[.. | .headline? // empty] | first' report.json >headline
}
not_compliant() {
  headline
  expect_in headline '^Not compliant: 1 device is overdue'
  expect_exit 0 kms due
  expect_output "$one .*overdue"
}

begin "nothing is done"
not_compliant

begin "in time"
kms_ago 39 rotate --reason post-commissioning --all --out t.jsonl "${WHO[@]}" >/dev/null
deliver t.jsonl
expect_exit 0 kms_ago 39 confirm --replies replies.jsonl
headline
expect_in headline '^Compliant: no regulator.s duty is overdue'

begin "decommissioned and recommissioned, both dated back"
expect_exit 0 kms device decommission "$one" --at "$(day 36)" "${WHO[@]}"
expect_exit 0 kms device recommission "$one" --at "$(day 2)" "${WHO[@]}"
not_compliant
expect_in report.json 'recorded [0-9]+ days late'

begin "gone and back every six days"
for days in 36 30 24 18 12 6 1; do
  expect_exit 0 kms_ago "$days" device decommission "$one" --at "$(day "$days")" "${WHO[@]}"
  expect_exit 0 kms_ago "$days" device recommission "$one" --at "$(day "$days")" "${WHO[@]}"
done
not_compliant

begin "commissioned in the future"
make_fleet 1 shelf --first-device 00-DB-12-34-56-78-A0-00
awk -F, -v OFS=, 'NR > 1 { $7 = "" } 1' shelf/fleet.csv >dated.csv; mv dated.csv shelf/fleet.csv; sign shelf/fleet.csv
expect_exit 0 import_fleet shelf
expect_exit 1 kms device commission 00-DB-12-34-56-78-A0-00 --at "$(day -30)" "${WHO[@]}"
expect_error 'lies ahead'
make_fleet 1 ahead --first-device 00-DB-12-34-56-78-B0-00
awk -F, -v OFS=, -v at="$(day -30)" 'NR > 1 { $7 = at } 1' ahead/fleet.csv >dated.csv; mv dated.csv ahead/fleet.csv; sign ahead/fleet.csv
expect_exit 1 import_fleet ahead
expect_error 'ahead'
not_compliant

begin "a deviation that begins in the past"
printf '[policy]\nsite = "site.toml"\n' >>kms.toml
deviation() {  # AUTHORISED_BY
  printf 'version = 1\neditions = ["s1sr-15-month", "sec-appendix-at"]\n[[adjust]]\nedition = "sec-appendix-at"\nrule = "P1"\nwithin = "60 days"\nfrom = %s\nuntil = %s\nwho = "SEC Panel"\nauthorised_by = "%s"\nwhy = "storm"\n' \
    "$(date -u -d '50 days ago' +%Y-%m-%dT%H:%M:%S)" "$(date -u -d 'next month' +%Y-%m-%dT%H:%M:%S)" "$1" >site.toml
}
deviation 'sec panel'
expect_exit 1 kms checkpoint
expect_error 'a deviation needs two'
deviation 'head of security'
not_compliant

begin "the clock set back for one rotation"
expect_exit 0 kms_ago 1 checkpoint
expect_exit 0 kms_ago 38 rotate --reason post-commissioning --all --out t.jsonl "${WHO[@]}"
deliver t.jsonl
expect_exit 0 kms_ago 38 confirm --replies replies.jsonl
headline
expect_in headline 'the clock was set, or nothing was recorded for longer than promised, while duties of 1 device ran'
case_
finish
