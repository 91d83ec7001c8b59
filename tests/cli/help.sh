#!/usr/bin/env bash
# Help and wrong usage: nothing is needed for them, no configuration, no token.
. "$(dirname "$0")/lib.sh"

declare -A options=(
  [init]="public-key so-pin-source handover certificate fingerprint roles before-transfer retire-handover requested-by authorised-by reference"
  [enrol]="file signature transport-key so-pin-source public-key handover certificate fingerprint roles before-transfer retire-handover requested-by authorised-by reference operation-id"
  [doctor]=""
  ["device import"]="file signature transport-key so-pin-source requested-by authorised-by reference operation-id"
  ["device list"]=""
  ["device show"]="trail"
  ["device suspend"]="device at requested-by authorised-by reference operation-id"
  ["device resume"]="device at requested-by authorised-by reference operation-id"
  ["device commission"]="device at file requested-by authorised-by reference operation-id"
  ["device decommission"]="device at requested-by authorised-by reference operation-id"
  ["device recommission"]="device at requested-by authorised-by reference operation-id"
  [due]="within at next device status"
  [rotate]="device file all due missing-handover within role reason justification out handover-out batch resume together under-proven-kek requested-by authorised-by reference operation-id"
  [transfer]="transfer batch out"
  [handover]="received out target device file all batch handover-out"
  [confirm]="transfer reply result invoke-byte no-answer replies"
  [resolve]="device role generation holds evidence evidence-file requested-by authorised-by reference operation-id"
  [retire]="device role generation superseded file requested-by authorised-by reference operation-id"
  [destroy]="device role generation deactivated not-held file requested-by authorised-by reference operation-id"
  [compromise]="device role generation token target suspicion requested-by authorised-by reference operation-id"
  [status]="device batches"
  [prove]="challenges out"
  [check]="no-token"
  [checkpoint]="new-key after-restore requested-by authorised-by reference"
  [export]="key"
  [help]=""
  [schema]="directory"
  ["vault status"]=""
  ["vault renew"]="so-pin-source requested-by authorised-by reference"
  ["vault reseal"]="requested-by authorised-by reference"
)
for help in --help -h; do
  expect_exit 0 "$KMS" $help
  expect_output 'Exit: 0 done; 1 refused or failed; 2 wrong usage; 3 token unavailable'
done
cp out overview
for command in "${!options[@]}"; do
  case_ "$command --help"
  expect_in overview "^  $command +[a-z]"
  for form in "$command --help" "$command -h" "--json $command --help" "--config nowhere.toml $command --help"; do
    # shellcheck disable=SC2086
    expect_exit 0 "$KMS" $form
    expect_output "^usage: smets1-kms .*$command"
    expect_equal "on standard error" "$(cat err)" ""
  done
  for option in ${options[$command]}; do expect_output "^ +(-[a-z] \[ )?--$option( |$)"; done
done
case_ "every command is known to this test"
expect_equal commands "$(sed -n 's/^  \([a-z][a-z ]*[a-z]\)   *[a-z].*/\1/p' overview | sort | tr '\n' ';')" "$(printf '%s\n' "${!options[@]}" | sort | tr '\n' ';')"

case_ "wrong usage"
usage() {
  expect_exit 2 "$KMS" "$@"
  expect_error '^smets1-kms: '
  expect_equal "on standard output" "$(cat out)" ""
}
usage
usage nonsense
usage device
usage device nonsense
usage --nonsense
usage --config
usage status --nonsense
usage status surplus
usage rotate --all --reason  # its value is missing
usage device show            # the device is missing
usage device import --nonsense
usage retire "${WHO[@]}"
usage retire --superseded --device 00-DB-12-34-56-78-90-A0 "${WHO[@]}"
usage destroy "${WHO[@]}"
usage destroy --deactivated --device 00-DB-12-34-56-78-90-A0 "${WHO[@]}"
usage destroy --device 00-DB-12-34-56-78-90-A0 --role gak "${WHO[@]}"  # which generation?
usage destroy --device 00-DB-12-34-56-78-90-A0 --role gak --generation one "${WHO[@]}"
usage destroy --device 00-DB-12-34-56-78-90-A0 --role gak --generation -1 "${WHO[@]}"
usage confirm
usage confirm --transfer 00-DB-12-34-56-78-90-A0/1
usage confirm --transfer 00-DB-12-34-56-78-90-A0/1 --reply C701C10000 --no-answer
usage confirm --replies a --transfer 00-DB-12-34-56-78-90-A0/1 --no-answer
usage resolve --device 00-DB-12-34-56-78-90-A0 --role gak --generation 1 --holds perhaps --evidence x "${WHO[@]}"
usage init
usage init --requested-by s1sp:ops-1 --authorised-by dco:ops-7
for missing in requested-by authorised-by reference; do
  who=()
  for name in requested-by authorised-by reference; do [ $name = $missing ] || who+=("--$name" x-$name); done
  usage rotate --all --reason operational "${who[@]}"
  expect_error "$missing is missing"
done
usage rotate --all "${WHO[@]}"
expect_error "reason is missing"

case_ "no configuration"
expect_exit 1 "$KMS" status
expect_one_line_error
expect_error "kms.toml: can't be read.*--config"
case_
finish
