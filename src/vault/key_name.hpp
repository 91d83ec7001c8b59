// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "smets1kms/types.hpp"
#include "vault/templates.hpp"

namespace smets1kms::vault {

/// Name of a device key, from which the name of its token object and its template follow.
struct KeyName {
  KeyId id;
  DeviceId device;
  KeyRole role;
  std::uint32_t generation;
  SecuritySuite suite;
  bool sent = false;  ///< a later KEK from its manufacturer's file: another one, or the same in the
                      ///< other vault
  /// Returns "smets1-kms/guek/00-DB-…/2", which binds the object to device, role and generation,
  /// for good (CKA_MODIFIABLE=F). No object is found by its label, and none is used that has
  /// another.
  [[nodiscard]] std::string label() const;
  /// True for a KEK that came by an unwrap: its manufacturer's, and under the officer's enrolment
  /// every one.
  [[nodiscard]] bool from_outside(EnrolmentMode mode) const {
    return role == KeyRole::kek && (generation == 1 || sent || mode == EnrolmentMode::officer);
  }
  /// Returns "key 7f3c… (guek 2 of 00-DB-…)".
  [[nodiscard]] std::string to_string() const;
};

}  // namespace smets1kms::vault
