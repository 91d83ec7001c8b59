// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "pkcs11/session.hpp"

namespace pkcs11 {

namespace {

/// True for codes that mean that one attribute can't be had, not that the call failed (PKCS#11 2.40
/// section 5.7).
bool not_shown(CK_RV rv) {
  return rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_ATTRIBUTE_TYPE_INVALID;
}

template <class T>
std::optional<T> decode(const Bytes& bytes) {
  if constexpr (std::is_same_v<T, bool>) {
    if (bytes.size() != sizeof(CK_BBOOL)) return std::nullopt;
    return bytes[0] != CK_FALSE;
  } else if constexpr (std::is_same_v<T, CK_ULONG>) {
    CK_ULONG value = 0;
    if (bytes.size() != sizeof value) return std::nullopt;
    std::memcpy(&value, bytes.data(), sizeof value);
    if (value == CK_UNAVAILABLE_INFORMATION) return std::nullopt;
    return value;
  } else if constexpr (std::is_same_v<T, Mechanisms>) {
    if (bytes.size() % sizeof(CK_MECHANISM_TYPE) != 0) return std::nullopt;
    Mechanisms types(bytes.size() / sizeof(CK_MECHANISM_TYPE));
    if (!bytes.empty()) std::memcpy(types.data(), bytes.data(), bytes.size());
    return types;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return std::string(bytes.begin(), bytes.end());
  } else {
    return bytes;
  }
}

template <class T>
std::optional<Template::Value> decode_value(const Bytes& bytes) {
  auto value = decode<T>(bytes);
  if (!value) return std::nullopt;
  return Template::Value{std::in_place_type<T>, *std::move(value)};
}

bool is_nested(CK_ATTRIBUTE_TYPE type) {
  return (type & CKF_ARRAY_ATTRIBUTE) != 0 && type != CKA_ALLOWED_MECHANISMS;
}

/// Returns the value of an attribute inside a nested template, of the type that the specification
/// says.
std::optional<Template::Value> decode_as_specified(CK_ATTRIBUTE_TYPE type, const Bytes& bytes) {
  switch (type) {
    case CKA_CLASS:
    case CKA_KEY_TYPE:
    case CKA_VALUE_LEN:
    case CKA_MODULUS_BITS:
    case CKA_KEY_GEN_MECHANISM: return decode_value<CK_ULONG>(bytes);
    case CKA_TOKEN:
    case CKA_PRIVATE:
    case CKA_SENSITIVE:
    case CKA_EXTRACTABLE:
    case CKA_ALWAYS_SENSITIVE:
    case CKA_NEVER_EXTRACTABLE:
    case CKA_LOCAL:
    case CKA_MODIFIABLE:
    case CKA_COPYABLE:
    case CKA_DESTROYABLE:
    case CKA_ENCRYPT:
    case CKA_DECRYPT:
    case CKA_SIGN:
    case CKA_VERIFY:
    case CKA_SIGN_RECOVER:
    case CKA_VERIFY_RECOVER:
    case CKA_WRAP:
    case CKA_UNWRAP:
    case CKA_DERIVE:
    case CKA_TRUSTED:
    case CKA_WRAP_WITH_TRUSTED: return decode_value<bool>(bytes);
    case CKA_LABEL:
    case CKA_APPLICATION: return decode_value<std::string>(bytes);
    case CKA_ALLOWED_MECHANISMS: return decode_value<Mechanisms>(bytes);
    default: return decode_value<Bytes>(bytes);
  }
}

/// Sorts a value that a token may keep in another order: mechanisms, the attributes of a nested
/// template.
Template::Value in_order(Template::Value value) {
  if (auto* types = std::get_if<Mechanisms>(&value)) std::sort(types->begin(), types->end());
  auto* nested = std::get_if<std::vector<Template>>(&value);
  if (nested == nullptr) return value;
  std::vector<Template::Entry> entries = nested->front().entries();
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.type < b.type; });
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

/// Reads an attribute: by one call if it is short, as most are; otherwise its length first.
std::optional<Bytes> Session::read_attribute(Handle object, CK_ATTRIBUTE_TYPE type) {
  Bytes bytes(64);
  for (int step = 1;; ++step) {
    CK_ATTRIBUTE attribute{type, bytes.data(), static_cast<CK_ULONG>(bytes.size())};
    CK_RV rv =
        invoke(&CK_FUNCTION_LIST::C_GetAttributeValue, number(object), &attribute, CK_ULONG{1});
    if (rv == CKR_OK && attribute.ulValueLen <= bytes.size()) {
      bytes.resize(attribute.ulValueLen);
      return bytes;
    }
    if (not_shown(rv) || rv == CKR_OK) return std::nullopt;
    if (rv != CKR_BUFFER_TOO_SMALL || step > 2)
      throw Error("C_GetAttributeValue", rv, attribute_name(type));
    attribute = {type, nullptr, 0};  // and once more if it grew between the two calls
    rv = invoke(&CK_FUNCTION_LIST::C_GetAttributeValue, number(object), &attribute, CK_ULONG{1});
    if (not_shown(rv) || (rv == CKR_OK && attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION))
      return std::nullopt;
    if (rv != CKR_OK) throw Error("C_GetAttributeValue", rv, attribute_name(type));
    bytes.resize(attribute.ulValueLen);
  }
}

/// Reads an array of attributes as PKCS#11 2.40 section 5.7 (C_GetAttributeValue) says: its length,
/// then the length of each member, then their values.
std::optional<Template> Session::read_template(Handle object, CK_ATTRIBUTE_TYPE type) {
  const auto ask = [&](void* members, CK_ULONG& size) {
    CK_ATTRIBUTE outer{type, members, size};
    const CK_RV rv =
        invoke(&CK_FUNCTION_LIST::C_GetAttributeValue, number(object), &outer, CK_ULONG{1});
    size = outer.ulValueLen;
    if (rv != CKR_OK && !not_shown(rv))
      throw Error("C_GetAttributeValue", rv,
                  attribute_name(type));  // a bad answer does not mean that it hides the attribute
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
    auto value = decode_as_specified(members[i].type, values[i]);
    if (!value) return std::nullopt;
    result.add(members[i].type, *std::move(value));
  }
  return result;
}

template <class T>
std::optional<T> Session::get(Handle object, Attribute<T> attribute) {
  if constexpr (std::is_same_v<T, Template>) {
    return read_template(object, attribute.type);
  } else {
    const std::optional<Bytes> bytes = read_attribute(object, attribute.type);
    return bytes ? decode<T>(*bytes) : std::nullopt;
  }
}

template std::optional<bool> Session::get(Handle, Attribute<bool>);
template std::optional<CK_ULONG> Session::get(Handle, Attribute<CK_ULONG>);
template std::optional<std::string> Session::get(Handle, Attribute<std::string>);
template std::optional<Bytes> Session::get(Handle, Attribute<Bytes>);
template std::optional<Mechanisms> Session::get(Handle, Attribute<Mechanisms>);
template std::optional<Template> Session::get(Handle, Attribute<Template>);

std::vector<bool> Session::flags(Handle object, std::span<const Attribute<bool>> attributes) {
  std::vector<CK_BBOOL> values(attributes.size(), CK_FALSE);
  std::vector<CK_ATTRIBUTE> wanted;
  wanted.reserve(attributes.size());
  for (std::size_t i = 0; i < attributes.size(); ++i)
    wanted.push_back({attributes[i].type, &values[i], sizeof(CK_BBOOL)});
  // The others are filled in even where one of them can't be had, whose length then says so.
  const CK_RV rv = invoke(&CK_FUNCTION_LIST::C_GetAttributeValue, number(object), wanted.data(),
                          static_cast<CK_ULONG>(wanted.size()));
  if (rv != CKR_OK && !not_shown(rv)) throw Error("C_GetAttributeValue", rv);
  std::vector<bool> shown;
  shown.reserve(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i)
    shown.push_back(wanted[i].ulValueLen == sizeof(CK_BBOOL) && values[i] != CK_FALSE);
  return shown;
}

void Session::set(Handle object, const Template& changes) {
  RawTemplate wanted(changes);
  call("C_SetAttributeValue", &CK_FUNCTION_LIST::C_SetAttributeValue, number(object), wanted.data(),
       wanted.size());
}

std::vector<std::string> Session::differences(Handle object, const Template& expected) {
  std::vector<std::string> found;
  const auto same = compare_together(object, expected);
  for (std::size_t i = 0; i < same.size(); ++i) {
    if (same[i]) continue;
    const Template::Entry& entry = expected.entries()[i];
    const auto shown = read_like(object, entry);
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
  std::size_t space = 0;
  const auto room = [](const CK_ATTRIBUTE& attribute) {
    return (attribute.ulValueLen + 16) / 16 * 16;
  };  // aligned for any type, and one byte more at least
  for (const CK_ATTRIBUTE& attribute : expected) space += room(attribute);
  Bytes buffer(space);
  std::uint8_t* at = buffer.data();
  for (const CK_ATTRIBUTE& attribute : expected) {
    if (is_nested(attribute.type)) continue;
    asked.push_back(
        {attribute.type, at,
         attribute.ulValueLen + 1});  // one byte more, so that a longer value is seen to be longer
    at += room(attribute);
  }
  const CK_RV rv = asked.empty() ? CKR_OK
                                 : invoke(&CK_FUNCTION_LIST::C_GetAttributeValue, number(object),
                                          asked.data(), static_cast<CK_ULONG>(asked.size()));
  if (rv != CKR_OK && !not_shown(rv) && rv != CKR_BUFFER_TOO_SMALL)
    throw Error("C_GetAttributeValue", rv);
  std::vector<bool> same;
  auto shown = asked.begin();
  for (const CK_ATTRIBUTE& attribute : expected) {
    const bool nested = is_nested(attribute.type);
    const auto bytes = [](const CK_ATTRIBUTE& each) {
      return ByteView(static_cast<const std::uint8_t*>(each.pValue), each.ulValueLen);
    };
    same.push_back(!nested && shown->ulValueLen == attribute.ulValueLen &&
                   std::ranges::equal(bytes(*shown), bytes(attribute)));
    if (!nested) ++shown;
  }
  return same;
}

/// Returns the object's attribute of the type of `entry`, in the same form.
std::optional<Template::Value> Session::read_like(Handle object, const Template::Entry& entry) {
  return std::visit(
      [&](const auto& held) -> std::optional<Template::Value> {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, std::vector<Template>>) {
          auto nested = get(object, Attribute<Template>{entry.type});
          if (!nested) return std::nullopt;
          return std::vector<Template>{*std::move(nested)};
        } else {
          auto value = get(object, Attribute<T>{entry.type});
          if (!value) return std::nullopt;
          return Template::Value{std::in_place_type<T>, *std::move(value)};
        }
      },
      entry.value);
}

}  // namespace pkcs11
