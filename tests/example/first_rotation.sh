#!/usr/bin/env bash
# Pastes the README's first rotation by hand, line by line, into an interactive bash, and into zsh where it is installed.
# From CMake: PROGRAMS (directories, colons between them). KEEP=1 keeps the directory.
set -euo pipefail
: "${PROGRAMS:?}"
root=$(cd "$(dirname "$0")/../.." && pwd)
if ! command -v softhsm2-util >/dev/null; then echo "skipped: this test needs softhsm2"; exit 77; fi
base=${TEST_DIR:-/dev/shm}   # in memory: SoftHSM is ten times faster there
[ -d "$base" ] && [ -w "$base" ] || base=${TMPDIR:-/tmp}
work=$(mktemp -d "$base/smets1-readme.XXXXXX")
trap 'code=$?; cd /; [ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"; exit $code' EXIT

# The lines below the one that makes the token and opens the shell.
sed -n '/^## A first rotation by hand/,/^## /s/^    //p' "$root/README.md" | sed '1,/^scripts\/with-softhsm/d' >"$work/lines"
[ "$(wc -l <"$work/lines")" -ge 12 ] || { echo "README.md: the lines of a first rotation are not found"; exit 1; }
sed 's/$/\necho $? >>codes/' "$work/lines" >"$work/pasted"

shells=(bash); if command -v zsh >/dev/null; then shells+=(zsh); else echo "zsh is not installed: bash only"; fi
failed=0
for shell in "${shells[@]}"; do
  case $shell in bash) options=(--norc -i);; zsh) options=(-f -i);; esac
  "$root/scripts/with-softhsm" "$work/$shell" env PATH="$PROGRAMS:$PATH" "$shell" "${options[@]}" <"$work/pasted" >"$work/$shell.out" 2>&1 || true
  paste "$work/$shell/codes" "$work/lines" >"$work/$shell.codes"
  # doctor, the first command, finds that there is no registry yet.
  if grep -vE '^0	|^1	smets1-kms doctor$' "$work/$shell.codes"; then echo "$shell: these lines of README.md failed"; failed=1; fi
  grep -qE '(^| )7 confirmed' "$work/$shell.out" || { echo "$shell: not every key is confirmed"; failed=1; }
  grep -qE '(^| )[0-9A-F]{32}$' "$work/$shell.out" || { echo "$shell: openssl has not opened a key"; failed=1; }
  grep -q VERIFIED "$work/$shell.out" || { echo "$shell: the trail is not VERIFIED"; failed=1; }
  [ -s "$work/$shell/report.html" ] || { echo "$shell: there is no report"; failed=1; }
  [ "$failed" = 0 ] || { cat "$work/$shell.out"; exit 1; }
  echo "$shell: $(wc -l <"$work/lines") lines run as they stand in README.md"
done
