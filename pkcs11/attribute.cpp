// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/attribute.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <type_traits>

#include "base/one_of.hpp"
#include "pkcs11/error.hpp"
#include "pkcs11/secret.hpp"

namespace pkcs11 {

namespace {

std::string hex(ByteView bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

/// True for attributes whose value is the secret of a key.
bool holds_key_material(CK_ATTRIBUTE_TYPE type) {
  return smets1kms::is_one_of(type, CKA_VALUE, CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2,
                              CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT);
}

/// The values that have a name, each with the attribute that holds it.
struct NamedValue {
  CK_ATTRIBUTE_TYPE type;
  CK_ULONG value;
  const char* name;
};
constexpr NamedValue named_values[] = {
    {CKA_CLASS, CKO_DATA, "CKO_DATA"},
    {CKA_CLASS, CKO_CERTIFICATE, "CKO_CERTIFICATE"},
    {CKA_CLASS, CKO_PUBLIC_KEY, "CKO_PUBLIC_KEY"},
    {CKA_CLASS, CKO_PRIVATE_KEY, "CKO_PRIVATE_KEY"},
    {CKA_CLASS, CKO_SECRET_KEY, "CKO_SECRET_KEY"},
    {CKA_KEY_TYPE, CKK_RSA, "CKK_RSA"},
    {CKA_KEY_TYPE, CKK_EC, "CKK_EC"},
    {CKA_KEY_TYPE, CKK_GENERIC_SECRET, "CKK_GENERIC_SECRET"},
    {CKA_KEY_TYPE, CKK_AES, "CKK_AES"},
    {CKA_KEY_TYPE, CKK_SHA256_HMAC, "CKK_SHA256_HMAC"},
};

std::string number(CK_ATTRIBUTE_TYPE type, CK_ULONG value) {
  for (const auto& each : named_values)
    if (each.type == type && each.value == value) return each.name;
  return type == CKA_KEY_GEN_MECHANISM ? mechanism_name(value) : std::to_string(value);
}

std::string join(const Mechanisms& mechanisms) {
  std::string text;
  for (const CK_MECHANISM_TYPE type : mechanisms)
    text += (text.empty() ? "" : ",") + mechanism_name(type);
  return "[" + text + "]";
}

template <class T>
Bytes native(const T* values, std::size_t count) {
  Bytes bytes(count * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values, bytes.size());
  return bytes;
}

Bytes encode(const Template::Value& value) {
  return std::visit(
      [](const auto& held) -> Bytes {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, bool>)
          return {static_cast<CK_BBOOL>(held ? CK_TRUE : CK_FALSE)};  // CK_BBOOL is one byte
        else if constexpr (std::is_same_v<T, CK_ULONG>)
          return native(&held, 1);
        else if constexpr (std::is_same_v<T, Mechanisms>)
          return native(held.data(), held.size());
        else if constexpr (std::is_same_v<T, std::vector<Template>>)
          return {};  // kept as a RawTemplate of its own
        else
          return Bytes(held.begin(), held.end());
      },
      value);
}

}  // namespace

Template& Template::put(CK_ATTRIBUTE_TYPE type, Value value, bool replace) {
  const auto existing = std::ranges::find(entries_, type, &Entry::type);
  if (existing == entries_.end())
    entries_.push_back({type, std::move(value)});
  else if (replace)
    existing->value = std::move(value);
  else
    throw std::logic_error(attribute_name(type) + " is in the template already");
  return *this;
}

const Template::Value* Template::find(CK_ATTRIBUTE_TYPE type) const {
  const auto found = std::ranges::find(entries_, type, &Entry::type);
  return found == entries_.end() ? nullptr : &found->value;
}

std::string value_to_string(const Template::Entry& entry) {
  return std::visit(
      [&](const auto& held) -> std::string {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, bool>)
          return held ? "true" : "false";
        else if constexpr (std::is_same_v<T, CK_ULONG>)
          return number(entry.type, held);
        else if constexpr (std::is_same_v<T, std::string>)
          return '"' + held + '"';
        else if constexpr (std::is_same_v<T, Mechanisms>)
          return join(held);
        else if constexpr (std::is_same_v<T, Bytes>)
          return holds_key_material(entry.type) ? "(" + std::to_string(held.size()) + " bytes)"
                                                : hex(held);
        else
          return "{" + held.front().to_string() + "}";
      },
      entry.value);
}

std::string Template::to_string() const {
  std::string text;
  for (const Entry& entry : entries_)
    text += (text.empty() ? "" : " ") + attribute_name(entry.type) + "=" + value_to_string(entry);
  return text;
}

RawTemplate::RawTemplate(const Template& source) {
  attributes_.reserve(source.entries().size());
  for (const auto& [type, value] : source.entries()) {
    if (const auto* nested = std::get_if<std::vector<Template>>(&value)) {
      RawTemplate& inner = nested_.emplace_back(nested->front());
      attributes_.push_back(
          {type, inner.data(), static_cast<CK_ULONG>(inner.size() * sizeof(CK_ATTRIBUTE))});
    } else {
      Bytes& bytes = storage_.emplace_back(encode(value));
      attributes_.push_back({type, bytes.data(), static_cast<CK_ULONG>(bytes.size())});
    }
  }
}

RawTemplate::RawTemplate(const Template& first, const RawTemplate& rest) : RawTemplate(first) {
  attributes_.insert(attributes_.end(), rest.attributes_.begin(), rest.attributes_.end());
}

RawTemplate::~RawTemplate() {
  for (Bytes& bytes : storage_) wipe(bytes);  // one of them may be CKA_VALUE
}

}  // namespace pkcs11
