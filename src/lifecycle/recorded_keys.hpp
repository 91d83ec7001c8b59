// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>

#include "lifecycle/context.hpp"

/// What the registry and the token hand out once more, compared with what the trail recorded when
/// it was made. That shows a row or an object that was changed alone; a record that was rewritten
/// with it is shown by 'smets1-audit verify', because the heads of the trail are signed in the
/// token.
namespace smets1kms::lifecycle {

/// SHA-256 of a blob, hex, as records have it.
[[nodiscard]] std::string digest_of_bytes(ByteView bytes);
/// The key wrapped for its device, as the operation that made it recorded it (length and SHA-256).
/// Throws Refused ("not-as-recorded").
[[nodiscard]] Bytes wrapped_checked_against_trail(Context& context, const Key& key);
/// A KEK that waits for the officer, under the enrolment key, likewise.
[[nodiscard]] Bytes waiting_checked_against_trail(Context& context, const Key& kek);
/// A key and where it rests; of a sealed one the blob, as the operation that sealed it recorded it,
/// likewise.
[[nodiscard]] vault::KeyAtRest at_rest_checked_against_trail(Context& context, const Key& key,
                                                             SecuritySuite suite);

/// The import key's public half, PEM, as `look` has it from the token (pkcs11::Error where the pair
/// is not as it must be). Throws Refused ("import-key-replaced"), recorded, where the pair is not
/// the one that was made here.
std::string import_key_checked_against_trail(Context& context, const trail::AuditContext& act,
                                             const std::function<std::string(const KeyId&)>& look);

}  // namespace smets1kms::lifecycle
