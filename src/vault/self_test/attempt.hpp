// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

#include "vault/self_test/self_test.hpp"

/// Functions in which the table of table.cpp is written. Private to the self-test.
namespace smets1kms::vault::attempts {

using enum Protection::Verdict;

struct Outcome {
  Protection::Verdict verdict;
  std::string seen;
};

/// A key that wraps and unwraps, with a blob under it, and attributes in the form in which this
/// token unwraps the blob with them.
struct Storage {
  pkcs11::Handle key;
  pkcs11::Bytes blob;
  pkcs11::Template form;
};

/// Session for one attempt, with the operations that attempts consist of. It closes with its keys.
class AttemptContext {
 public:
  AttemptContext(pkcs11::Session& its_session, CK_MECHANISM_TYPE its_key_wrap)
      : session(its_session), key_wrap(its_key_wrap) {}

  pkcs11::Handle generate(const pkcs11::Template& attributes, CK_ULONG length = 16);
  /// Creates a key with `value`, which may be empty where it does not matter: a random one then.
  pkcs11::Handle create(const pkcs11::Template& attributes, const pkcs11::Bytes& value = {});
  pkcs11::Bytes wrap(pkcs11::Handle kek, pkcs11::Handle key) {
    return session.wrap_key(pkcs11::Mechanism(key_wrap), kek, key);
  }
  pkcs11::Handle unwrap(pkcs11::Handle kek, const pkcs11::Bytes& blob,
                        const pkcs11::RawTemplate& attributes) {
    return session.unwrap_key(pkcs11::Mechanism(key_wrap), kek, blob, attributes);
  }
  pkcs11::Handle unwrap(const Storage& from, const pkcs11::RawTemplate& attributes) {
    return unwrap(from.key, from.blob, attributes);
  }
  /// Makes a storage key whose blob comes out as `attributes`, and only as `unwrap_template` has it
  /// if that is not empty.
  [[nodiscard]] Storage storage(const pkcs11::Template& attributes,
                                const pkcs11::Template& unwrap_template = {});
  /// Returns `attributes` in the form in which this token unwraps with them: Luna before 7.9.3
  /// wants CKA_VALUE_LEN, SoftHSM refuses it. Throws where neither works.
  [[nodiscard]] pkcs11::Template unwrap_form(const pkcs11::Mechanism& by,
                                             pkcs11::Handle unwrapping_key,
                                             const pkcs11::Bytes& blob,
                                             pkcs11::Template attributes);
  /// Returns held if the call that made or changed `object` had no effect, for tokens that answer
  /// CKR_OK to what they ignore.
  [[nodiscard]] Outcome judge(const char* function, pkcs11::Handle object,
                              const pkcs11::Template& wanted);

  pkcs11::Session& session;
  CK_MECHANISM_TYPE key_wrap;
};

/// True for a fault of the token, of its line or of the session, which must not pass for a refusal;
/// CKR_GENERAL_ERROR, too.
[[nodiscard]] bool is_fault(const pkcs11::Error& error);

/// Runs the attack itself. An Error from it is the refusal we hope for; one from anything before it
/// means that the attempt could not be set up. `attack` may return an Outcome where CKR_OK is not
/// the last word.
template <class Attack>
[[nodiscard]] Outcome must_fail(const char* function, Attack attack) {
  try {
    if constexpr (std::is_same_v<decltype(attack()), Outcome>)
      return attack();
    else
      (void)attack();
  } catch (const pkcs11::Error& error) {
    if (is_fault(error)) throw;
    return {held, error.what()};
  }
  return {not_held, std::string(function) + ": CKR_OK"};
}
/// Does the same with an attack that returns an object: held, too, if `wanted` had no effect on it.
template <class Attack>
[[nodiscard]] Outcome must_not_get(AttemptContext& trial, const char* function,
                                   const pkcs11::Template& wanted, Attack attack) {
  return must_fail(function, [&] { return trial.judge(function, attack(), wanted); });
}
/// Returns held if every one is; not_held if one is not.
[[nodiscard]] Outcome all(std::initializer_list<Outcome> outcomes);

/// Returns the template of an AES session key that is as closed as can be: each attempt opens what
/// it needs.
[[nodiscard]] pkcs11::Template key();
[[nodiscard]] pkcs11::Template extractable_key();
/// Returns one attribute alone.
[[nodiscard]] inline pkcs11::Template one(pkcs11::Attribute<bool> attribute, bool value) {
  return pkcs11::Template().add(attribute, value);
}
[[nodiscard]] pkcs11::Template kek();  ///< WRAP only
[[nodiscard]] pkcs11::Template without(const pkcs11::Template& attributes, CK_ATTRIBUTE_TYPE type);

using Run = std::function<Outcome(AttemptContext&)>;
using Make = std::function<pkcs11::Handle(AttemptContext&)>;
enum class Need { always, with_officer, when_sealed, when_sealed_by_officer, wished };
struct Attempt {
  const char* name;
  Need need;
  Run run;
  const char* what;
};
[[nodiscard]] const std::vector<Attempt>& table();

/// The types of the functions below: an attempt, and a maker of a key.
using Tried = Outcome(AttemptContext&);
using Made = pkcs11::Handle(AttemptContext&);

// attributes.cpp: attributes that must not change, or not be claimed
[[nodiscard]] Run by_generation(const pkcs11::Template& wanted);
[[nodiscard]] Run by_creation(const pkcs11::Template& wanted);
[[nodiscard]] Run by_unwrap(const pkcs11::Template& wanted);
[[nodiscard]] Run by_set(const pkcs11::Template& attributes, const pkcs11::Template& change);
[[nodiscard]] Run by_copy(const pkcs11::Template& attributes, const pkcs11::Template& change);
Tried copies_uncopyable, destroys_undestroyable, shows_check_value, reads_value;

// use.cpp: keys used for something else
/// Returns an attempt to use a KEK in this operation.
[[nodiscard]] Run uses_kek(const char* function,
                           pkcs11::Bytes (pkcs11::Session::*operation)(pkcs11::Mechanism,
                                                                       pkcs11::Handle,
                                                                       pkcs11::ByteView),
                           CK_MECHANISM_TYPE type);
Tried decrypts_blob_by_ecb, decrypts_blob_by_key_wrap, encrypts_outside_allowed, digests_key,
    reads_digest_state, opens_rsa_otherwise;

// derive.cpp
[[nodiscard]] Run derives(CK_MECHANISM_TYPE type);
Tried joins_to_own_key;

// wrap.cpp
Tried wraps_under_rsa, wraps_without_wrap, wraps_outside_allowed;
/// Returns an attempt in which the KEK wraps an extractable key and must not wrap what `bad` makes.
[[nodiscard]] Run wraps(const pkcs11::Template& kek_attributes, const Make& bad);
[[nodiscard]] Make generated(const pkcs11::Template& attributes, CK_ULONG length = 16);
/// Makers of an extractable key in another way than by generation.
Made created, unwrapped, made_sensitive_later;

// unwrap.cpp
Tried unwraps_without_unwrap, unwraps_unsatisfiable, unwraps_with_others, unwraps_with_less,
    unwraps_with_doubled, unwraps_as_generic_secret, unwraps_one_byte;

// sealed.cpp
Tried unwraps_for_other_mechanisms, learns_opened_key, verifies_changed_mac;

}  // namespace smets1kms::vault::attempts
