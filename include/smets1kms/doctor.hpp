// SPDX-License-Identifier: Apache-2.0
/// @file
/// Diagnosis of everything that an operation needs, which changes nothing.
#pragma once
#include <string>
#include <vector>

#include "smets1kms/callbacks.hpp"
#include "smets1kms/config.hpp"

namespace smets1kms {

struct Check {
  enum class Verdict { ok, warning, failure } verdict;
  std::string subject;  ///< "token", "PIN source"
  std::string finding;
  std::string remedy;  ///< what to do; empty where nothing is to be done
};
[[nodiscard]] std::string_view to_string(Check::Verdict verdict);

struct Diagnosis {
  std::vector<Check> checks;
  std::string next;  ///< the command to run now
  [[nodiscard]] bool failed() const;
};

/// Checks configuration, PIN source, module, p11-kit's logging, profile, token, mechanisms,
/// protections, registry, disk and clock. Makes one login attempt, or none where p11-kit would log
/// the PIN. Leaves out a check that an earlier failure makes impossible. Throws nothing of its own.
[[nodiscard]] Diagnosis diagnose(const Config& config, const Callbacks& callbacks = {});

}  // namespace smets1kms
