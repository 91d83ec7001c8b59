// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "smets1kms/errors.hpp"

/// What a test says of a refusal.
namespace test {

/// The message of the exception of type E that `work` throws; empty where it throws none.
template <class E, class Work>
std::string message_of(Work work) {
  try {
    work();
  } catch (const E& error) {
    return error.what();
  }
  return {};
}

/// The rule by which `work` is refused; empty where it is done.
template <class Work>
std::string rule_of(Work work) {
  try {
    work();
  } catch (const smets1kms::Refused& refusal) {
    return std::string(refusal.reason());
  }
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace test
