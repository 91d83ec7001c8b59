#!/usr/bin/env bash
# What is due, by when and by whose rule; at any moment; without a token; and the rotation that does it.
. "$(dirname "$0")/lib.sh"
setup_token
hours_ago() { date -u -d "@$(($(date +%s) - $1 * 3600))" +%Y-%m-%dT%H:%M:%SZ; }
setup_fleet 4 --commissioned-at "$(hours_ago 140)"   # of 168
due() { kms due "$@"; }

case_ "two days before the deadline, by the regulator's rule"
expect_exit 0 due
expect_equal "rows" "$(grep -c ' P1 .* due-soon ' out)" 4
expect_output "^$(device 1)  P1    SEC Appendix AT  +due-soon  +[-0-9T:.]+Z  1d [0-9]+h +guek: a rotation"
expect_output '^4 devices at .*: 4 not-applicable, .*4 due-soon'
expect_exit 0 kms --json due
expect_equal "JSON lines" "$(jq -s 'length' out)" 4
expect_equal "as JSON" "$(jq -s -r '.[0] | [.rule, .whose, .source, .edition, .status, .breach, .wanted, .roles[0]] | map(tostring) | join(" ")' out)" \
  "P1 regulator SEC Appendix AT sec-appendix-at due-soon false true guek"
expect_equal "both readings of the limit" "$(jq -s '.[0] | has("after_hours") and has("end_of_day") and (.deadline <= .after_hours)' out)" true
case_ "within"
expect_exit 0 due --within 3h
expect_output '^nothing is due'
expect_exit 0 due --within 2d
expect_equal "rows" "$(grep -c ' P1 ' out)" 4
for bad in 3 d 3w -1d '' 999999d; do expect_exit 2 due --within "$bad"; done
case_ "at another moment"
expect_exit 0 due --at "$(hours_ago 100)" --status pending
expect_equal "rows" "$(grep -c ' pending ' out)" 4
expect_exit 0 due --at "$(hours_ago 200)"
expect_output '^nothing is due'
expect_exit 0 due --at "$(hours_ago -48)"
expect_output ' overdue  .* -[0-9]'
expect_exit 7 due --at "$(hours_ago -48)" --fail-on overdue
expect_error 'duties are overdue \(--fail-on\)'
expect_output ' overdue  .* -[0-9]'
expect_exit 0 due --at "$(hours_ago -48)" --fail-on met-late --fail-on closed
expect_exit 7 due --at "$(hours_ago -48)" --fail-on closed --fail-on overdue
expect_exit 7 due --device "$(device 1)" --at "$(hours_ago -480)" --fail-on overdue
expect_exit 2 due --fail-on late
expect_exit 2 due --next 3 --fail-on overdue
expect_exit 2 due --at yesterday
expect_exit 2 due --status nonsense
expect_error 'not-applicable, exempt-unsupported'
case_ "look-ahead"
expect_exit 2 due --next 0
expect_exit 2 due --next -1
expect_exit 0 due --next 3
expect_equal "rows" "$(grep -c ' overdue ' out)" 3
expect_equal "the soonest first" "$(grep ' overdue ' out | sort | sha256sum)" "$(grep ' overdue ' out | sha256sum)"
expect_output "overdue +$(device 1) "
expect_exit 0 kms --json due --next 2
expect_equal "as JSON" "$(jq -s -r 'map(.becomes + " " + .duty.rule) | join(",")' out)" "overdue P1,overdue P1"
case_ "one device, with all that led there"
expect_exit 0 due --device "$(device 1)"
expect_output '^P1  SEC Appendix AT, edition sec-appendix-at'
expect_output '^  deadline  .*168 h.*end of day 7 in Europe/London'
expect_output '  commissioned, recorded 5 days late  \(record #[0-9]+\)'
expect_output '^P2  -, edition sec-appendix-at'
expect_exit 1 due --device 00-00-00-00-00-00-00-01
case_ "no token, no PIN, and a writer at work"
exec 9>>registry.db.lock; flock 9
mv token.pin elsewhere; expect_exit 0 due; mv elsewhere token.pin
exec 9>&-

case_ "a clock behind the trail is said, and nothing is called due by it"
cp registry.db kept.db
sqlite3 registry.db "UPDATE record SET bytes=replace(bytes, '\"time\":\"20', '\"time\":\"29') WHERE idx=(SELECT max(idx) FROM record)"
expect_exit 0 due
expect_error 'warning: the clock says .* last record is of 29'
expect_exit 0 due --at "$(hours_ago 0)"
expect_equal "no warning" "$(cat err)" ""
cp kept.db registry.db

case_ "doing it"
expect_exit 2 kms rotate --due --all "${WHO[@]}"
expect_exit 2 kms rotate --due --reason operational "${WHO[@]}"
expect_exit 0 kms rotate --due --within 1h --out none.jsonl "${WHO[@]}"
expect_output '^0 rotations: 0 transfers'
expect_exit 0 kms rotate --due --role guek --out first.jsonl "${WHO[@]}"
expect_output '^4 rotations: 4 transfers released; 0 refused'
expect_exit 0 kms rotate --due --out rest.jsonl "${WHO[@]}"
expect_equal "none of them twice" "$(jq -r '.role' rest.jsonl | grep -c guek || true)" 0
expect_exit 0 due
expect_output "guek: the device's answer"
cat first.jsonl rest.jsonl >transfers.jsonl
deliver transfers.jsonl
expect_exit 0 kms confirm --replies replies.jsonl
expect_exit 0 due
expect_output '^nothing is due'
expect_exit 0 due --status met
expect_equal "met" "$(grep -c ' met ' out)" 4
expect_equal "the reason in the trail" "$(sql "SELECT DISTINCT bytes->>'reason' FROM record WHERE bytes->>'op'='key.generate'")" post-commissioning
case_ "a rotation for a reason that the policy has not"
expect_exit 1 kms rotate --device "$(device 1)" --role gak --reason periodic "${WHO[@]}"
expect_error 'sec-appendix-at .*has no periodic replacement: give a justification'
expect_one_line_error
expect_exit 0 kms rotate --device "$(device 1)" --role gak --reason periodic --justification 'asked for by the network' "${WHO[@]}"
case_ "a laboratory's edition is in force alone"
printf 'version = 1\neditions = ["lab"]\n' >lab.toml
printf '[policy]\nsite = "lab.toml"\n' >>kms.toml
expect_exit 0 due --within 1m --at "$(hours_ago -2)"
expect_output ' P2    project rule .* overdue'
sed -i 's/"lab"/"lab", "nonsense"/' lab.toml
expect_exit 1 due
expect_error "lab.toml:2:.*'nonsense' is not an edition"
finish
