// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "cli/enrolment_options.hpp"

namespace smets1kms::cli {
namespace {

std::string_view class_of(const StorageUse& storage) {
  return storage.role == KeyRole::kek   ? "KEKs"
         : storage.role == KeyRole::gak ? "authentication keys"
                                        : "encryption keys";
}

}  // namespace

int vault_status(const Invocation& invocation) {
  (void)parse(invocation, "vault status",
              "How many keys rest in the token, and in the sealed vault by the storage key that "
              "they are wrapped under. After 'vault\n"
              "renew' there are older ones among them; 'vault reseal', or under plain enrolment "
              "the next rotations, empties those.\n"
              "A key stays where it is. After a change of vault.keep a registry is moved by 'enrol "
              "FLEET.csv --move' (plain:\n"
              "'device import --move'), which brings the KEKs over, by rotating the other keys, "
              "and by destroying the old ones.",
              {});
  const auto config = invocation.config();
  const auto fleet = Fleet::open(config);
  const auto storage = fleet.storage();
  const auto in_token = fleet.keys_in_token();
  if (invocation.json) {
    Json all = Json::array();
    for (const auto& each : storage)
      all.push_back(
          {{"storage_key", each.id.to_string()}, {"keys", each.keys}, {"for", class_of(each)}});
    std::cout << Json{{"keep", config.keep == VaultKind::sealed ? "sealed" : "token"},
                      {"in_token", in_token},
                      {"storage", all}}
                     .dump()
              << '\n';
    return 0;
  }
  std::cout << "new keys go   "
            << (config.keep == VaultKind::sealed ? "to the sealed vault\n" : "into the token\n");
  std::cout << "in the token  " << in_token << " keys\n";
  for (const auto& each : storage)
    std::cout << "sealed        " << each.keys << " " << class_of(each) << " under storage key "
              << each.id.to_string() << '\n';
  return 0;
}

int vault_renew(const Invocation& invocation) {
  options::options_description own;
  own.add_options()("so-pin-source", options::value<std::string>(),
                    "where the security officer's PIN comes from: file:PATH or fd:N");
  add_authority(own);
  const auto values = parse(
      invocation,
      "vault renew --requested-by ID --authorised-by ID --reference REF [--so-pin-source SOURCE]",
      "Makes a new storage key of each class; new keys go under it from now on, the others stay "
      "where they are until\n"
      "'vault reseal'. Under the officer's enrolment it is his ceremony.",
      own);
  const auto who = authority(values);
  ProgressLine line;
  Enrolment(invocation.config(), who, so_pin_source(values), callbacks(line)).renew_storage_keys();
  if (invocation.json)
    std::cout << Json{{"renewed", true}}.dump() << '\n';
  else
    std::cout << "new storage keys; next: smets1-kms vault reseal\n";
  return 0;
}

int vault_reseal(const Invocation& invocation) {
  options::options_description own;
  add_authority(own);
  const auto values =
      parse(invocation, "vault reseal --requested-by ID --authorised-by ID --reference REF",
            "Opens every key that is under an older storage key in the token and wraps it under "
            "the newest; a storage key that\n"
            "none is left under is destroyed, and with it whatever backups of the registry hold "
            "under it. Each row is checked\n"
            "first; one that is not as recorded is told and stays. Stopped at any time, it goes on "
            "where it was when run again.",
            own);
  const auto who = authority(values);
  ProgressLine line;
  auto kms = KeyManager::open(invocation.config(), callbacks(line));
  const auto result = kms.reseal(who);
  for (const auto& failure : result.failures) remark(failure);
  if (invocation.json)
    std::cout << Json{{"resealed", result.resealed},
                      {"destroyed_storage_keys", result.destroyed_storage_keys},
                      {"failed", result.failures.size()}}
                     .dump()
              << '\n';
  else
    std::cout << result.resealed << " keys wrapped anew, " << result.destroyed_storage_keys
              << " older storage keys destroyed, " << result.failures.size() << " keys left\n";
  return result.failures.empty() ? 0 : 1;
}

}  // namespace smets1kms::cli
