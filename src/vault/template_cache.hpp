// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <memory>

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
    for (const auto role : {KeyRole::kek, KeyRole::guek, KeyRole::gak})
      for (const auto suite :
           {SecuritySuite::suite_0, SecuritySuite::suite_1, SecuritySuite::suite_2})
        templates_.at(place(role, suite)) =
            std::make_unique<const Form>(role, suite, token_profile);
  }
  [[nodiscard]] const Form& of(KeyRole role, SecuritySuite suite) const {
    return *templates_.at(place(role, suite));
  }

 private:
  /// Returns the index of a form; a GBEK has that of a GUEK.
  static std::size_t place(KeyRole role, SecuritySuite suite) {
    return (role == KeyRole::kek   ? 0
            : role == KeyRole::gak ? 2
                                   : 1) *
               3 +
           static_cast<std::size_t>(suite);
  }
  std::array<std::unique_ptr<const Form>, 9> templates_;
};

}  // namespace smets1kms::vault
