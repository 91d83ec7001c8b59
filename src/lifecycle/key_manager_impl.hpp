// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "lifecycle/context.hpp"

/// KeyManager's inside. Each operation is a member of KeyManager that the file of its name defines.
namespace smets1kms {

using namespace lifecycle;  // NOLINT: an operation's steps

struct KeyManager::Impl {
  /// Opens the registry and makes the context ready. `after_restore`: who takes a registry that is
  /// older than its anchors.
  Impl(const Config& config, Callbacks callbacks, vault::Pins pins, const Authority* after_restore);
  /// Records the map of the devices' last records, where it is due.
  ~Impl();
  Context context;
  Fleet fleet;
};

}  // namespace smets1kms
