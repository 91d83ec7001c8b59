#!/usr/bin/env bash
# scripts/bench in small: it runs, every figure is there and finite, and the bare loop makes the very calls that we make.
# What the figures are is for a machine that has nothing else to do. From CMake: BENCH, BENCH_BUILD.
set -euo pipefail
: "${BENCH:?} ${BENCH_BUILD:?}"
result=$(mktemp); trap 'rm -f "$result"' EXIT
"$BENCH" overhead latency threads growth check --quick --json "$result"
jq -e '
  def finite: type == "number" and . > 0 and . < 1e6;
  (.machine | type == "string") and (.date | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))
  and (.overhead | (keys == ["sealed", "sealed_target", "token", "token_target"]) and all(.[]; finite))
  and (.latency | (keys == ["1", "16", "4", "64"]) and all(.[]; finite))
  and (.threads["8"] | finite)
  and (.growth | (length == 3) and all(.[]; finite))
  and (.raw.growth | all(.[]; .open_ms, .peak_mib, .status_ms | finite))
  and (.check, .raw.check.peak_mib | finite)
  and (.raw.overhead | all(.[]; .same_calls))' "$result" >/dev/null || { echo "the result is not as it should be:"; cat "$result"; exit 1; }
