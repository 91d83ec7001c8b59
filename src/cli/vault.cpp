// SPDX-License-Identifier: Apache-2.0
#include "cli/enrolment_options.hpp"

namespace smets1kms::cli {
namespace {

struct Rest {
  VaultKind keep;
  std::uint64_t in_token;
  std::vector<StorageUse> storage;
};

std::string_view class_of(const StorageUse& storage) {
  return storage.role == KeyRole::kek   ? "KEKs"
         : storage.role == KeyRole::gak ? "authentication keys"
                                        : "encryption keys";
}

const Fields<Rest>& vault_fields() {
  static const Fields<StorageUse> storage({{"storage_key", "its id, hex", &StorageUse::id},
                                           {"keys", "how many are under it", &StorageUse::keys},
                                           {"for", "what it is for", class_of}});
  static const Fields<Rest> all(
      "smets1-kms-vault-status-1", "Where the keys rest",
      {{"keep", "where new keys go: token or sealed",
        [](const Rest& r) { return r.keep == VaultKind::sealed ? "sealed" : "token"; }},
       {"in_token", "keys that rest in the token", &Rest::in_token},
       nested("storage", "storage keys that keys rest under", storage, &Rest::storage)});
  return all;
}
const Fields<ResealResult> reseal_fields(
    "smets1-kms-vault-reseal-1", "What 'vault reseal' did",
    {{"resealed", "keys that were wrapped anew", &ResealResult::resealed},
     {"destroyed_storage_keys", "older ones that no key was left under",
      &ResealResult::destroyed_storage_keys},
     {"failed", "keys that stay", [](const ResealResult& r) { return r.failures.size(); }}});
const Fields<bool> renew_fields("smets1-kms-vault-renew-1", "That 'vault renew' was done",
                                {{"renewed", "true", [](bool renewed) { return renewed; }}});

void show_vault(const Invocation& in) {
  const auto config = config_of(in);
  const auto fleet = Fleet::open(config);
  Rest rest{config.keep, fleet.keys_in_token(), {}};
  for_each_page<KeyId>(
      {}, [&](const auto& after, std::size_t most) { return fleet.storage(after, most); },
      &StorageUse::id, [&](const StorageUse& use) { rest.storage.push_back(use); });
  show(in, vault_fields(), rest, [&](std::ostream& out) {
    out << "new keys go   "
        << (rest.keep == VaultKind::sealed ? "to the sealed vault\n" : "into the token\n")
        << "in the token  " << rest.in_token << " keys\n";
    for (const auto& each : rest.storage)
      out << "sealed        " << each.keys << " " << class_of(each) << " under storage key "
          << each.id.to_string() << '\n';
  });
}

void renew_keys(const Invocation& in) {
  (void)authority_of(in);
  open_enrolment(in, config_of(in)).renew_storage_keys();
  show(in, renew_fields, true,
       [](std::ostream& out) { out << "new storage keys; next: smets1-kms vault reseal\n"; });
}

void reseal_keys(const Invocation& in) {
  const auto who = authority_of(in);
  const auto result = open_key_manager(in).reseal(who);
  for (const auto& failure : result.failures) in.console.warn(failure);
  show(in, reseal_fields, result, [&](std::ostream& out) {
    out << result.resealed << " keys wrapped anew, " << result.destroyed_storage_keys
        << " older storage keys destroyed, " << result.failures.size() << " keys left\n";
  });
  if (!result.failures.empty())
    throw Unsuccessful(Exit::failed, "not-resealed",
                       std::to_string(result.failures.size()) + " keys could not be wrapped anew");
}

}  // namespace

Command vault_status() {
  return {"vault status",
          "the sealed vault: how many keys rest under which storage key",
          "",
          R"(
How many keys rest in the token, and in the sealed vault by the storage key that they are wrapped
under. After 'vault renew' there are older ones among them; 'vault reseal', or under plain enrolment
the next rotations, empties those. A key stays where it is. After a change of vault.keep a registry
is moved by 'enrol FLEET.csv --move' (plain: 'device import --move'), which brings the KEKs over, by
rotating the other keys, and by destroying the old ones.)",
          {},
          show_vault,
          {vault_fields()}};
}

Command vault_renew() {
  return {"vault renew",
          "new storage keys: new keys go under them",
          "--requested-by ID --authorised-by ID --reference REF [--so-pin-source SOURCE]",
          R"(
Makes a new storage key of each class; new keys go under it from now on, the others stay where they
are until 'vault reseal'. Under the officer's enrolment it is his ceremony.)",
          joined({{so_pin_option()}, authority_options()}),
          renew_keys,
          {renew_fields}};
}

Command vault_reseal() {
  return {"vault reseal",
          "wrap every key under an older storage key anew, then destroy that",
          "--requested-by ID --authorised-by ID --reference REF",
          R"(
Opens every key that is under an older storage key in the token and wraps it under the newest; a
storage key that none is left under is destroyed, and with it whatever backups of the registry hold
under it. Each row is checked first; one that differs from the trail is reported and stays. Stopped
at any time, it goes on where it was when run again.)",
          authority_options(),
          reseal_keys,
          {reseal_fields}};
}

}  // namespace smets1kms::cli
