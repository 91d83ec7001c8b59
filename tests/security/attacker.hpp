// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <deque>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "crypto.hpp"
#include "pkcs11/session.hpp"

namespace attack {

namespace attr = pkcs11::attr;
using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::Session;
using pkcs11::Template;

/// RSA-OAEP as SoftHSM has it.
[[nodiscard]] inline Mechanism oaep() { return Mechanism::rsa_oaep(CKM_SHA_1, CKG_MGF1_SHA1); }
[[nodiscard]] Template without(const Template& all,
                               std::initializer_list<CK_ATTRIBUTE_TYPE> dropped);

/// A device's key in the token, and what left the token of it.
struct Victim {
  std::string device, role;  ///< "00-DB-…"; "kek", "guek", "gbek", "gak"
  Handle handle = Handle::none;
  Bytes id, blob;  ///< blob: the released one, under `kek`; for a KEK the manufacturer's, under the
                   ///< transport key
  std::size_t kek = 0;  ///< index in Target::keks
  Bytes sealed{};       ///< sealed vault: its row's blob, under a storage key
};

/// Index in Target::storage.
[[nodiscard]] inline std::size_t store_of(const std::string& role) {
  return role == "kek" ? 0 : role == "gak" ? 2 : 1;
}
/// As the service opens a sealed key of this role.
[[nodiscard]] Template opened_form(const std::string& role);

/// A DLMS message on its way (authenticated and encrypted): the GAK is additional data behind the
/// control byte.
struct Overheard {
  std::size_t key = 0;  ///< index of the GUEK in Target::keys
  Bytes iv, cipher_text, tag;
  static constexpr std::uint8_t security_control = 0x30;
  static constexpr std::size_t tag_length = 12;
};

/// What the attacker finds: a logged-in token and everything that ever left it.
struct Target {
  std::shared_ptr<pkcs11::Module> module;
  CK_SLOT_ID slot = 0;
  std::vector<Victim> keks;  ///< first and second as imported, third made by a rotation
  std::vector<Victim> keys;  ///< GUEK, GAK
  Handle import_private = Handle::none, import_public = Handle::none;
  Handle enrolment = Handle::none;  ///< wraps KEKs that wait for the officer; none in plain mode
  std::array<Handle, 3>
      storage{};  ///< sealed vault: of KEKs, encryption keys, authentication keys; none elsewhere
  Handle mac = Handle::none;
  std::vector<Bytes> waiting;  ///< KEKs under the enrolment key, from the database
  std::vector<Overheard> overheard;
  Bytes transport_encrypted;  ///< the transport key under the import key
  Bytes import_modulus;
  Handle handover = Handle::none;  ///< public key of the handover target that is admitted
  /// Private keys, PKCS#8: of its party and of a target that is retired, used where an attack says
  /// that the thief has them, and the thief's own.
  Bytes handover_private, former_private, thief_private;
};

/// What an attack claims to have. The judge, who knows the keys, says what of it is so.
struct Loot {
  struct Injection {
    std::string device;
    Bytes blob, value;  ///< the meter is to take `value` from `blob`
  };
  struct Oracle {
    enum class Kind { ecb, cmac, check_value } kind;
    Bytes id, input, output;
  };
  std::vector<Bytes> keys;
  std::vector<Injection> injections;
  std::vector<Oracle> oracles;
  std::vector<std::pair<std::string, Bytes>>
      misdirected;  ///< a fresh key, released for another device, that this device's KEK opens
  std::vector<std::string>
      facts;  ///< what the token itself, or the key manager's output, has shown
};

/// One attack's sessions and the answers it got. Every call may fail; the attack goes on.
class Attacker {
 public:
  explicit Attacker(const Target& attacked) : target(attacked) { open(); }
  const Target& target;
  Loot loot;

  [[nodiscard]] Session& s() { return *sessions_.back(); }
  /// What `step` returns, or nothing (false for a step that returns nothing); a refusal is noted.
  template <class Step>
  auto attempt(Step&& step) {
    using Result = std::invoke_result_t<Step>;
    if constexpr (std::is_void_v<Result>) {
      try {
        step();
        return true;
      } catch (const pkcs11::Error& error) {
        note(error);
        return false;
      }
    } else {
      try {
        return std::optional<Result>(step());
      } catch (const pkcs11::Error& error) {
        note(error);
        return std::optional<Result>();
      }
    }
  }
  /// A call that pkcs11::Session has no word for.
  template <class Function, class... Arguments>
  void call(const char* name, Function CK_FUNCTION_LIST::*member, Arguments... arguments) {
    target.module->call(name, member, s().raw(), arguments...);
  }

  /// AES keys of the attacker's own, session objects.
  Handle create_known(const Bytes& value, const Template& more = {}, bool token = false);
  Handle create_wrapping_key(const Bytes& value) {
    return create_known(value, Template().add(attr::wrap, true).add(attr::unwrap, true));
  }
  /// Like a fresh GUEK: made by the token, sensitive from birth, extractable.
  Handle generate_like_fresh(const Template& more = {}, CK_ULONG length = 16);
  /// Learns an extractable key under a wrapping key of known value.
  std::optional<Bytes> learn(Handle key);
  /// Wraps `key`, whose value is known, for the device of each KEK.
  void inject(Handle key, const Bytes& value);
  /// An unwrap template: what the attacker would like.
  static Template readable(CK_KEY_TYPE type = CKK_AES);
  static Template secret(const Template& more);
  /// What makes one object like another: every attribute that it shows and a creation takes.
  Template like(Handle object);
  /// C_CopyObject that changes nothing.
  Handle verbatim_copy(Handle object);
  [[nodiscard]] Block ecb(Handle key, bool encrypt, CK_MECHANISM_TYPE mechanism = CKM_AES_ECB);
  /// Every released blob, and every KEK blob of the manufacturer's, opened by a block oracle or a
  /// key.
  void open_released(std::size_t kek, const Block& decrypt);
  void open_manufacturers(const Block& decrypt);
  void have_transport_key(const Bytes& value);

  void note(const pkcs11::Error& error);
  void note(const std::string& answer);
  [[nodiscard]] std::string answers() const;

 private:
  void open() { sessions_.push_back(std::make_unique<Session>(target.module, target.slot)); }
  std::deque<std::unique_ptr<Session>>
      sessions_;  ///< a spoiled one stays open for the objects that belong to it
  std::vector<std::pair<std::string, int>> answers_;
};

/// A row of the table.
struct Attack {
  const char* name;
  const char* source;  ///< the literature's name
  void (*run)(Attacker&);
  /// Why it can't succeed on SoftHSM 2.6.1 whatever the templates; nullptr where it does on the
  /// naive token.
  const char* impossible = nullptr;
  /// Why it is expected to succeed in plain mode; nullptr where it must not.
  const char* open_in_plain = nullptr;
  /// Why it succeeds even in officer mode: what SECURITY.md says remains. No key of another use, no
  /// injection.
  const char* remains = nullptr;
  /// Why it is expected to succeed in the sealed vault (officer's enrolment).
  const char* open_in_sealed = nullptr;
};

[[nodiscard]] std::vector<Attack> wrap_attacks();
[[nodiscard]] std::vector<Attack> attribute_attacks();
[[nodiscard]] std::vector<Attack> injection_attacks();
[[nodiscard]] std::vector<Attack> oracle_attacks();
[[nodiscard]] std::vector<Attack> import_attacks();
[[nodiscard]] std::vector<Attack> enrolment_attacks();
[[nodiscard]] std::vector<Attack> remaining_attacks();
[[nodiscard]] std::vector<Attack> sealed_attacks();
[[nodiscard]] std::vector<Attack> handover_attacks();

}  // namespace attack
