// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "lifecycle/context.hpp"

/// Comparison of rows with the records of the log that they name, before a token call and before
/// anything is signed on top of them: a few reads, however long the log and a device's history are.
/// Each throws Refused (differs_from_trail) naming row, column and record.
namespace smets1kms::lifecycle {

/// True if the record with this index and leaf is under the last head, or of the transaction under
/// way.
using Prover = std::function<bool(std::uint64_t index, const registry::Hash& leaf)>;

/// True if the head of a device's chain, as the database has it, is the record that it names; also
/// of an unknown device, which has none.
[[nodiscard]] bool has_sound_head(Context& context, DeviceId device);
/// Compares a device's row with its registration, with the record that led to its status, and the
/// head of its chain with the record there.
void check_row(Context& context, const Device& device);
/// Compares a key's row with the records of its making and of its last change. `prover`: proves
/// both under the last head, for what can't be undone.
void check_row(Context& context, const Key& key, const Prover& prover = {});
/// Compares the newest row of each role, by which the next generation, and what is in doubt, are
/// judged.
void check_newest_rows(Context& context, std::span<const KeyRole> roles, std::span<const Key> keys);
/// Checks that by the log the key was wrapped for this target.
void check_handed(Context& context, const Key& key, const std::string& label);
/// Throws StorageError where the log does not say of the key with this CKA_ID, which a setting
/// names, that it was made as what the setting says. `detail`: of that record.
void check_token_key(Context& context, std::string_view operation, const std::string& id,
                     std::string_view detail = {});

}  // namespace smets1kms::lifecycle
