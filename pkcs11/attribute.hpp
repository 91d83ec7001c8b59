// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <p11-kit/pkcs11.h>

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace pkcs11 {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using Mechanisms = std::vector<CK_MECHANISM_TYPE>;
class Template;

/// An attribute whose C++ type is fixed by what the specification says it holds, so that a value
/// of the wrong size can't be written.
template <class T>
struct Attribute {
  CK_ATTRIBUTE_TYPE type;
};

namespace attr {
inline constexpr Attribute<CK_ULONG> object_class{CKA_CLASS}, key_type{CKA_KEY_TYPE},
    value_len{CKA_VALUE_LEN}, modulus_bits{CKA_MODULUS_BITS},
    key_gen_mechanism{CKA_KEY_GEN_MECHANISM};
inline constexpr Attribute<bool> token{CKA_TOKEN}, private_{CKA_PRIVATE}, sensitive{CKA_SENSITIVE},
    extractable{CKA_EXTRACTABLE}, always_sensitive{CKA_ALWAYS_SENSITIVE},
    never_extractable{CKA_NEVER_EXTRACTABLE}, local{CKA_LOCAL}, modifiable{CKA_MODIFIABLE},
    copyable{CKA_COPYABLE}, destroyable{CKA_DESTROYABLE}, encrypt{CKA_ENCRYPT},
    decrypt{CKA_DECRYPT}, sign{CKA_SIGN}, verify{CKA_VERIFY}, wrap{CKA_WRAP}, unwrap{CKA_UNWRAP},
    derive{CKA_DERIVE}, trusted{CKA_TRUSTED}, wrap_with_trusted{CKA_WRAP_WITH_TRUSTED};
inline constexpr Attribute<std::string> label{CKA_LABEL}, application{CKA_APPLICATION};
inline constexpr Attribute<Bytes> id{CKA_ID}, value{CKA_VALUE}, check_value{CKA_CHECK_VALUE},
    modulus{CKA_MODULUS}, public_exponent{CKA_PUBLIC_EXPONENT}, ec_params{CKA_EC_PARAMS},
    ec_point{CKA_EC_POINT};
inline constexpr Attribute<Mechanisms> allowed_mechanisms{CKA_ALLOWED_MECHANISMS};
inline constexpr Attribute<Template> wrap_template{CKA_WRAP_TEMPLATE},
    unwrap_template{CKA_UNWRAP_TEMPLATE};
}  // namespace attr

/// An ordered list of attributes with their values. Order is kept: SoftHSM applies the attributes
/// of an unwrap or a copy one after another, so CKA_MODIFIABLE=FALSE must come last.
class Template {
 public:
  using Value = std::variant<CK_ULONG, bool, std::string, Bytes, Mechanisms, std::vector<Template>>;
  struct Entry {
    CK_ATTRIBUTE_TYPE type;
    Value value;  ///< a nested template is a vector of exactly one
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  /// Adds an attribute at the end. Throws std::logic_error for a second value of the same
  /// attribute.
  template <class T>
  Template& add(Attribute<T> attribute, std::type_identity_t<T> value) {
    return put(attribute.type, value_of(std::move(value)), false);
  }
  /// Does the same for a type known at run time only; `value` must be of the kind that it holds.
  Template& add(CK_ATTRIBUTE_TYPE type, Value value) { return put(type, std::move(value), false); }
  /// Replaces an attribute in place, or adds it at the end.
  template <class T>
  Template& set(Attribute<T> attribute, std::type_identity_t<T> value) {
    return put(attribute.type, value_of(std::move(value)), true);
  }
  /// Adds every entry of `more` at the end.
  Template& append(const Template& more) {
    for (const auto& entry : more.entries_) put(entry.type, entry.value, false);
    return *this;
  }
  /// Returns a value; nullptr where absent.
  [[nodiscard]] const Value* find(CK_ATTRIBUTE_TYPE type) const;
  template <class T>
  [[nodiscard]] const T* find(Attribute<T> attribute) const {
    const Value* value = find(attribute.type);
    if (value == nullptr) return nullptr;
    if constexpr (std::is_same_v<T, Template>)
      return &std::get<std::vector<Template>>(*value).front();
    else
      return &std::get<T>(*value);
  }
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  /// Returns "CKA_SENSITIVE=true CKA_VALUE_LEN=16 CKA_WRAP_TEMPLATE={…}", for messages and
  /// snapshots. Values of CKA_VALUE are never shown.
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const Template&, const Template&) = default;

 private:
  template <class T>
  static Value value_of(T value) {
    if constexpr (std::is_same_v<T, Template>)
      return std::vector<Template>{std::move(value)};
    else
      return Value{std::in_place_type<T>, std::move(value)};
  }
  Template& put(CK_ATTRIBUTE_TYPE type, Value value, bool replace);
  std::vector<Entry> entries_;
};

/// Returns the value alone, as Template::to_string shows it.
[[nodiscard]] std::string value_to_string(const Template::Entry& entry);

/// The C form of a template, which owns the memory that its CK_ATTRIBUTE array points to. One
/// object serves any number of calls, from many threads: PKCS#11 only reads it, though through
/// pointers to non-const.
class RawTemplate {
 public:
  RawTemplate(const Template& source = {});
  /// Joins `first`, which differs from call to call, and `rest`, which does not. `rest` must
  /// outlive this object.
  RawTemplate(const Template& first, const RawTemplate& rest);
  RawTemplate(const Template& first, const Template& rest) = delete;  // it would not outlive it
  RawTemplate(const RawTemplate&) = delete;
  RawTemplate& operator=(const RawTemplate&) = delete;
  ~RawTemplate();
  [[nodiscard]] CK_ATTRIBUTE* data() const {
    return attributes_.empty() ? nullptr : const_cast<CK_ATTRIBUTE*>(attributes_.data());
  }
  [[nodiscard]] CK_ULONG size() const { return static_cast<CK_ULONG>(attributes_.size()); }

 private:
  std::deque<Bytes> storage_;
  std::deque<RawTemplate> nested_;
  std::vector<CK_ATTRIBUTE> attributes_;
};

}  // namespace pkcs11
