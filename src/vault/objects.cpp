#include "vault/objects.hpp"

#include <algorithm>

namespace smets1kms::vault {

using pkcs11::Handle;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

pkcs11::Bytes raw(const KeyId& id) { return {id.raw().begin(), id.raw().end()}; }

Template named(const KeyId& id, const std::string& label, const Template& attributes) {
  Template result;
  result.add(attr::id, raw(id)).add(attr::label, label);
  result.append(attributes);
  return result;
}

std::vector<Handle> search(Session& session, const KeyId& id) { return session.find_objects(Template().add(attr::token, true).add(attr::id, raw(id))); }

std::map<std::string, std::string> own_keys(Session& session) {
  std::map<std::string, std::string> labels;
  for (const CK_ULONG kind : {CKO_SECRET_KEY, CKO_PRIVATE_KEY, CKO_PUBLIC_KEY})
    for (const Handle object : session.find_objects(Template().add(attr::object_class, kind).add(attr::token, true)))
      if (const auto label = session.get(object, attr::label).value_or(""); label.starts_with("smets1-kms/"))
        if (const auto id = session.get(object, attr::id).value_or(pkcs11::Bytes{}); id.size() == sizeof(KeyId::Raw)) {
          KeyId::Raw bytes;
          std::ranges::copy(id, bytes.begin());
          labels.emplace(KeyId(bytes).to_string(), label);
        }
  return labels;
}

std::string granted_attributes(Session& session, Handle object) {
  static constexpr std::pair<pkcs11::Attribute<bool>, const char*> shown[] = {
      {attr::local, "local"},           {attr::sensitive, "sensitive"}, {attr::always_sensitive, "always_sensitive"},   {attr::extractable, "extractable"},
      {attr::modifiable, "modifiable"}, {attr::copyable, "copyable"},   {attr::wrap_with_trusted, "wrap_with_trusted"}, {attr::trusted, "trusted"}};
  std::string text;
  for (const auto& [attribute, name] : shown)
    if (session.get(object, attribute).value_or(false)) text += (text.empty() ? "" : ",") + std::string(name);
  return text;
}

void insist(Session& session, Handle object, const Template& expected, const char* function) {
  const auto differences = session.differences(object, expected);
  if (differences.empty()) return;
  session.destroy_object(object);
  throw pkcs11::Error(function, CKR_TEMPLATE_INCONSISTENT, "the token granted something else: " + differences.front());
}

}  // namespace smets1kms::vault
