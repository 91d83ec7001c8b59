#!/usr/bin/env bash
# The documents name what is there: every link, every path of the repository.
set -euo pipefail
cd "$(dirname "$0")/../.."
failed=0
fail() { echo "$*"; failed=1; }
documents=(*.md hsm-config/README.md src/audit/export.md tests/*/README.md)
for document in "${documents[@]}"; do
  directory=$(dirname "$document")
  # Links to files, without what follows #.
  for link in $(grep -oE '\]\([^)#]+' "$document" | cut -c3- | grep -v '^https:'); do
    [ -e "$directory/$link" ] || fail "$document: the link $link leads nowhere"
  done
  # Paths in backquotes from the root; a name in capitals, a star or three dots stand for others.
  for path in $(grep -oE '`(src|include|pkcs11|tests|scripts|hsm-config)/[^` ]+' "$document" | cut -c2- | grep -vE '[A-Z]{4}\.|\*|…' | sed 's/[.,:]$//'); do
    [ -e "$path" ] || fail "$document: there is no $path"
  done
done
[ "$failed" = 0 ] && echo "${#documents[@]} documents name what is there"
