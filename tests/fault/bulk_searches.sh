#!/usr/bin/env bash
# A bulk rotation looks for nothing per device: SoftHSM's search is linear, 317 ms at 10,000 objects.
. "$(dirname "$0")/../cli/lib.sh"
setup_token "$SHIM"
init_keys >/dev/null

count_of() { jq -r ".functions[\"$1\"] // 0" "$2"; }
searches=()
for fleet in 20 40; do  # 20 devices, then 40 more beside them: 60
  make_fleet $fleet "mfr$fleet" --first-device "00-DB-12-34-56-00-$fleet-00"
  import_fleet "mfr$fleet" >/dev/null
  for round in first second; do
    total=$(devices)
    case_ "$round rotation of $total devices"
    SHIM_COUNT_FILE=$work/counts expect_exit 0 rotate --all --role guek --role gak --out "t.$total.$round.jsonl"
    expect_equal "transfers" "$(wc -l <"t.$total.$round.jsonl")" $((2 * total))
    expect_equal C_GenerateKey "$(count_of C_GenerateKey counts)" $((2 * total))
    echo "$total devices, $round: $(jq -c '.functions | with_entries(select(.key | test("FindObj|GenerateKey|CopyObj|GetAttr|Login")))' counts)"
    searches+=("$(count_of C_FindObjectsInit counts) $(count_of C_FindObjects counts)")
    "$METER" --state "m.$fleet" --meters "mfr$fleet/meters.csv"
    # Only these rounds: an answer for each, without meters, so that the next rotation may begin.
    jq -c '{transfer_id, reply: "C701C10000"}' "t.$total.$round.jsonl" >replies.jsonl
    SHIM_COUNT_FILE=$work/counts expect_exit 0 kms confirm --replies replies.jsonl
    expect_equal "searches of a bulk confirm" "$(count_of C_FindObjectsInit counts)" 4  # the audit key, its public half, and the anchored head: read, replaced
  done
done
case_ "searches"
expect_equal "C_FindObjectsInit of 20, 20 again, 60, 60 again" "$(printf '%s\n' "${searches[@]}" | cut -d' ' -f1 | sort -u | wc -l)" 1
# One enumeration takes a call for each so many objects, not one a device.
most=$(printf '%s\n' "${searches[@]}" | cut -d' ' -f2 | sort -n | tail -1)
checks=$((checks + 1)); [ "$most" -le 16 ] || fail "$most calls of C_FindObjects in one rotation"

case_ "bulk destruction"
total=$(devices)
SHIM_COUNT_FILE=$work/counts expect_exit 0 kms destroy --deactivated "${WHO[@]}"
echo "destroyed: $(jq -c '.functions | with_entries(select(.key | test("FindObj|Destroy")))' counts)"
checks=$((checks + 1)); [ "$(count_of C_FindObjectsInit counts)" -le 7 ] || fail "$(count_of C_FindObjectsInit counts) searches to destroy $(count_of C_DestroyObject counts) keys"
expect_consistent
case_
finish
