// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "lifecycle/context.hpp"

/// Steps of opening, in their order.
namespace smets1kms::lifecycle {

/// Makes the context ready for operations: connects, requires what 'init' makes, recovers
/// operations that a process left open, records a sign of life where one is due. `after_restore`:
/// who takes a registry that is older than its anchors. Throws TokenUnavailable, StorageError.
void start(Context& context, const Authority* after_restore);

/// Logs the service's user in and makes the vault; compares the trail with its anchors; on first
/// use of a token, tests its protections; records the policy where it is another than before.
void connect(Context& context, std::shared_ptr<pkcs11::Module> module,
             const Authority* after_restore = nullptr);
/// Throws StorageError where 'init' has not ended: nothing is released before it is under a signed
/// head.
void require_signed_trail(const Context& context);
/// Throws StorageError where new keys are to be sealed and 'init' has not made the storage keys.
void require_storage_keys(const Context& context);
/// Has the vault look for the storage keys that the settings name. Throws TokenUnavailable naming
/// one that is not as it must be.
void use_storage_keys(Context& context);

}  // namespace smets1kms::lifecycle
