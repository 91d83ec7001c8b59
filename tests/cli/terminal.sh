#!/usr/bin/env bash
# Nothing that comes from outside steers the terminal: ESC, BEL, C1, bytes that are not UTF-8, marks that turn the direction
# of writing, in every input and name, of both commands, on both streams.
. "$(dirname "$0")/lib.sh"
AUDIT=${AUDIT:-$(dirname "$KMS")/smets1-audit}
setup_token
setup_fleet 3
bad=$(printf 'x\033[2J\033]0;t\007\302\233m\177\377\342\200\256y')
device=$(device 1)
expect_plain() {  # the words are run; out and err hold newlines and tabs, and no other control character
  run "$@"
  checks=$((checks + 1))
  local file
  for file in out err; do
    # A byte that is no part of UTF-8 text, C0, DEL, C1 (C2 80 to C2 9F), and U+202E.
    if ! iconv -f UTF-8 -t UTF-8 $file >/dev/null 2>&1 || tr -d '\n\t' <$file | LC_ALL=C grep -qaP '[\x00-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae'; then
      fail "a control character on $file: ${*:1:6}" | cat -v; head -c 300 $file | cat -v
    fi
  done
}
expect_seen() { expect_in err 'x.x1B'; }  # what was wrong is shown, escaped
case_ "options, names and words"
for form in "" --json; do
  expect_plain kms $form "$bad"
  expect_plain kms $form "--$bad"
  expect_plain kms $form help "$bad"
  expect_plain kms $form schema "$bad"
  expect_plain kms $form device show "$bad"
  expect_plain kms $form rotate --device "$bad" --reason operational "${WHO[@]}"
  expect_plain kms $form rotate --device "$device" --reason "$bad" "${WHO[@]}"
  expect_plain kms $form rotate --device "$device" --reason operational --requested-by "$bad" --authorised-by b --reference c
  expect_plain kms $form rotate --all --batch "$bad" --reason operational "${WHO[@]}"
  expect_plain kms $form rotate --file "$bad" --reason operational "${WHO[@]}"
  expect_plain kms $form confirm --replies "$bad"
  expect_plain kms $form device commission "$device" --at "$bad" "${WHO[@]}"
  expect_plain "$KMS" $form --config "$bad" status
  expect_plain kms $form device import "$bad" --signature "$bad.p7s"
  expect_plain kms $form export "$bad/$bad"
  expect_plain "$AUDIT" $form verify "$bad"
  expect_plain "$AUDIT" $form verify . --key "$bad"
  expect_plain "$AUDIT" $form show "$bad" --device "$bad"
  expect_plain "$AUDIT" $form "$bad"
done
expect_plain kms device show "$bad"; expect_seen
expect_plain "$AUDIT" verify "$bad"; expect_seen

case_ "lines of files"
printf '%s\n' "$bad" >lines
printf '{"device_id":"%s","%s":1}\n{"%s"\n' "$bad" "$bad" "$bad" >lines.jsonl
printf '{"transfer_id":"x\\u001b[2J\\u009b\\u0007","reply":"\\u001b"}\n' >escaped.jsonl
for file in lines lines.jsonl escaped.jsonl "$bad"; do
  [ "$file" != "$bad" ] || cp lines "$bad"
  expect_plain kms rotate --file "$file" --reason operational "${WHO[@]}"
  expect_plain kms confirm --replies "$file"
  expect_plain kms resolve --evidence-file "$file" "${WHO[@]}"
  expect_plain kms handover --received "$file"
  expect_plain kms prove --challenges "$file"
  expect_plain kms device commission --file "$file" "${WHO[@]}"
done
awk -F, -v OFS=, -v v="$bad" 'NR == 3 { $3 = v } 1' mfr/fleet.csv >bad.csv; sign bad.csv
expect_plain import_csv bad.csv mfr
expect_plain import_csv mfr/fleet.csv mfr --signature "$bad"

case_ "the configuration, and the token's label"
cp kms.toml good.toml
for line in "label = \"$bad\"" "$bad = 1" "[models.\"x\\u001b[2J\"]"; do
  { cat good.toml; printf '%s\n' "$line"; } >kms.toml; expect_plain kms status; expect_plain kms --json status
done
sed 's/EXAMPLE-E1/E\\u001b[2J\\u009b/' good.toml >kms.toml; expect_plain kms status; expect_plain kms doctor
sed 's/token=kms-test/token=x%1B[2J%9B/' good.toml >kms.toml; expect_plain kms doctor; expect_plain kms --json doctor
cp good.toml kms.toml
softhsm2-util --init-token --free --label "$(printf 'l\033[2J\302\233\377')" --pin "$PIN" --so-pin "$SO_PIN" >/dev/null 2>&1 || true
sed 's/token=kms-test/token=none/' good.toml >kms.toml; expect_plain kms doctor; expect_plain kms status; cp good.toml kms.toml

case_ "an export"
kms export out-dir >/dev/null; kms checkpoint >head.note; cp -r out-dir strange; touch "strange/documents/$bad"
pem=$(ls out-dir/keys/*.pem)
for form in "" --json; do
  expect_plain "$AUDIT" $form verify strange --key "$pem"
  expect_plain "$AUDIT" $form verify out-dir --key "$pem" --since lines
  expect_plain "$AUDIT" $form verify out-dir --key "$pem" --handovers lines.jsonl
  expect_plain "$AUDIT" $form report out-dir --key "$pem" --fleet lines --json "$bad.json"
done
sed -i "1s/\"host\":\"[^\"]*\"/\"host\":\"x$(printf '\033\\[2J\302\233')\"/" strange/records/00000000.jsonl; rm "strange/documents/$bad"
for form in "" --json; do
  expect_plain "$AUDIT" $form verify strange --key "$pem"
  expect_plain "$AUDIT" $form show strange --from 0
  expect_plain "$AUDIT" $form prove strange --device "$device"
done
# A witness's name and an extension line may hold such characters, but are not printed then.
sed "s/^— .*/&\n— w$(printf '\302\233')itness AAAAAAAAAAAA/" out-dir/checkpoints >strange/checkpoints
expect_plain "$AUDIT" show strange --head
finish
