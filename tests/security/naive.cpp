// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "service.hpp"

/// A token with ordinary templates, and a key manager that trusts its labels and the rows of a
/// database.
namespace attack {

Template NaiveToken::ordinary() {
  return Template()
      .add(attr::token, true)
      .add(attr::private_, true)
      .add(attr::sensitive, true)
      .add(attr::extractable, true)
      .add(attr::encrypt, true)
      .add(attr::decrypt, true)
      .add(attr::sign, true)
      .add(attr::verify, true)
      .add(attr::wrap, true)
      .add(attr::unwrap, true)
      .add(attr::derive, true);
}

NaiveToken::NaiveToken(std::shared_ptr<pkcs11::Module> module, CK_SLOT_ID slot,
                       Bytes handover_private)
    : module_(module),
      slot_(slot),
      session_(module, slot),
      handover_private_(std::move(handover_private)) {
  make_import_pair();
}

void NaiveToken::make_import_pair() {
  for (const auto kind : {CKO_PUBLIC_KEY, CKO_PRIVATE_KEY})
    for (const auto object : session_.find_objects(Template().add(attr::object_class, kind)))
      session_.destroy_object(object);
  std::tie(import_public_, import_private_) =
      session_.generate_key_pair(Mechanism(CKM_RSA_PKCS_KEY_PAIR_GEN),
                                 Template()
                                     .add(attr::token, true)
                                     .add(attr::label, "import")
                                     .add(attr::encrypt, true)
                                     .add(attr::wrap, true)
                                     .add(attr::verify, true)
                                     .add(attr::modulus_bits, 2048)
                                     .add(attr::public_exponent, {1, 0, 1}),
                                 Template()
                                     .add(attr::token, true)
                                     .add(attr::label, "import")
                                     .add(attr::private_, true)
                                     .add(attr::sensitive, true)
                                     .add(attr::extractable, true)
                                     .add(attr::decrypt, true)
                                     .add(attr::unwrap, true)
                                     .add(attr::sign, true));
}

Target NaiveToken::fresh(Judge& judge) {
  for (const auto object :
       session_.find_objects(Template().add(attr::object_class, CKO_SECRET_KEY)))
    session_.destroy_object(object);
  const auto halves = session_.find_objects(Template().add(attr::label, "import"));
  for (const auto half : {import_public_, import_private_})
    if (std::find(halves.begin(), halves.end(), half) == halves.end()) {  // an attack has taken it
      make_import_pair();
      break;
    }
  Target target{.module = module_,
                .slot = slot_,
                .keks = {},
                .keys = {},
                .import_private = import_private_,
                .import_public = import_public_,
                .waiting = {},
                .overheard = {},
                .transport_encrypted = {},
                .import_modulus = session_.need(import_public_, attr::modulus),
                .handover_private = handover_private_};
  for (const auto old : session_.find_objects(Template().add(attr::label, target_label)))
    session_.destroy_object(old);
  target.handover =
      session_.create_object(Template()
                                 .add(attr::object_class, CKO_PUBLIC_KEY)
                                 .add(attr::key_type, CKK_RSA)
                                 .add(attr::token, true)
                                 .add(attr::wrap, true)
                                 .add(attr::id, random_bytes(16))
                                 .add(attr::label, target_label)
                                 .add(attr::modulus, modulus_of_pkcs8(handover_private_))
                                 .add(attr::public_exponent, {1, 0, 1}));
  const Bytes transport = random_bytes(32);
  target.transport_encrypted =
      rsa_encrypt(target.import_modulus, {1, 0, 1}, Padding::oaep_sha1, transport);
  const auto named = [&](const std::string& role, const std::string& device) {
    return Template()
        .add(attr::object_class, CKO_SECRET_KEY)
        .add(attr::key_type, CKK_AES)
        .add(attr::id, random_bytes(16))
        .add(attr::label, "naive/" + role + "/" + device)
        .append(ordinary());
  };
  for (const std::string device : {"A", "B", "C"}) {
    const Bytes value = random_bytes(16);
    const auto handle = session_.create_object(named("kek", device).add(attr::value, value));
    target.keks.push_back(
        victim(session_, device, "kek", handle, wrap(aes_encrypt(transport), value), 0));
    judge.know("kek", device, "kek", target.keks.back().id, value);
    for (const std::string role : {"guek", "gak"}) {
      const auto key = session_.generate_key(Mechanism(CKM_AES_KEY_GEN),
                                             named(role, device).add(attr::value_len, 16));
      const auto blob = session_.wrap_key(Mechanism(CKM_AES_KEY_WRAP), handle, key);
      target.keys.push_back(victim(session_, device, role, key, blob, target.keks.size() - 1));
      judge.know(role, device, role, target.keys.back().id, *unwrap(aes_decrypt(value), blob));
    }
  }
  for (std::size_t i = 0; i < target.storage.size(); ++i)
    target.storage[i] = session_.generate_key(
        Mechanism(CKM_AES_KEY_GEN), named("storage", std::to_string(i)).add(attr::value_len, 32));
  target.mac = session_.generate_key(
      Mechanism(CKM_AES_KEY_GEN), named("mac", "").add(attr::value_len, 32).set(attr::wrap, true));
  for (auto* all : {&target.keks, &target.keys})
    for (auto& each : *all)
      each.sealed = session_.wrap_key(Mechanism(CKM_AES_KEY_WRAP),
                                      target.storage[store_of(each.role)], each.handle);
  target.enrolment = session_.generate_key(Mechanism(CKM_AES_KEY_GEN),
                                           named("enrolment", "").add(attr::value_len, 32));
  target.waiting.push_back(
      session_.wrap_key(Mechanism(CKM_AES_KEY_WRAP), target.enrolment, target.keks.front().handle));
  return target;
}

namespace {

/// One object a key, the newest under its label; rows as they stand; keys that stay extractable at
/// rest.
class NaiveService final : public Service {
 public:
  NaiveService(std::shared_ptr<pkcs11::Module> module, CK_SLOT_ID slot, Judge& judge)
      : session_(module, slot), judge_(judge) {
    for (std::size_t i = 0; i < 32; ++i) devices_.push_back("N" + std::to_string(i));
  }
  Answer rotate(const std::vector<std::string>& devices, const std::vector<std::string>& roles,
                const std::string& operation, bool) override {
    Answer answer;
    for (const auto& device : devices) ensure(device);
    for (const auto& device : devices)
      for (const auto& role : roles) {
        auto& rows = rows_[{device, role}];
        if (operation.empty() || rows.size() < 2) make_key(device, role);
        (waits_ ? withheld_[device] : answer.transfers).push_back({device, role, rows.back()});
        if (role != "kek" || takes_keks_)
          answer.handovers.push_back({device, role, handed_[{device, role}]});
      }
    for (const auto& device : devices)
      if (released_.erase(device) != 0) answer.transfers = withheld_[device];
    return answer;
  }
  std::pair<Bytes, std::string> prove(const std::string& device, const std::string& role,
                                      const Bytes& challenge, std::uint32_t) override {
    ensure(device);
    const auto key = find(session_, label(device, role));
    if (role == "gak")
      return {session_.sign(Mechanism(CKM_AES_CMAC), key, proof_message(challenge)), {}};
    return {gcm_proof(session_, key, challenge), {}};
  }
  bool deliver() override { return true; }
  Handle object(Session& session, const std::string& device, const std::string& role) override {
    ensure(device);
    return find(session, label(device, role));
  }
  void copy_blob(const std::string& from_device, const std::string& from_role, int from_generation,
                 const std::string& to_device, const std::string& to_role,
                 int to_generation) override {
    ensure(from_device);
    rows_[{to_device, to_role}].at(static_cast<std::size_t>(to_generation - 1)) =
        rows_[{from_device, from_role}].at(static_cast<std::size_t>(from_generation - 1));
  }
  void swap_ids(const std::string& device, const std::string& other, const std::string&) override {
    ensure(device);
    ensure(other);
    kek_of_[device] = label(other, "kek");
    kek_of_[other] = label(device, "kek");
  }
  std::string plant_and_enrol(const Bytes&) override { return {}; }
  std::string swap_waiting_and_enrol(const std::string& device, const std::string& other) override {
    swap_ids(device, other, "kek");
    return {};
  }
  std::pair<Bytes, std::string> import_modulus() override {
    const auto found = session_.find_objects(
        Template().add(attr::object_class, CKO_PUBLIC_KEY).add(attr::label, "import"));
    return {session_.need(*std::max_element(found.begin(), found.end()), attr::modulus), {}};
  }
  std::string import_own(const std::string& device, const Bytes& kek, const Bytes&) override {
    ensure(device);
    session_.create_object(Template()
                               .add(attr::object_class, CKO_SECRET_KEY)
                               .add(attr::key_type, CKK_AES)
                               .add(attr::label, label(device, "kek"))
                               .add(attr::value, kek)
                               .append(NaiveToken::ordinary()));
    return {};
  }
  [[nodiscard]] const std::vector<std::string>& devices() const override { return devices_; }

  Handle target_object(Session& session) override {
    return find(session, NaiveToken::target_label);
  }
  std::pair<Bytes, std::string> former_target() override {
    return {random_bytes(16), NaiveToken::target_label};
  }
  Answer hand_out(const std::string& device) override {
    return {{}, {{device, "gak", handed_[{device, "gak"}], 2}}, {}};
  }
  /// A row says that it was received, or a receipt does: who could know that one is forged?
  Answer receive(const std::vector<Receipt>& receipts) override {
    Answer answer;
    for (const auto& receipt : receipts) answer.transfers = withheld_[receipt.device];
    return answer;
  }
  std::string admit(bool before_transfer) override {
    waits_ = before_transfer;
    return {};
  }
  void swap_handovers(const std::string& device, const std::string& other) override {
    ensure(device);
    ensure(other);
    std::swap(handed_[{device, "gak"}], handed_[{other, "gak"}]);
  }
  void forge_target(Forgery what, const Bytes&) override {
    takes_keks_ = what == Forgery::more_roles;
    if (what == Forgery::no_waiting) waits_ = false;
  }
  void restore() override { takes_keks_ = false; }
  void forge_received(const std::string&, const std::string&) override {}
  std::string verdict() override { return {}; }
  void forge_released(const std::string& device) override { released_.insert(device); }

  static Bytes proof_message(const Bytes& challenge) {
    static constexpr std::string_view prefix = "smets1-kms key proof 1";
    Bytes message(prefix.begin(), prefix.end());
    message.insert(message.end(), challenge.begin(), challenge.end());
    return message;
  }

 private:
  /// A device's KEK, and two generations of its keys.
  void ensure(const std::string& device) {
    if (!known_.insert(device).second) return;
    const Bytes value = random_bytes(16);
    (void)import_own(device, value, {});
    judge_.know("kek", device, "kek", {}, value);
    for (int round = 0; round < 2; ++round)
      for (const std::string role : {"guek", "gak"}) make_key(device, role);
  }
  void make_key(const std::string& device, const std::string& role) {
    const auto kek = find(session_, kek_label(device));
    const auto key = make(label(device, role));
    rows_[{device, role}].push_back(session_.wrap_key(Mechanism(CKM_AES_KEY_WRAP), kek, key));
    handed_[{device, role}] = session_.wrap_key(Mechanism::rsa_oaep(CKM_SHA_1, CKG_MGF1_SHA1),
                                                find(session_, NaiveToken::target_label), key);
  }
  static std::string label(const std::string& device, const std::string& role) {
    return "naive/" + role + "/" + device;
  }
  std::string kek_label(const std::string& device) {
    return kek_of_.contains(device) ? kek_of_[device] : label(device, "kek");
  }
  static Handle find(Session& session, const std::string& label) {
    const auto found = session.find_objects(Template().add(attr::label, label));
    if (found.empty()) throw std::runtime_error("no " + label);
    return *std::max_element(found.begin(), found.end());
  }
  Handle make(const std::string& name) {
    return session_.generate_key(Mechanism(CKM_AES_KEY_GEN), Template()
                                                                 .add(attr::value_len, 16)
                                                                 .add(attr::id, random_bytes(16))
                                                                 .add(attr::label, name)
                                                                 .append(NaiveToken::ordinary()));
  }
  static Bytes gcm_proof(Session& session, Handle key, const Bytes& challenge) {
    const Bytes digest = sha256(proof_message(challenge));
    const Bytes sealed = session.encrypt(
        Mechanism::aes_gcm({digest.begin(), digest.begin() + 12}, {}), key, challenge);
    return {sealed.end() - 16, sealed.end()};
  }
  Session session_;
  Judge& judge_;
  std::vector<std::string> devices_;
  std::set<std::string> known_;
  std::map<std::pair<std::string, std::string>, std::vector<Bytes>> rows_;
  std::map<std::string, std::string> kek_of_;
  bool waits_ = false, takes_keks_ = false;
  std::map<std::string, std::vector<Released>> withheld_;
  std::map<std::pair<std::string, std::string>, Bytes> handed_;  ///< the newest key's
  std::set<std::string> released_;                               ///< rows that somebody made say so
};

}  // namespace

std::unique_ptr<Service> naive_service(std::shared_ptr<pkcs11::Module> module, CK_SLOT_ID slot,
                                       Judge& judge) {
  return std::make_unique<NaiveService>(std::move(module), slot, judge);
}

}  // namespace attack
