// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <future>

#include "service.hpp"

/// Attacks on what the key manager does with a token, and with a database, that somebody else has
/// changed.
namespace attack {
namespace {

// Lines of the fleet, each used by one attack, so that what one leaves behind helps no other.
constexpr std::size_t for_duplicates = 2, for_own_file = 3, for_displaced_kek = 4,
                      for_displaced_keys = 6, for_swap = 7, for_swap_other = 8, for_roles = 10,
                      for_old_blob = 11, waiting = 13, waiting_other = 14, for_foreign_blob = 15,
                      first_of_scan = 16;

/// Was anything released that opens under the thief's KEK? He has a fresh key of the device then.
void note_released(Attacker& a, const Service::Answer& answer, const Bytes& kek) {
  if (!answer.said.empty()) a.note(answer.said);
  for (const auto& each : answer.transfers)
    if (unwrap(aes_decrypt(kek), each.blob))
      a.loot.facts.push_back("a fresh " + each.role + " wrapped under the thief's KEK");
}

Template known_like(Attacker& a, Handle original, const Bytes& value) {
  return a.like(original).add(attr::value, value).add(attr::check_value, {});
}

void duplicate_kek(Attacker& a, Service& service) {
  const Bytes value = random_bytes(16);
  const auto& device = service.devices().at(for_duplicates);
  const auto own = a.attempt([&] {
    return a.s().create_object(known_like(a, service.object(a.s(), device, "kek"), value));
  });
  if (!own) return;
  note_released(a, service.rotate({device}, {"guek"}), value);
  a.s().destroy_object(*own);
}

void same_label(Attacker& a, Service& service) {
  const Bytes value = random_bytes(16);
  const auto& device = service.devices().at(for_duplicates);
  auto attributes = known_like(a, service.object(a.s(), device, "kek"), value);
  attributes.set(attr::id, random_bytes(16));
  const auto own = a.attempt([&] { return a.s().create_object(attributes); });
  if (!own) return;
  note_released(a, service.rotate({device}, {"guek"}), value);
  a.s().destroy_object(*own);
  if (!service.deliver()) a.note("the meter refused it");
}

Bytes proof_message(const Bytes& challenge) {
  static constexpr std::string_view prefix = "smets1-kms key proof 1";
  Bytes message(prefix.begin(), prefix.end());
  message.insert(message.end(), challenge.begin(), challenge.end());
  return message;
}

/// Does the service compute with the thief's key?
void note_proof(Attacker& a, Service& service, const std::string& device, const std::string& role,
                const Bytes& value) {
  const Bytes challenge = random_bytes(24), message = proof_message(challenge),
              digest = sha256(message);
  const auto [proof, refusal] = service.prove(device, role, challenge);
  if (!refusal.empty()) a.note(refusal);
  if (proof == (role == "gak"
                    ? cmac(value, message)
                    : gcm_tag(value, {digest.begin(), digest.begin() + 12}, {}, challenge)))
    a.loot.facts.push_back("the service uses the thief's " + role);
}

void duplicate_keys(Attacker& a, Service& service) {
  const auto& device = service.devices().at(for_duplicates);
  for (const std::string role : {"guek", "gak"}) {
    const Bytes value = random_bytes(16);
    const auto own = a.attempt([&] {
      return a.s().create_object(known_like(a, service.object(a.s(), device, role), value));
    });
    if (!own) continue;
    note_proof(a, service, device, role, value);
    a.s().destroy_object(*own);
  }
}

/// A verbatim copy is allowed where COPYABLE can't be lowered: the service must not choose between
/// two.
void duplicate_by_copy(Attacker& a, Service& service) {
  const auto& device = service.devices().at(for_duplicates);
  const auto copy =
      a.attempt([&] { return a.verbatim_copy(service.object(a.s(), device, "guek")); });
  if (!copy) return;
  const auto value = a.learn(*copy);
  if (value)
    note_proof(a, service, device, "guek", *value);
  else
    a.note(service.prove(device, "guek", random_bytes(24)).second);
  a.s().destroy_object(*copy);
}

/// The device's KEK destroyed, and one in its place that looks the same.
void displaced_kek(Attacker& a, Service& service) {
  const Bytes value = random_bytes(16);
  const auto& device = service.devices().at(for_displaced_kek);
  const auto original = service.object(a.s(), device, "kek");
  const auto attributes = known_like(a, original, value);
  if (!a.attempt([&] { a.s().destroy_object(original); })) return;
  Template trusted = attributes;
  trusted.set(attr::trusted, true);
  auto own = a.attempt([&] { return a.s().create_object(trusted); });
  if (!own) own = a.attempt([&] { return a.s().create_object(attributes); });
  if (own) note_released(a, service.rotate({device}, {"guek"}), value);
}

/// GUEK and GAK likewise: created, or generated and learnt, then put to rest as the service does.
void displaced_keys(Attacker& a, Service& service, bool generated) {
  const auto& device = service.devices().at(for_displaced_keys);
  const std::string role = generated ? "gak" : "guek";
  const auto original = service.object(a.s(), device, role);
  const auto resting = a.like(original);
  Bytes value = random_bytes(16);
  std::optional<Handle> own;
  if (generated) {
    auto fresh = resting;
    fresh.set(attr::token, false)
        .set(attr::extractable, true)
        .set(attr::modifiable, true)
        .set(attr::copyable, true)
        .set(attr::wrap_with_trusted, false)
        .add(attr::value_len, 16)
        .add(attr::check_value, {});
    const auto key =
        a.attempt([&] { return a.s().generate_key(Mechanism(CKM_AES_KEY_GEN), fresh); });
    const auto learnt = key ? a.learn(*key) : std::nullopt;
    if (!learnt || !a.attempt([&] { a.s().destroy_object(original); })) return;
    value = *learnt;
    Template changes;
    changes.add(attr::token, true).add(attr::extractable, false);
    if (resting.find(attr::wrap_with_trusted) != nullptr && *resting.find(attr::wrap_with_trusted))
      changes.add(attr::wrap_with_trusted, true);
    changes.add(attr::modifiable, false);
    own = a.attempt([&] { return a.s().copy_object(*key, changes); });
  } else {
    if (!a.attempt([&] { a.s().destroy_object(original); })) return;
    own = a.attempt([&] {
      return a.s().create_object(
          Template(resting).add(attr::value, value).add(attr::check_value, {}));
    });
  }
  if (own) note_proof(a, service, device, role, value);
}
void displaced_created(Attacker& a, Service& service) { displaced_keys(a, service, false); }
void displaced_generated(Attacker& a, Service& service) { displaced_keys(a, service, true); }

/// A row's blob is another's; then the operation is asked for again by its id.
void replay(Attacker& a, Service& service, std::size_t to, const std::string& role,
            std::size_t from, const std::string& from_role, int from_generation) {
  const auto& device = service.devices().at(to);
  const std::string operation = "attack-" + device + "-" + role;
  const auto first = service.rotate({device}, {role == "gak" ? "gak" : "guek"}, operation);
  if (first.transfers.empty()) throw std::runtime_error("the first release failed: " + first.said);
  if (!service.deliver()) throw std::runtime_error("the meter refused the first release");
  service.copy_blob(service.devices().at(from), from_role, from_generation, device, role, 2);
  const auto again = service.rotate({device}, {role}, operation);
  if (!again.said.empty()) a.note(again.said);
  for (const auto& each : again.transfers)
    if (each.blob != first.transfers.front().blob)
      a.loot.facts.push_back("the swapped blob was released");
}
void blob_of_another_device(Attacker& a, Service& service) {
  replay(a, service, for_foreign_blob, "guek", 1, "guek", 1);
}
void blob_of_another_role(Attacker& a, Service& service) {
  replay(a, service, for_roles, "gak", for_roles, "guek", 1);
}
void blob_of_old_generation(Attacker& a, Service& service) {
  replay(a, service, for_old_blob, "guek", for_old_blob, "guek", 1);
}

/// The thief owns one meter and its KEK: he has another device's keys wrapped under that one.
void kek_ids_swapped(Attacker& a, Service& service) {
  const auto &device = service.devices().at(for_swap),
             &other = service.devices().at(for_swap_other);
  service.swap_ids(device, other, "kek");
  const auto answer = service.rotate({device}, {"guek"});
  if (!answer.said.empty()) a.note(answer.said);
  for (const auto& each : answer.transfers) a.loot.misdirected.emplace_back(other, each.blob);
}

void waiting_swapped(Attacker& a, Service& service) {
  const auto &device = service.devices().at(waiting), &other = service.devices().at(waiting_other);
  if (const auto said = service.swap_waiting_and_enrol(device, other); !said.empty()) a.note(said);
  const auto answer = service.rotate({device}, {"gak"});
  if (!answer.said.empty()) a.note(answer.said);
  for (const auto& each : answer.transfers) a.loot.misdirected.emplace_back(other, each.blob);
}

/// A known KEK where the officer's ceremony looks for those that wait.
void waiting_planted(Attacker& a, Service& service) {
  const auto key = a.generate_like_fresh();
  const auto value = a.learn(key);
  if (!value) return;
  const auto raised = a.attempt([&] {
    return a.s().copy_object(key,
                             Template().add(attr::token, false).add(attr::wrap_with_trusted, true));
  });
  const auto blob = raised ? a.attempt([&] {
    return a.s().wrap_key(Mechanism(CKM_AES_KEY_WRAP), a.target.enrolment, *raised);
  })
                           : std::nullopt;
  if (!blob) return;
  if (const auto said = service.plant_and_enrol(*blob); !said.empty()) a.note(said);
  const auto& device = service.devices().at(waiting);
  note_released(a, service.rotate({device}, {"gak"}), *value);
}

/// A fleet file of the thief's: unsigned, or with the signature of another file.
void own_fleet_file(Attacker& a, Service& service) {
  const Bytes kek = random_bytes(16);
  const auto& device = service.devices().at(for_own_file);
  const auto said = service.import_own(device, kek, a.target.import_modulus);
  if (!said.empty())
    a.note(said);
  else
    a.loot.facts.push_back("a fleet file of the thief's was taken");
}

Handle half(Attacker& a, CK_OBJECT_CLASS which) {
  return a.s()
      .find_objects(Template()
                        .add(attr::object_class, which)
                        .add(attr::label, a.s().need(a.target.import_private, attr::label)))
      .at(0);
}

Template public_like(Attacker& a, Handle original, const Bytes& modulus) {
  return without(a.like(original), {CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_DECRYPT, CKA_SIGN,
                                    CKA_UNWRAP, CKA_WRAP_WITH_TRUSTED})
      .add(attr::modulus, modulus)
      .add(attr::public_exponent, {1, 0, 1});
}

void note_import_key(Attacker& a, Service& service, const OwnRsa& own) {
  const auto [modulus, refusal] = service.import_modulus();
  if (!refusal.empty()) a.note(refusal);
  if (modulus == a.target.import_modulus) a.note("the import key's own public half is given out");
  if (modulus == own.modulus)
    a.loot.facts.push_back("the thief's public key is given to manufacturers");
}

/// The public half alone: manufacturers would encrypt to the thief.
void public_half_replaced(Attacker& a, Service& service) {
  const auto own = own_rsa(3072);
  const auto original = half(a, CKO_PUBLIC_KEY);
  const auto back = public_like(a, original, a.target.import_modulus),
             mine = public_like(a, original, own.modulus);
  if (!a.attempt([&] { a.s().destroy_object(original); })) return;
  if (const auto made = a.attempt([&] { return a.s().create_object(mine); })) {
    note_import_key(a, service, own);
    a.s().destroy_object(*made);
  }
  (void)a.s().create_object(back);
}

/// The import key destroyed, and one whose private half the thief has in its place.
void import_key_replaced(Attacker& a, Service& service) {
  const auto own = own_rsa(3072);
  const auto old_public = half(a, CKO_PUBLIC_KEY), old_private = half(a, CKO_PRIVATE_KEY);
  const auto number = [](CK_ATTRIBUTE_TYPE type) { return pkcs11::Attribute<pkcs11::Bytes>{type}; };
  const auto my_public = public_like(a, old_public, own.modulus);
  auto my_private = without(a.like(old_private), {CKA_ENCRYPT, CKA_VERIFY, CKA_WRAP});
  my_private.add(attr::modulus, own.modulus)
      .add(attr::public_exponent, own.public_exponent)
      .add(number(CKA_PRIVATE_EXPONENT), own.private_exponent)
      .add(number(CKA_PRIME_1), own.prime_1)
      .add(number(CKA_PRIME_2), own.prime_2)
      .add(number(CKA_EXPONENT_1), own.exponent_1)
      .add(number(CKA_EXPONENT_2), own.exponent_2)
      .add(number(CKA_COEFFICIENT), own.coefficient);
  for (const auto each : {old_public, old_private})
    if (!a.attempt([&] { a.s().destroy_object(each); })) return;
  const bool made = a.attempt([&] { (void)a.s().create_object(my_public); }) &&
                    a.attempt([&] { (void)a.s().create_object(my_private); });
  if (made) note_import_key(a, service, own);
}

/// What is extractable in the token while keys are made?
void extractable_at_rest(Attacker& a, Service& service) {
  const std::vector<std::string> devices(service.devices().begin() + first_of_scan,
                                         service.devices().end());
  auto rotation = std::async(std::launch::async, [&] {
    return service.rotate(devices, {"guek", "gak"});
  });
  std::size_t scans = 0, seen = 0;
  for (bool done = false; !done; ++scans) {
    done = rotation.wait_for(std::chrono::milliseconds(1)) == std::future_status::ready;
    const auto objects = a.s().find_objects(
        Template().add(attr::object_class, CKO_SECRET_KEY).add(attr::extractable, true));
    for (const auto object : objects) {
      ++seen;
      if (a.s().get(object, attr::token).value_or(false) && a.learn(object))
        a.loot.facts.push_back("a key read at rest while it was extractable");
    }
  }
  const auto answer = rotation.get();
  if (!answer.said.empty()) a.note(answer.said);
  a.note(std::to_string(scans) + " scans, " + std::to_string(seen) + " extractable");
  if (!service.deliver()) a.note("a meter refused");
}

}  // namespace

std::vector<ServiceAttack> service_attacks() {
  const char* const storage = "known-key injection into storage";
  const char* const plain = "the user may make what the officer's trust would show";
  const char* const nothing_waits = "no KEK waits for an officer";
  return {
      {"storage: known KEK with the id of a device's", storage, duplicate_kek},
      {"storage: known KEK with the label of a device's", storage, same_label},
      {"storage: known GUEK, GAK with the id of a device's", storage, duplicate_keys},
      {"storage: verbatim copy of a device's GUEK", "stray copy", duplicate_by_copy},
      {"storage: extractable objects while a rotation runs", "trojan wrapping key",
       extractable_at_rest},
      {"database: blob of another device, replayed", "blob swap", blob_of_another_device},
      {"database: blob of another role, replayed", "blob swap", blob_of_another_role},
      {"database: blob of an older generation, replayed", "blob swap", blob_of_old_generation},
      {"database: KEK ids of two devices exchanged", "cross-device wrap", kek_ids_swapped},
      {"database: KEK planted for the officer's ceremony", storage, waiting_planted,
       "SoftHSM fixes WRAP_WITH_TRUSTED at creation", nullptr, nothing_waits},
      {"database: waiting KEKs of two devices exchanged", "blob swap", waiting_swapped, nullptr,
       nullptr, nothing_waits},
      {"fleet file of the thief's, for a known and a new device", storage, own_fleet_file},
      {"storage: KEK destroyed, known KEK in its place", storage, displaced_kek, nullptr, plain},
      {"storage: GUEK destroyed, created one in its place", storage, displaced_created},
      {"storage: GAK destroyed, generated and learnt one in its place", storage,
       displaced_generated, nullptr, plain},
      {"storage: public half of the import key replaced", storage, public_half_replaced},
      {"storage: import key destroyed, own one in its place", storage, import_key_replaced},
  };
}

}  // namespace attack
