// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <utility>

#include "smets1kms/types.hpp"
#include "vault/templates.hpp"

namespace smets1kms::vault {

/// Cache of what is the same for all keys of one role and suite: building and checking a template
/// takes as long as some of the token's calls. A Form is made from (KeyRole, SecuritySuite, const
/// TokenProfile&).
template <class Form>
class TemplateCache {
 public:
  explicit TemplateCache(const TokenProfile& token_profile) {
    for (const auto role : all_roles)
      for (const auto suite :
           {SecuritySuite::suite_0, SecuritySuite::suite_1, SecuritySuite::suite_2})
        templates_.try_emplace({role, suite}, role, suite, token_profile);
  }
  [[nodiscard]] const Form& of(KeyRole role, SecuritySuite suite) const {
    return templates_.at({role, suite});
  }

 private:
  std::map<std::pair<KeyRole, SecuritySuite>, const Form> templates_;
};

}  // namespace smets1kms::vault
