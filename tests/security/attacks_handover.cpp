// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "service.hpp"

/// Attacks on handover targets: their public keys in the token, their rows, their receipts.
namespace attack {
namespace {

// Lines of the fleet; each attack leaves its devices without a transfer that waits.
constexpr std::size_t for_own_key = 9, for_rows = 12, for_swap = 15, for_swap_other = 16,
                      for_receipts = 17, for_receipts_other = 18, for_received = 19,
                      for_released = 20, for_thief = 21;

// ---- the token alone ----

/// Whoever has a target's private key wants keys that were made before it was admitted.
void at_rest(Attacker& a, const std::vector<Victim>& keys) {
  for (const auto& key : keys)
    if (const auto blob =
            a.attempt([&] { return a.s().wrap_key(oaep(), a.target.handover, key.handle); }))
      if (const auto value = pkcs8_decrypt(a.target.handover_private, *blob))
        a.loot.keys.push_back(*value);
}
void keys_at_rest(Attacker& a) { at_rest(a, a.target.keys); }
void keks_at_rest(Attacker& a) { at_rest(a, a.target.keks); }

/// A key of the token's own making, learnt under an RSA key by `open`, then wrapped for meters.
template <class Open>
void learn_and_inject(Attacker& a, Handle under, Open open) {
  for (const bool trusting : {true, false}) {
    const auto key = a.generate_like_fresh(Template().add(attr::wrap_with_trusted, trusting));
    const auto blob = a.attempt([&] { return a.s().wrap_key(oaep(), under, key); });
    const auto value = blob ? open(*blob) : std::nullopt;
    if (value) a.inject(key, *value);
  }
}

/// An RSA key that nobody admitted; TRUSTED, if the user could make it so.
void not_admitted(Attacker& a) {
  const auto plain = Template()
                         .add(attr::object_class, CKO_PUBLIC_KEY)
                         .add(attr::key_type, CKK_RSA)
                         .add(attr::token, false)
                         .add(attr::wrap, true)
                         .add(attr::modulus, modulus_of_pkcs8(a.target.thief_private))
                         .add(attr::public_exponent, {1, 0, 1});
  auto handle =
      a.attempt([&] { return a.s().create_object(Template(plain).add(attr::trusted, true)); });
  if (!handle) handle = a.attempt([&] { return a.s().create_object(plain); });
  if (handle)
    learn_and_inject(
        a, *handle, [&](const Bytes& blob) { return pkcs8_decrypt(a.target.thief_private, blob); });
}

/// The PIN, together with a target's private key.
void with_private_key(Attacker& a) {
  learn_and_inject(a, a.target.handover, [&](const Bytes& blob) {
    return pkcs8_decrypt(a.target.handover_private, blob);
  });
}

/// A KEK as a rotation makes it, before it rests: nothing in it tells it from a key that a target
/// may have.
void fresh_kek(Attacker& a) {
  for (const bool trusting : {true, false}) {
    auto attributes = Template()
                          .add(attr::object_class, CKO_SECRET_KEY)
                          .add(attr::key_type, CKK_AES)
                          .add(attr::value_len, 16)
                          .add(attr::allowed_mechanisms, {CKM_AES_KEY_WRAP})
                          .add(attr::wrap_template,
                               Template().add(attr::local, true).add(attr::always_sensitive, true))
                          .add(attr::token, false)
                          .add(attr::private_, true)
                          .add(attr::sensitive, true)
                          .add(attr::extractable, true);
    for (const auto& use : {attr::encrypt, attr::decrypt, attr::sign, attr::verify, attr::wrap,
                            attr::unwrap, attr::derive})
      attributes.add(use, false);
    if (trusting) attributes.add(attr::wrap_with_trusted, true);
    const auto blob = a.attempt([&] {
      const auto kek = a.s().generate_key(Mechanism(CKM_AES_KEY_GEN), attributes);
      return a.s().wrap_key(oaep(), a.target.handover, kek);
    });
    if (blob && pkcs8_decrypt(a.target.handover_private, *blob))
      a.loot.facts.emplace_back("a fresh KEK that its maker hands over to a target");
  }
}

/// The admitted public key with another WRAP_TEMPLATE, another use or another name.
void changed_or_copied(Attacker& a) {
  for (const auto& change :
       {Template().add(attr::wrap_template, Template()), Template().add(attr::encrypt, true),
        Template().add(attr::label, "another"), Template().add(attr::id, random_bytes(16))}) {
    const auto what = pkcs11::attribute_name(change.entries().front().type);
    if (a.attempt([&] {
          (void)a.s().copy_object(a.target.handover,
                                  Template().add(attr::token, false).append(change));
        }))
      a.loot.facts.push_back("a copy of a target's public key with another " + what);
    if (a.attempt([&] { a.s().set(a.target.handover, change); }))
      a.loot.facts.push_back("a target's public key with another " + what);
  }
}

// ---- what the key manager does ----

/// A public key like the target's with another modulus, as far as the token lets the thief make it.
std::optional<Handle> own_key(Attacker& a, const Template& like, const Bytes& private_key,
                              const Bytes& id, const std::string& label = {}) {
  auto attributes = without(like, {CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_DECRYPT, CKA_SIGN,
                                   CKA_UNWRAP, CKA_DERIVE, CKA_WRAP_WITH_TRUSTED})
                        .set(attr::id, id)
                        .add(attr::modulus, modulus_of_pkcs8(private_key))
                        .add(attr::public_exponent, {1, 0, 1});
  if (!label.empty()) attributes.set(attr::label, label);
  const auto create = [&](bool trusted) {
    return a.attempt([&] {
      return a.s().create_object(trusted ? Template(attributes).add(attr::trusted, true)
                                         : attributes);
    });
  };
  const auto own = create(true);
  return own ? own : create(false);
}
Bytes id_of(Attacker& a, Handle object) { return a.s().get(object, attr::id).value_or(Bytes{}); }

/// Rotates a device. Does the owner of this private key open what is handed over?
void rotate_for(Attacker& a, Service& service, const Bytes& private_key) {
  const auto answer = service.rotate({service.devices().at(for_own_key)}, {"guek"});
  if (!answer.said.empty()) a.note(answer.said);
  for (const auto& each : answer.handovers)
    if (pkcs8_decrypt(private_key, each.blob))
      a.loot.facts.push_back("a fresh " + each.role + " handed to the thief");
  if (!answer.transfers.empty() && !service.deliver()) a.note("the meter refused it");
}

void own_key_beside(Attacker& a, Service& service) {
  const auto original = service.target_object(a.s());
  const auto own = own_key(a, a.like(original), a.target.thief_private, id_of(a, original));
  if (!own) return;
  rotate_for(a, service, a.target.thief_private);
  a.s().destroy_object(*own);
}

void own_key_in_its_place(Attacker& a, Service& service) {
  const auto original = service.target_object(a.s());
  const auto like = a.like(original);
  const auto id = id_of(a, original);
  if (!a.attempt([&] { a.s().destroy_object(original); })) return;
  if (own_key(a, like, a.target.thief_private, id)) rotate_for(a, service, a.target.thief_private);
  if (const auto said = service.admit(false); !said.empty())
    a.loot.facts.push_back("the officer can't admit the target anew: " + said);
}

/// The row names a public key of the thief's, made like the target's.
void row_forged(Attacker& a, Service& service, Service::Forgery what, const Bytes& private_key,
                const Bytes& id, const std::string& label = {}) {
  const auto own = own_key(a, a.like(service.target_object(a.s())), private_key, id, label);
  service.forge_target(what, id);
  rotate_for(a, service, private_key);
  service.restore();
  if (own) a.s().destroy_object(*own);
}
void own_certificate(Attacker& a, Service& service) {
  row_forged(a, service, Service::Forgery::own_certificate, a.target.thief_private,
             random_bytes(16));
}
void own_admission(Attacker& a, Service& service) {
  row_forged(a, service, Service::Forgery::own_admission, a.target.thief_private, random_bytes(16));
}
/// Whoever has the private key of a party that was a target once, with the PIN and the database.
void revived(Attacker& a, Service& service) {
  const auto [id, label] = service.former_target();
  row_forged(a, service, Service::Forgery::revived, a.target.former_private, id, label);
}

void more_roles(Attacker& a, Service& service) {
  service.forge_target(Service::Forgery::more_roles, {});
  const auto answer = service.rotate({service.devices().at(for_rows)}, {"kek"});
  service.restore();
  if (!answer.said.empty()) a.note(answer.said);
  for (const auto& each : answer.handovers)
    if (each.role == "kek") a.loot.facts.emplace_back("a KEK handed over");
}

void handover_swapped(Attacker& a, Service& service) {
  const auto &device = service.devices().at(for_swap),
             &other = service.devices().at(for_swap_other);
  (void)service.rotate({device, other}, {"gak"});
  if (!service.deliver()) throw std::runtime_error("the meters refused the first release");
  service.swap_handovers(device, other);
  const auto answer = service.hand_out(device);
  service.swap_handovers(device, other);
  if (!answer.said.empty()) a.note(answer.said);
  for (const auto& each : answer.handovers)
    if (each.role == "gak" && each.generation == 2)  // the others' are as they should be
      a.loot.facts.emplace_back("another device's key handed out as this one's");
}

// ---- transfers that wait for receipts ----

/// Admits the target so that transfers wait for it, and rotates devices: nothing is released.
Service::Answer serve_first(Service& service, const std::vector<std::string>& devices,
                            const std::string& operation = {}) {
  if (const auto said = service.admit(true); !said.empty()) throw std::runtime_error(said);
  auto answer = service.rotate(devices, {"guek", "gak"}, operation, true);
  if (!answer.said.empty() || !answer.transfers.empty() || answer.handovers.empty())
    throw std::runtime_error("a transfer that is not withheld: " + answer.said);
  return answer;
}

/// The receipt as the target makes it, which opens the handover; here the token computes the proof.
Service::Receipt receipt(Service& service, const Service::Released& handed) {
  const auto [proof, refusal] =
      service.prove(handed.device, handed.role, handed.challenge, handed.generation);
  if (proof.empty()) throw std::runtime_error("no proof: " + refusal);
  return {handed.device, handed.role, handed.generation, "headend", proof};
}

/// Gives receipts that must not release anything.
void note_release(Attacker& a, const Service::Answer& answer) {
  if (!answer.said.empty()) a.note(answer.said);
  if (!answer.transfers.empty())
    a.loot.facts.emplace_back("a transfer released that its target did not receive");
}

/// Ends what an attack left: the target shows that it has the keys.
void receive_all(Attacker& a, Service& service, const Service::Answer& rotated) {
  std::vector<Service::Receipt> receipts;
  for (const auto& handed : rotated.handovers) receipts.push_back(receipt(service, handed));
  if (const auto said = service.receive(receipts).said; !said.empty()) a.note(said);
  if (!service.deliver()) a.note("a meter refused");
}

void receipt_replayed(Attacker& a, Service& service) {
  const auto rotated = serve_first(
      service, {service.devices().at(for_receipts), service.devices().at(for_receipts_other)});
  const auto& first = rotated.handovers.front();
  auto right = receipt(service, first);
  for (const auto& other : rotated.handovers) {
    if (&other == &first) continue;
    note_release(
        a, service.receive({{other.device, other.role, other.generation, "headend", right.proof}}));
  }
  right.target = "former";
  note_release(a, service.receive({right}));
  receive_all(a, service, rotated);
}

/// A device's handovers: of the GAK the database says that it was received, of the GUEK the target
/// says so.
void received_by_row(Attacker& a, Service& service) {
  const auto& device = service.devices().at(for_received);
  const auto rotated = serve_first(service, {device});
  service.forge_received(device, "gak");
  std::vector<Service::Receipt> all;
  for (const auto& handed : rotated.handovers) all.push_back(receipt(service, handed));
  note_release(a, service.receive({all.front()}));
  note_release(a, service.receive(all));
  service.restore();
  receive_all(a, service, rotated);
}

void released_by_row(Attacker& a, Service& service) {
  const auto& device = service.devices().at(for_released);
  const auto rotated = serve_first(service, {device}, "served-first");
  service.forge_released(device);
  note_release(a, service.rotate({device}, {"guek", "gak"}, "served-first", true));
  service.restore();
  receive_all(a, service, rotated);
}

/// The target's row says that nothing waits for it.
void waiting_dropped(Attacker& a, Service& service) {
  if (const auto said = service.admit(true); !said.empty()) throw std::runtime_error(said);
  service.forge_target(Service::Forgery::no_waiting, {});
  note_release(a, service.rotate({service.devices().at(for_rows)}, {"guek"}));
  service.restore();
}

/// The proof of a key shows that somebody may use it: so may the thief of the PIN. The last of
/// these attacks: nothing waits for the target any more.
void receipt_by_thief(Attacker& a, Service& service) {
  const auto rotated = serve_first(service, {service.devices().at(for_thief)});
  std::vector<Service::Receipt> receipts;
  for (const auto& handed : rotated.handovers) receipts.push_back(receipt(service, handed));
  note_release(a, service.receive(receipts));
  if (!service.deliver()) a.note("the meter refused it");
  if (const auto said = service.admit(false); !said.empty()) a.note(said);
}

}  // namespace

std::vector<Attack> handover_attacks() {
  const char* const trojan = "trojan wrapping key";
  const char* const learnt =
      "the token's own key, learnt under a key of the thief's: TRUSTED alone stops it";
  const char* const opened =
      "a sealed KEK is opened by the user, so it can't be TRUSTED and asks for no trust: as in the "
      "plain column";
  const char* const both =
      "a target's public key is TRUSTED as a KEK is: who has its private key and the PIN lets the "
      "token make a key, reads it, and wraps it for a meter";
  const char* const no_kek =
      "a fresh KEK looks as a key that a target may have: our code never hands one over; whoever "
      "has the PIN makes what he likes, and learns keys of his own making only";
  return {
      {"handover: key at rest wrapped under an admitted target", "Clulow 2003", keys_at_rest},
      {"handover: KEK at rest wrapped under an admitted target", "Clulow 2003", keks_at_rest},
      {"handover: fresh key learnt under a target not admitted", trojan, not_admitted, nullptr,
       learnt, nullptr, opened},
      {"handover: an admitted public key changed or copied", "Delaune, Kremer, Steel 2008",
       changed_or_copied},
      {"handover: PIN and a target's private key, known key wrapped", trojan, with_private_key,
       nullptr, both, both},
      {"handover: fresh KEK of the thief's wrapped for a target", "key separation", fresh_kek,
       nullptr, no_kek, no_kek},
  };
}

std::vector<ServiceAttack> handover_service_attacks() {
  const char* const storage = "known-key injection into storage";
  const char* const row = "row replaced";
  const char* const plain =
      "without the officer's TRUSTED a target's public key is what the database says that it is";
  const char* const use =
      "a receipt proves that the key can be used, not by whom: so can the PIN, and another target "
      "that has the same key";
  return {
      {"handover: own public key beside a target's, same id", storage, own_key_beside},
      {"database: target's certificate and key id the thief's", row, own_certificate},
      {"database: the same, and the record of its admission", row, own_admission, nullptr, plain},
      {"database: target takes KEKs, too", row, more_roles},
      {"database: retired target admitted again, its key made anew", row, revived, nullptr, plain},
      {"database: handovers of two devices exchanged", "blob swap", handover_swapped},
      {"receipt: proof of another key, device or target", "replay", receipt_replayed},
      {"database: handover received, by its row", row, received_by_row},
      {"database: withheld transfer released, by its row", row, released_by_row},
      {"database: target's row waits for no receipt", row, waiting_dropped},
      {"receipt: made by the thief of the PIN", "replay", receipt_by_thief, nullptr, use, nullptr,
       use},
      {"handover: target's public key destroyed, own in its place", storage, own_key_in_its_place},
  };
}

}  // namespace attack
