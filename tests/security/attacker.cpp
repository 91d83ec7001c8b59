// SPDX-License-Identifier: Apache-2.0
#include "attacker.hpp"

#include <algorithm>

namespace attack {

Template without(const Template& all, std::initializer_list<CK_ATTRIBUTE_TYPE> dropped) {
  Template kept;
  for (const auto& entry : all.entries())
    if (std::find(dropped.begin(), dropped.end(), entry.type) == dropped.end())
      kept.add(entry.type, entry.value);
  return kept;
}

void Attacker::note(const pkcs11::Error& error) {
  note(error.function() + " " + error.rv_name());
  // A refused step may leave an operation active: the next one gets a session without.
  if (s().operation_active() || error.rv() == CKR_OPERATION_ACTIVE) open();
}

void Attacker::note(const std::string& answer) {
  const auto seen = std::find_if(answers_.begin(), answers_.end(),
                                 [&](const auto& each) { return each.first == answer; });
  if (seen != answers_.end())
    ++seen->second;
  else
    answers_.emplace_back(answer, 1);
}

std::string Attacker::answers() const {
  std::string text;
  for (const auto& [answer, count] : answers_)
    text += (text.empty() ? "" : ", ") + answer + (count > 1 ? " x" + std::to_string(count) : "");
  return text.empty() ? "CKR_OK" : text;
}

Handle Attacker::create_known(const Bytes& value, const Template& more, bool token) {
  Template attributes;
  attributes.add(attr::object_class, CKO_SECRET_KEY)
      .add(attr::key_type, CKK_AES)
      .add(attr::value, value)
      .add(attr::token, token)
      .add(attr::private_, true)
      .add(attr::sensitive, true)
      .add(attr::extractable, true);
  return s().create_object(attributes.append(more));
}

Handle Attacker::generate_like_fresh(const Template& more, CK_ULONG length) {
  Template attributes;
  attributes.add(attr::object_class, CKO_SECRET_KEY)
      .add(attr::key_type, CKK_AES)
      .add(attr::value_len, length)
      .add(attr::token, false)
      .add(attr::private_, true)
      .add(attr::sensitive, true)
      .add(attr::extractable, true)
      .add(attr::encrypt, false)
      .add(attr::decrypt, false)
      .add(attr::sign, false)
      .add(attr::verify, false)
      .add(attr::wrap, false)
      .add(attr::unwrap, false)
      .add(attr::derive, false)
      .add(attr::copyable, true)
      .add(attr::modifiable, true);
  for (const auto& entry : more.entries())
    attributes.set(pkcs11::Attribute<bool>{entry.type}, std::get<bool>(entry.value));
  return s().generate_key(Mechanism(CKM_AES_KEY_GEN), attributes);
}

std::optional<Bytes> Attacker::learn(Handle key) {
  const Bytes value = random_bytes(16);
  const auto blob = attempt(
      [&] { return s().wrap_key(Mechanism(CKM_AES_KEY_WRAP), create_wrapping_key(value), key); });
  return blob ? unwrap(aes_decrypt(value), *blob) : std::nullopt;
}

void Attacker::inject(Handle key, const Bytes& value) {
  for (const auto& kek : target.keks)
    if (const auto blob =
            attempt([&] { return s().wrap_key(Mechanism(CKM_AES_KEY_WRAP), kek.handle, key); }))
      loot.injections.push_back({kek.device, *blob, value});
}

Template Attacker::readable(CK_KEY_TYPE type) {
  return Template()
      .add(attr::object_class, CKO_SECRET_KEY)
      .add(attr::key_type, type)
      .add(attr::token, false)
      .add(attr::private_, true)
      .add(attr::sensitive, false)
      .add(attr::extractable, true);
}

Template Attacker::secret(const Template& more) {
  return Template()
      .add(attr::object_class, CKO_SECRET_KEY)
      .add(attr::key_type, CKK_AES)
      .add(attr::token, false)
      .add(attr::private_, true)
      .add(attr::sensitive, true)
      .add(attr::extractable, false)
      .append(more);
}

Template Attacker::like(Handle object) {
  Template result;
  for (const auto& each : {attr::object_class, attr::key_type})
    if (const auto value = s().get(object, each)) result.add(each, *value);
  if (const auto label = s().get(object, attr::label)) result.add(attr::label, *label);
  if (const auto id = s().get(object, attr::id)) result.add(attr::id, *id);
  if (const auto allowed = s().get(object, attr::allowed_mechanisms); allowed && !allowed->empty())
    result.add(attr::allowed_mechanisms, *allowed);
  for (const auto& each : {attr::wrap_template, attr::unwrap_template})
    if (const auto value = s().get(object, each); value && !value->empty())
      result.add(each, *value);
  for (const auto& each :
       {attr::token, attr::private_, attr::sensitive, attr::extractable, attr::encrypt,
        attr::decrypt, attr::sign, attr::verify, attr::wrap, attr::unwrap, attr::derive,
        attr::wrap_with_trusted, attr::copyable, attr::modifiable})
    if (const auto value = s().get(object, each)) result.add(each, *value);
  return result;
}

Handle Attacker::verbatim_copy(Handle object) {
  CK_ATTRIBUTE none{};
  CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
  call("C_CopyObject", &CK_FUNCTION_LIST::C_CopyObject, static_cast<CK_OBJECT_HANDLE>(object),
       &none, CK_ULONG{0}, &copy);
  return static_cast<Handle>(copy);
}

Block Attacker::ecb(Handle key, bool encrypt, CK_MECHANISM_TYPE mechanism) {
  return [this, key, encrypt, mechanism](const Bytes& block) {
    // One block of CBC with a zero IV is ECB.
    const auto how =
        mechanism == CKM_AES_CBC ? Mechanism(mechanism, Bytes(16)) : Mechanism(mechanism);
    return encrypt ? s().encrypt(how, key, block) : s().decrypt(how, key, block);
  };
}

void Attacker::open_released(std::size_t kek, const Block& decrypt) {
  for (const auto& key : target.keys)
    if (key.kek == kek)
      if (const auto value = unwrap(decrypt, key.blob)) loot.keys.push_back(*value);
}

void Attacker::open_manufacturers(const Block& decrypt) {
  for (const auto& kek : target.keks)
    if (const auto value = unwrap(decrypt, kek.blob)) loot.keys.push_back(*value);
}

void Attacker::have_transport_key(const Bytes& value) {
  if (value.size() == 16 || value.size() == 32) open_manufacturers(aes_decrypt(value));
}

}  // namespace attack
