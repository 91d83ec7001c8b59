// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <doctest/doctest.h>

#include <string>

#include "support/test_token.hpp"

using namespace pkcs11;

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

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// For messages of a failed CHECK.
template <>
struct doctest::StringMaker<std::vector<std::string>> {
  static String convert(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += "\n  " + line;
    return {text.data(), static_cast<unsigned>(text.size())};
  }
};

/// A session key of the AES family, with nothing allowed yet.
inline Template aes_key() {
  return Template()
      .add(attr::object_class, CKO_SECRET_KEY)
      .add(attr::key_type, CKK_AES)
      .add(attr::token, false)
      .add(attr::private_, true);
}

/// Clear keys go into the token in tests only.
inline Template clear_key(const std::string& hex) {
  return aes_key()
      .add(attr::value, from_hex(hex))
      .add(attr::sensitive, false)
      .add(attr::extractable, true);
}
