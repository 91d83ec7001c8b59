// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <deque>

#include "base/one_of.hpp"
#include "pkcs11/session.hpp"

namespace pkcs11 {

using smets1kms::is_one_of;

namespace {

/// True for codes that mean that one attribute can't be had, not that the call failed (PKCS#11 2.40
/// section 5.7).
bool not_shown(CK_RV rv) {
  return is_one_of(rv, CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID);
}

ByteView value_of(const CK_ATTRIBUTE& attribute) {
  return {static_cast<const std::uint8_t*>(attribute.pValue), attribute.ulValueLen};
}

bool is_nested(CK_ATTRIBUTE_TYPE type) {
  return (type & CKF_ARRAY_ATTRIBUTE) != 0 && type != CKA_ALLOWED_MECHANISMS;
}

/// Returns the value of an attribute, of the type that the specification and `attr` say; nullopt
/// where its length is another.
std::optional<Template::Value> decode(CK_ATTRIBUTE_TYPE type, const Bytes& bytes) {
  if (is_one_of(type, CKA_CLASS, CKA_KEY_TYPE, CKA_VALUE_LEN, CKA_MODULUS_BITS,
                CKA_KEY_GEN_MECHANISM)) {
    CK_ULONG value = 0;
    if (bytes.size() != sizeof value) return std::nullopt;
    std::memcpy(&value, bytes.data(), sizeof value);
    if (value == CK_UNAVAILABLE_INFORMATION) return std::nullopt;
    return value;
  }
  if (is_one_of(type, CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_ALWAYS_SENSITIVE,
                CKA_NEVER_EXTRACTABLE, CKA_LOCAL, CKA_MODIFIABLE, CKA_COPYABLE, CKA_DESTROYABLE,
                CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY, CKA_SIGN_RECOVER,
                CKA_VERIFY_RECOVER, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE, CKA_TRUSTED,
                CKA_WRAP_WITH_TRUSTED)) {
    if (bytes.size() != sizeof(CK_BBOOL)) return std::nullopt;
    return bytes[0] != CK_FALSE;
  }
  if (is_one_of(type, CKA_LABEL, CKA_APPLICATION)) return std::string(bytes.begin(), bytes.end());
  if (type != CKA_ALLOWED_MECHANISMS) return bytes;
  if (bytes.size() % sizeof(CK_MECHANISM_TYPE) != 0) return std::nullopt;
  Mechanisms types(bytes.size() / sizeof(CK_MECHANISM_TYPE));
  if (!bytes.empty()) std::memcpy(types.data(), bytes.data(), bytes.size());
  return types;
}

/// Sorts a value that a token may keep in another order: mechanisms, the attributes of a nested
/// template.
Template::Value in_order(Template::Value value) {
  if (auto* types = std::get_if<Mechanisms>(&value)) std::sort(types->begin(), types->end());
  auto* nested = std::get_if<std::vector<Template>>(&value);
  if (nested == nullptr) return value;
  std::vector<Template::Entry> entries = nested->front().entries();
  std::ranges::sort(entries, {}, &Template::Entry::type);
  Template result;
  for (Template::Entry& entry : entries) result.add(entry.type, in_order(std::move(entry.value)));
  return std::vector<Template>{std::move(result)};
}

/// True for attributes that not every token shows; a token that hides them is no weaker for it.
bool may_be_hidden(const Template::Entry& expected) {
  return expected.type == CKA_VALUE || expected.type == CKA_CHECK_VALUE ||
         std::holds_alternative<std::vector<Template>>(expected.value);
}

}  // namespace

/// Reads attributes by one call. Returns CKR_OK, or a code that means that one of them can't be
/// had, whose length then says so; the others are filled in. Throws Error for any other code.
CK_RV Session::read(Handle object, std::span<CK_ATTRIBUTE> wanted, bool may_be_longer) {
  const CK_RV rv = invoke(&CK_FUNCTION_LIST::C_GetAttributeValue, number(object), wanted.data(),
                          static_cast<CK_ULONG>(wanted.size()));
  if (rv != CKR_OK && !not_shown(rv) && !(may_be_longer && rv == CKR_BUFFER_TOO_SMALL))
    throw Error("C_GetAttributeValue", rv,
                wanted.size() == 1 ? attribute_name(wanted.front().type) : "");
  return rv;
}

/// Reads an attribute: by one call if it is short, as most are; otherwise its length first.
std::optional<Bytes> Session::read_attribute(Handle object, CK_ATTRIBUTE_TYPE type) {
  Bytes bytes(64);
  for (int step = 1;; ++step) {
    CK_ATTRIBUTE attribute{type, bytes.data(), static_cast<CK_ULONG>(bytes.size())};
    if (const CK_RV rv = read(object, {&attribute, 1}, step <= 2); rv != CKR_BUFFER_TOO_SMALL) {
      if (rv != CKR_OK || attribute.ulValueLen > bytes.size()) return std::nullopt;
      bytes.resize(attribute.ulValueLen);
      return bytes;
    }
    attribute = {type, nullptr, 0};  // and once more if it grew between the two calls
    if (read(object, {&attribute, 1}) != CKR_OK ||
        attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION)
      return std::nullopt;
    bytes.resize(attribute.ulValueLen);
  }
}

/// Reads an array of attributes as PKCS#11 2.40 section 5.7 (C_GetAttributeValue) says: its length,
/// then the length of each member, then their values.
std::optional<Template> Session::read_template(Handle object, CK_ATTRIBUTE_TYPE type) {
  const auto ask = [&](void* members, CK_ULONG& size) {
    CK_ATTRIBUTE outer{type, members, size};
    const CK_RV rv = read(object, {&outer, 1});
    size = outer.ulValueLen;
    return rv == CKR_OK && size != CK_UNAVAILABLE_INFORMATION && size % sizeof(CK_ATTRIBUTE) == 0;
  };
  CK_ULONG size = 0;
  if (!ask(nullptr, size)) return std::nullopt;
  std::vector<CK_ATTRIBUTE> members(size / sizeof(CK_ATTRIBUTE));
  if (members.empty()) return Template{};
  if (!ask(members.data(), size) || size != members.size() * sizeof(CK_ATTRIBUTE))
    return std::nullopt;
  std::vector<Bytes> values;
  values.reserve(members.size());
  for (CK_ATTRIBUTE& member : members) {
    if (member.ulValueLen == CK_UNAVAILABLE_INFORMATION) return std::nullopt;
    member.pValue = values.emplace_back(member.ulValueLen).data();
  }
  if (!ask(members.data(), size)) return std::nullopt;
  Template result;
  for (std::size_t i = 0; i < members.size(); ++i) {
    auto value = decode(members[i].type, values[i]);
    if (!value) return std::nullopt;
    result.add(members[i].type, *std::move(value));
  }
  return result;
}

std::vector<bool> Session::flags(Handle object, std::span<const Attribute<bool>> attributes) {
  std::vector<CK_BBOOL> values(attributes.size(), CK_FALSE);
  std::vector<CK_ATTRIBUTE> wanted;
  wanted.reserve(attributes.size());
  for (std::size_t i = 0; i < attributes.size(); ++i)
    wanted.push_back({attributes[i].type, &values[i], sizeof(CK_BBOOL)});
  (void)read(object, wanted);
  std::vector<bool> shown;
  shown.reserve(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i)
    shown.push_back(wanted[i].ulValueLen == sizeof(CK_BBOOL) && values[i] != CK_FALSE);
  return shown;
}

void Session::set(Handle object, const RawTemplate& changes) {
  call("C_SetAttributeValue", &CK_FUNCTION_LIST::C_SetAttributeValue, number(object),
       changes.data(), changes.size());
}

std::vector<std::string> Session::differences(Handle object, const Template& expected) {
  std::vector<std::string> found;
  const auto same = compare_together(object, expected);
  for (std::size_t i = 0; i < same.size(); ++i) {
    if (same[i]) continue;
    const Template::Entry& entry = expected.entries()[i];
    const auto shown = read_value(object, entry.type);
    if (shown == entry.value) continue;
    const std::string asked = attribute_name(entry.type) + ": expected " + value_to_string(entry);
    if (!shown && !may_be_hidden(entry)) found.push_back(asked + ", is not shown by the token");
    if (shown && in_order(*shown) != in_order(entry.value))
      found.push_back(asked + ", is " + value_to_string({entry.type, *shown}));
  }
  return found;
}

/// Compares all attributes of known length by one call: true for each that is, byte for byte, as in
/// `like`.
std::vector<bool> Session::compare_together(Handle object, const Template& like) {
  const RawTemplate raw(like);
  const std::span<const CK_ATTRIBUTE> expected(raw.data(), raw.size());
  std::vector<CK_ATTRIBUTE> asked;
  std::deque<Bytes> room;
  for (const auto& [type, value, size] : expected)
    if (!is_nested(type))  // one byte more, so that a longer value is seen to be longer
      asked.push_back({type, room.emplace_back(size + 1).data(), size + 1});
  if (!asked.empty()) (void)read(object, asked, true);
  std::vector<bool> same;
  auto shown = asked.begin();
  for (const CK_ATTRIBUTE& attribute : expected) {
    if (is_nested(attribute.type)) {
      same.push_back(false);
      continue;
    }
    const CK_ATTRIBUTE& token = *shown++;  // its length may be CK_UNAVAILABLE_INFORMATION
    same.push_back(token.ulValueLen == attribute.ulValueLen &&
                   std::ranges::equal(value_of(token), value_of(attribute)));
  }
  return same;
}

/// Returns an attribute as the token has it; nullopt where it is not shown.
std::optional<Template::Value> Session::read_value(Handle object, CK_ATTRIBUTE_TYPE type) {
  if (is_nested(type)) {
    auto nested = read_template(object, type);
    if (!nested) return std::nullopt;
    return std::vector<Template>{*std::move(nested)};
  }
  const auto bytes = read_attribute(object, type);
  return bytes ? decode(type, *bytes) : std::nullopt;
}

}  // namespace pkcs11
