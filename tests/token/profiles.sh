#!/usr/bin/env bash
# One shipped profile: a small fleet on SoftHSM that behaves as the profile says (tests/support/shim), from its import to
# destroyed keys; or, for a token that its profile refuses, the refusal. usage: profiles.sh PROFILE
shipped=$(cd "$(dirname "$0")/../../hsm-config/profiles" && pwd)/${1:-}.toml
. "$(dirname "$0")/../cli/lib.sh"
profile=${1:?usage: profiles.sh PROFILE}
# Profile; who enrols; what the shim makes of SoftHSM: what the token says of itself, and the vendor's ways.
case $profile in
  softhsm)      ENROLMENT=officer quirks= ;;
  luna)         ENROLMENT=plain quirks='token-info=SafeNet/LunaSA 7.8.4,vendor-key-wrap=0x80000170,value-len-required,own-gcm-iv' ;;
  nshield)      ENROLMENT=plain quirks='token-info=nCipher Corp. Ltd/,own-gcm-iv' ;;
  aws-cloudhsm) ENROLMENT=plain quirks='token-info=Cavium/AWS CloudHSM PKCS#11,vendor-key-wrap=0x80002109,no-copy,own-gcm-iv,throttle=11' ;;
  nss-softokn)  ENROLMENT=plain quirks='token-info=Mozilla Foundation/NSS 3' refusal='enforces neither EXTRACTABLE=F nor any template' ;;
  opencryptoki) ENROLMENT=plain quirks='token-info=IBM Corp./IBM SoftTok,no-mechanism=0x2109' refusal='no AES key wrap \(0x2109\), no AES-GCM, no AES-CMAC' ;;
  utimaco)      ENROLMENT=plain quirks='token-info=Utimaco IS GmbH/CryptoServer,vendor-key-wrap=0x80001234,session-cap=4' refusal='number of its key-wrap mechanism is not known' ;;
  yubihsm2)     ENROLMENT=plain quirks='token-info=Yubico (www.yubico.com)/YubiHSM' refusal='no AES key wrap for application keys, no AES-GCM' ;;
  nethsm)       ENROLMENT=plain quirks='token-info=Nitrokey GmbH/NetHSM' refusal='no C_WrapKey, no C_UnwrapKey' ;;
  unknown)      ENROLMENT=plain quirks='token-info=Acme/Vault 3' refusal='no profile fits token "kms-test" \(manufacturer "Acme", model "Vault 3"' ;;
  *) echo "no such profile: $profile"; exit 2 ;;
esac
setup_token "$SHIM"
export SHIM_QUIRKS=$quirks SHIM_LOG=$work/calls
configure() { sed -i "/^enrolment/a $1" kms.toml; }

refused() {  # REGEX
  rm -f calls
  expect_exit 1 kms doctor
  expect_output "fail +profile +.*$1"
  expect_output '^next: mend what failed'
  expect_exit 3 init_keys
  expect_one_line_error
  expect_error "$1"
  checks=$((checks + 1)); ! grep -q ' C_Login ' calls || fail "a PIN was tried on a token that can't serve"
  checks=$((checks + 1)); [ ! -e registry.db ] || fail "a registry was left behind"
}

# The whole way, once. What the meters hold is compared by challenge: of a GUEK only where the token takes our IV.
small_fleet() {  # PROFILE
  local pairs
  case_ "$1: doctor"
  expect_exit 1 kms doctor
  expect_output "ok +profile +$1, "
  expect_output '^next: smets1-kms (init|enrol)'
  case_ "$1: import"
  expect_exit 0 init_keys
  make_fleet 4 mfr
  expect_exit 0 import_fleet mfr
  meter --meters mfr/meters.csv
  expect_exit 0 kms doctor
  expect_output '^next: smets1-kms rotate --all'

  case_ "$1: rotate, confirm"
  for round in 1 2; do
    rm -f replies.jsonl
    expect_exit 0 rotate --all --out "transfers-$round.jsonl"
    deliver "transfers-$round.jsonl"
    expect_exit 0 kms confirm --replies replies.jsonl
    expect_at_rest
  done
  pairs=$(jq -r '.device_id + ":" + .role' transfers-2.jsonl)
  if grep -q 'own-gcm-iv' <<<"$quirks"; then
    case_ "$1: a GUEK can't answer a challenge"
    challenge_line "$(device 1)" guek >guek.challenge
    expect_exit 1 kms prove --challenges guek.challenge --out guek.proof
    expect_error "makes the IV of AES-GCM itself \(profile $1, .*prove the device's GAK"
    pairs=$(grep ':gak$' <<<"$pairs")
  fi
  # shellcheck disable=SC2086
  expect_token_and_meter_agree $pairs
  expect_no_repeats

  case_ "$1: a new KEK, and a GAK under it"
  expect_exit 0 rotate --device "$(device 2)" --role kek --out kek.jsonl
  rm -f replies.jsonl; deliver kek.jsonl; expect_exit 0 kms confirm --replies replies.jsonl
  admit_keks >/dev/null
  expect_exit 0 rotate --device "$(device 2)" --role gak --out gak.jsonl
  rm -f replies.jsonl; deliver gak.jsonl; expect_exit 0 kms confirm --replies replies.jsonl
  expect_token_and_meter_agree "$(device 2):gak"

  case_ "$1: destroy"
  expect_exit 0 kms retire --superseded "${WHO[@]}"
  expect_exit 0 kms destroy --deactivated --not-held "${WHO[@]}"
  expect_output "^[1-9][0-9]* keys destroyed"
  expect_at_rest
  expect_consistent
}

if [ -n "${refusal:-}" ]; then
  case_ "$profile is refused"
  refused "$refusal"
fi
case $profile in
  utimaco)  # as its page says: a copy of the profile, with the number from the vendor's header and a limit of the operator's
    case_ "a copy of the profile"
    sed 's/^usable = { value = "[^"]*"/usable = { value = "yes"/; s/^key_wrap = { value = "none"/key_wrap = { value = 0x80001234/; s/^gcm_iv_from_host = { value = false/gcm_iv_from_host = { value = true/;
         s/^max_sessions = { value = "none"/max_sessions = { value = 3/; s/^name = .*/name = "mine"/' "$shipped" >mine.toml
    configure 'profile = "mine.toml"'
    expect_exit 1 kms doctor
    expect_output 'ok +profile +mine, named by token.profile'
    expect_output 'warn +profile key_wrap +0x80001234 \(unverified: '
    expect_output 'ok +sessions +2 at most'
    small_fleet mine ;;
  unknown)
    case_ "named"
    configure 'profile = "softhsm"'
    small_fleet softhsm
    case_ "a profile that there is not"
    sed -i 's/^profile = .*/profile = "softhsn"/' kms.toml
    expect_exit 1 rotate --all; expect_one_line_error; expect_error 'token.profile: there is no profile "softhsn"; there are aws-cloudhsm, '
    sed -i 's/^profile = .*/profile = ""/' kms.toml
    expect_exit 1 kms status; expect_error 'kms.toml:[0-9]+:[0-9]+: token.profile: it is empty'
    sed -i 's/^profile = .*/profile = "softhsm"/' kms.toml ;;
  opencryptoki)
    case_ "nothing but a profile of another token: refused by name of the mechanism"
    configure 'profile = "softhsm"'
    expect_exit 1 kms doctor; expect_output 'fail +mechanisms +.*CKM_AES_KEY_WRAP'
    expect_exit 3 init_keys; expect_one_line_error; expect_error 'CKM_AES_KEY_WRAP'
    case_ "nor in a laboratory"
    sed -i '/^profile/d' kms.toml; configure 'protection = "none-for-testing"'
    refused "$refusal" ;;
  nss-softokn)
    case_ "in a laboratory"
    configure 'protection = "none-for-testing"'
    small_fleet nss-softokn ;;
  softhsm | luna | nshield | aws-cloudhsm)
    small_fleet "$profile"
    if [ "$profile" = aws-cloudhsm ]; then
      checks=$((checks + 1)); ! grep -q ' C_CopyObject 0x00000000' calls || fail "an object was copied"
      checks=$((checks + 1)); grep -qE ' 0x000000(06|30) ' calls || fail "nothing was throttled"
      case_ "a ceremony is throttled: no line of the file is blamed, nothing of it stays, and it can be run again"
      make_fleet 2 more --first-device 00-DB-12-34-56-78-FF-00
      export SHIM_QUIRKS=${quirks/throttle=11/throttle=2}
      expect_exit 3 import_fleet more
      expect_one_line_error
      expect_error 'the token failed: C_UnwrapKey: CKR_(FUNCTION_FAILED|DEVICE_ERROR)'
      expect_equal devices "$(devices)" 4
      export SHIM_QUIRKS=$quirks
      expect_exit 0 import_fleet more
      expect_consistent
    fi
    if [ "$profile" != softhsm ]; then
      case_ "no officer's enrolment where no officer can mark a key trusted"
      sed -i 's/^enrolment = .*/enrolment = "officer"/' kms.toml
      rm -f calls
      expect_exit 3 rotate --all; expect_one_line_error
      expect_error "needs a security officer who can mark a key trusted; by profile $profile \((documented|unverified)\) that is: (nobody|vendor-tool)"
      checks=$((checks + 1)); ! grep -q ' C_Login ' calls || fail "a PIN was tried"
      sed -i 's/^enrolment = .*/enrolment = "plain"/' kms.toml
    fi ;;
esac
case_
finish
