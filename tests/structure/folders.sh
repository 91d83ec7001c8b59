#!/usr/bin/env bash
# Dependencies between folders run one way: each folder includes its own headers, the public ones, and
# those of the folders named here, which never name it back. usage: folders.sh [REPOSITORY]
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"
allowed='
smets1kms
base
pkcs11       base
dlms         base
policy       base
audit        base
registry     base audit
vault        base pkcs11 audit registry
trail        base pkcs11 audit registry policy vault
lifecycle    base pkcs11 audit registry policy vault trail dlms
report       base audit policy
command_line base
cli          command_line
audit_cli    command_line audit report registry
'
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }
while read -r folder others; do
  [ -n "$folder" ] || continue
  case $folder in
    smets1kms) directory=include/smets1kms;;
    pkcs11) directory=pkcs11;;
    *) directory=src/$folder;;
  esac
  [ -d "$directory" ] || { fail "$directory is not there"; continue; }
  for other in $others; do  # the table itself has no way round
    grep -qE "^$other( .*)? $folder( |$)" <<<"$allowed" && fail "$folder and $other name each other"
  done
  while IFS=: read -r file line text; do
    included=$(sed -E 's/.*#include "([^"]*)".*/\1/' <<<"$text")
    case " $folder smets1kms $others " in
      *" ${included%%/*} "*) ;;
      *) [ -f "${directory}/$included" ] || fail "$file:$line: $folder includes $included";;
    esac
  done < <(grep -rnE '^ *#include "' "$directory")
done <<<"$allowed"
# What the public headers show is theirs: no type of an inner namespace, of PKCS#11, SQL or JSON.
while IFS= read -r line; do fail "a public header names what is not public: $line"; done < <(
  grep -rnE '\b(pkcs11|vault|lifecycle|trail|registry|sqlite|audit|policy|nlohmann)::|namespace (pkcs11|vault|lifecycle|trail|registry|sqlite|audit|policy)\b|CK_[A-Z]|sqlite3' include/smets1kms || true)
# smets1-audit knows the public values only, and the one reader of a log in a database file.
while IFS= read -r line; do fail "audit_cli: $line"; done < <(
  { grep -rnE '#include "smets1kms/' src/audit_cli | grep -vE '"smets1kms/(types|errors|version)\.hpp"'
    grep -rnE '#include "registry/' src/audit_cli | grep -vE '"registry/database_log\.hpp"'; } || true)
# Every source file says its licence, and is short enough to be read.
while IFS= read -r file; do
  head -2 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || fail "$file has no SPDX line"
  lines=$(wc -l <"$file"); [ "$lines" -le 400 ] || fail "$file has $lines lines, more than 400"
done < <(find include src pkcs11 -name '*.[ch]pp')
[ "$failures" = 0 ] && echo "ok"
exit $((failures > 0))
