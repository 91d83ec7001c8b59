// SPDX-License-Identifier: Apache-2.0
#include "vault/objects.hpp"

#include <algorithm>

namespace smets1kms::vault {

using pkcs11::Handle;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

pkcs11::Bytes raw(const KeyId& id) { return {id.raw().begin(), id.raw().end()}; }

Template named(const KeyId& id, const std::string& label, const Template& attributes) {
  return Template().add(attr::id, raw(id)).add(attr::label, label).append(attributes);
}

std::vector<Handle> search(Session& session, const KeyId& id) {
  return session.find_objects(Template().add(attr::token, true).add(attr::id, raw(id)));
}

std::optional<KeyId> id_of(Session& session, Handle object) {
  const auto id = session.get(object, attr::id);
  KeyId::Raw bytes{};
  if (!id || id->size() != bytes.size()) return std::nullopt;
  std::ranges::copy(*id, bytes.begin());
  return KeyId(bytes);
}

void remove_orphans(Session& session, const KeyId& id) {
  for (const Handle orphan : search(session, id)) session.destroy_object(orphan);
}

void require_answers(pkcs11::Pool& pool) {
  if (!pool.answers()) throw pkcs11::Error("C_FindObjects", CKR_TOKEN_NOT_PRESENT);
}

void require_same(Session& session, Handle object, const std::string& name,
                  const Template& expected) {
  if (const auto differences = session.differences(object, expected); !differences.empty())
    throw pkcs11::Error("C_GetAttributeValue", CKR_TEMPLATE_INCONSISTENT,
                        name + ": " + differences.front());
}

Handle only_one(Session& session, const std::vector<Handle>& found, const std::string& name,
                const Template& expected) {
  if (found.size() != 1)
    throw pkcs11::Error("C_FindObjects", CKR_KEY_NEEDED,
                        name + ": " + std::to_string(found.size()) + " objects in the token");
  require_same(session, found.front(), name, expected);
  return found.front();
}

std::multimap<KeyId, KeyObject> own_objects(Session& session) {
  std::multimap<KeyId, KeyObject> objects;
  for (const CK_ULONG kind : {CKO_SECRET_KEY, CKO_PRIVATE_KEY, CKO_PUBLIC_KEY})
    for (const Handle object :
         session.find_objects(Template().add(attr::object_class, kind).add(attr::token, true)))
      if (auto label = session.get(object, attr::label).value_or("");
          label.starts_with("smets1-kms/"))
        if (const auto id = id_of(session, object))
          objects.emplace(*id, KeyObject{object, kind, std::move(label)});
  return objects;
}

std::map<std::string, std::string> own_keys(Session& session) {
  std::map<std::string, std::string> labels;
  for (const auto& [id, object] : own_objects(session))
    labels.emplace(id.to_string(), object.label);
  return labels;
}

namespace {

constexpr std::array shown{
    attr::local,      attr::sensitive, attr::always_sensitive,  attr::extractable,
    attr::modifiable, attr::copyable,  attr::wrap_with_trusted, attr::trusted};
constexpr std::array<std::string_view, shown.size()> shown_names{
    "local",      "sensitive", "always_sensitive",  "extractable",
    "modifiable", "copyable",  "wrap_with_trusted", "trusted"};

std::string names_of(const std::vector<bool>& granted) {
  std::string text;
  for (std::size_t i = 0; i < shown.size(); ++i)
    if (granted[i]) text.append(text.empty() ? "" : ",").append(shown_names[i]);
  return text;
}

}  // namespace

std::string granted_attributes(Session& session, Handle object) {
  return names_of(session.flags(object, shown));
}

std::string granted_as_verified(const Template& expected) {
  std::vector<bool> granted;
  for (const auto& attribute : shown) {
    const bool* value = expected.find(attribute);
    granted.push_back(value != nullptr && *value);
  }
  return names_of(granted);
}

std::string granted_as_asked(Session& session, Handle object, const Template& asked,
                             const char* function) {
  const auto granted = session.flags(object, shown);
  for (std::size_t i = 0; i < shown.size(); ++i)
    if (const bool* wanted = asked.find(shown[i]); wanted != nullptr && *wanted != granted[i])
      throw pkcs11::Error(
          function, CKR_TEMPLATE_INCONSISTENT,
          "the token granted something else: " + pkcs11::attribute_name(shown[i].type) + " is " +
              (granted[i] ? "true" : "false"));
  return names_of(granted);
}

void verify_attributes(Session& session, Handle object, const Template& expected,
                       const char* function) {
  const auto differences = session.differences(object, expected);
  if (differences.empty()) return;
  session.destroy_object(object);
  throw pkcs11::Error(function, CKR_TEMPLATE_INCONSISTENT,
                      "the token granted something else: " + differences.front());
}

}  // namespace smets1kms::vault
