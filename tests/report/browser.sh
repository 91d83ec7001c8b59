#!/usr/bin/env bash
# The report in a real browser. From CMake: AUDIT, MAKE_SAMPLE, MODULES (where scripts/setup has put playwright-core and axe-core).
set -euo pipefail
: "${AUDIT:?} ${MAKE_SAMPLE:?} ${MODULES:?}"
for needed in chromium node; do command -v $needed >/dev/null || { echo "skipped: no $needed (scripts/setup installs it)"; exit 77; }; done
for module in playwright-core axe-core; do [ -d "$MODULES/$module" ] || { echo "skipped: no $module in $MODULES (scripts/setup installs it)"; exit 77; }; done
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
"$MAKE_SAMPLE" rich audit.pem list.csv
"$AUDIT" report rich --key audit.pem --fleet list.csv --html report.html --json report.json >/dev/null
"$AUDIT" report rich --html unverified.html --json unverified.json >/dev/null || [ $? -eq 5 ]
ln -s "$MODULES" node_modules
cp "$here/browser.mjs" .
node browser.mjs "${KEEP:-}"
