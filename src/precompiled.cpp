// SPDX-License-Identifier: Apache-2.0
// Compiled only so that CMake has a target that owns the precompiled header.
