// SPDX-License-Identifier: Apache-2.0
#include "vault/orphans.hpp"

#include <algorithm>

#include "audit/record.hpp"
#include "base/text_reader.hpp"
#include "vault/objects.hpp"

namespace smets1kms::vault {

std::vector<Orphan> find_orphans(registry::Registry& registry, pkcs11::Pool& pool) {
  auto labels = pool.run([](pkcs11::Session& session) { return vault::own_keys(session); });
  // The token holds what fits into it, the registry more: its rows are visited and not kept.
  for (auto row = registry.database().query(
           "SELECT lower(hex(id)) FROM key UNION ALL SELECT lower(hex(id)) FROM target WHERE "
           "status=0");  // the public keys of those that are admitted
       row.step();)
    labels.erase(row.text(0));
  registry.for_each_setting("", [&](const std::string& value) {
    labels.erase(value);
  });  // settings name the token's own keys
  for (const auto& operation : registry.open_operations())
    for (const auto part : split(operation.detail, '\n'))
      labels.erase(std::string(part));  // the id of a key of the token's own
  std::vector<Orphan> orphans;
  for (auto& [id, label] : labels) orphans.push_back({id, audit::printable(label, 100)});
  return orphans;
}

std::string in_words(const std::vector<Orphan>& orphans) {
  constexpr std::size_t shown = 10;
  std::string text =
      std::to_string(orphans.size()) +
      (orphans.size() == 1 ? " key object in the token is" : " key objects in the token are") +
      " named by nothing in the registry";
  for (std::size_t i = 0; i < std::min(shown, orphans.size()); ++i)
    text += (i == 0 ? ": " : ", ") + orphans[i].label + " (" + orphans[i].id + ")";
  return text + (orphans.size() > shown ? ", …" : "");
}

}  // namespace smets1kms::vault
