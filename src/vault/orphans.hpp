// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "pkcs11/pool.hpp"
#include "registry/registry.hpp"

namespace smets1kms::vault {

/// A key object of this product in the token that nothing in the registry names: after a restore, a
/// key that was made after the backup. A device may hold it.
struct Orphan {
  std::string id;     ///< its CKA_ID, hex
  std::string label;  ///< "smets1-kms/guek/00-DB-12-34-56-78-90-A0/2"
};
/// Enumerates the whole token; objects of a pair are one. Throws pkcs11::Error and
/// pkcs11::TokenUnavailable.
[[nodiscard]] std::vector<Orphan> find_orphans(registry::Registry& registry, pkcs11::Pool& pool);
/// Returns "3 key objects in the token are named by nothing in the registry: LABEL (ID), …", the
/// first ten.
[[nodiscard]] std::string in_words(const std::vector<Orphan>& orphans);
inline constexpr const char* orphan_remedy =
    "a device may hold such a key: rotate the devices that the labels name, resolve what stays in "
    "doubt, then have these objects destroyed with the token's "
    "own "
    "tool, by their id; nothing here does it";

}  // namespace smets1kms::vault
