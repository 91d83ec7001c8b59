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

struct Outcome {
  Protection::Verdict verdict;
  std::string seen;
};
[[nodiscard]] inline Outcome held(std::string seen) {
  return {Protection::Verdict::held, std::move(seen)};
}
[[nodiscard]] inline Outcome not_held(std::string seen) {
  return {Protection::Verdict::not_held, std::move(seen)};
}
[[nodiscard]] inline Outcome not_tried(std::string seen) {
  return {Protection::Verdict::not_tried, std::move(seen)};
}

/// Session for one attempt, with the operations that attempts consist of. It closes with its keys.
class AttemptContext {
 public:
  AttemptContext(pkcs11::Session& its_session, CK_MECHANISM_TYPE its_key_wrap)
      : session(its_session), key_wrap(its_key_wrap) {}

  pkcs11::Handle generate(const pkcs11::Template& attributes, CK_ULONG length = 16);
  /// Creates a key with `value`, which is random where it does not matter.
  pkcs11::Handle create(const pkcs11::Template& attributes, const pkcs11::Bytes& value);
  pkcs11::Handle create(const pkcs11::Template& attributes) {
    return create(attributes, session.random(16));
  }
  pkcs11::Bytes wrap(pkcs11::Handle kek, pkcs11::Handle key) {
    return session.wrap_key(pkcs11::Mechanism(key_wrap), kek, key);
  }
  pkcs11::Handle unwrap(pkcs11::Handle kek, const pkcs11::Bytes& blob,
                        const pkcs11::Template& attributes) {
    return session.unwrap_key(pkcs11::Mechanism(key_wrap), kek, blob, attributes);
  }
  /// Returns `attributes` in the form in which this token unwraps with them: Luna before 7.9.3
  /// wants CKA_VALUE_LEN, SoftHSM refuses it. Throws where neither works.
  [[nodiscard]] pkcs11::Template unwrap_form(pkcs11::Handle kek, const pkcs11::Bytes& blob,
                                             pkcs11::Template attributes) {
    return unwrap_form(pkcs11::Mechanism(key_wrap), kek, blob, std::move(attributes));
  }
  [[nodiscard]] pkcs11::Template unwrap_form(const pkcs11::Mechanism& by,
                                             pkcs11::Handle unwrapping_key,
                                             const pkcs11::Bytes& blob,
                                             pkcs11::Template attributes);
  /// Returns held if the call had no effect, for tokens that answer CKR_OK to what they ignore.
  [[nodiscard]] Outcome judge(const char* function, pkcs11::Handle object,
                              const pkcs11::Template& wanted);
  /// Calls a function that Session does not have.
  template <class Function, class... Arguments>
  void call(const char* name, Function CK_FUNCTION_LIST::*member, Arguments... arguments) {
    const CK_RV rv =
        session.module().invoke_in(session.generation(), member, session.raw(), arguments...);
    if (rv != CKR_OK) throw pkcs11::Error(name, rv);
  }

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
    return held(error.what());
  }
  return not_held(std::string(function) + ": CKR_OK");
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

using Run = std::function<Outcome(AttemptContext&)>;
using Make = std::function<pkcs11::Handle(AttemptContext&)>;
enum class Need { always, with_officer, when_sealed, when_sealed_by_officer, wished };
struct Attempt {
  const char* name;
  const char* what;
  Need need;
  Run run;
};
[[nodiscard]] const std::vector<Attempt>& table();

// attributes.cpp: attributes that must not change, or not be claimed
[[nodiscard]] Run by_generation(pkcs11::Template wanted);
[[nodiscard]] Run by_creation(pkcs11::Template wanted);
[[nodiscard]] Run by_unwrap(pkcs11::Template wanted);
[[nodiscard]] Run by_set(pkcs11::Template attributes, pkcs11::Template change);
[[nodiscard]] Run by_copy(pkcs11::Template attributes, pkcs11::Template change);
Outcome copies_uncopyable(AttemptContext& trial);
Outcome destroys_undestroyable(AttemptContext& trial);
Outcome shows_check_value(AttemptContext& trial);
Outcome reads_value(AttemptContext& trial);

// use.cpp: keys used for something else
Outcome encrypts_with_kek(AttemptContext& trial);
Outcome signs_with_kek(AttemptContext& trial);
Outcome decrypts_blob_by_ecb(AttemptContext& trial);
Outcome decrypts_blob_by_key_wrap(AttemptContext& trial);
Outcome encrypts_outside_allowed(AttemptContext& trial);
Outcome digests_key(AttemptContext& trial);
Outcome reads_digest_state(AttemptContext& trial);
Outcome opens_rsa_otherwise(AttemptContext& trial);

// derive.cpp
[[nodiscard]] Run derives(CK_MECHANISM_TYPE type);
Outcome joins_to_own_key(AttemptContext& trial);

// wrap.cpp
Outcome wraps_without_wrap(AttemptContext& trial);
Outcome wraps_outside_allowed(AttemptContext& trial);
/// Returns an attempt in which the KEK wraps what `good` makes and must not wrap what `bad` makes.
[[nodiscard]] Run wraps(pkcs11::Template kek_attributes, Make good, Make bad);
[[nodiscard]] Make generated(pkcs11::Template attributes, CK_ULONG length = 16);
[[nodiscard]] Make created(pkcs11::Template attributes);
[[nodiscard]] Make unwrapped(pkcs11::Template attributes);
[[nodiscard]] Make made_sensitive_later(pkcs11::Template attributes);

// unwrap.cpp
Outcome unwraps_without_unwrap(AttemptContext& trial);
Outcome unwraps_unsatisfiable(AttemptContext& trial);
Outcome unwraps_with_others(AttemptContext& trial);
Outcome unwraps_with_less(AttemptContext& trial);
Outcome unwraps_with_doubled(AttemptContext& trial);
Outcome unwraps_as_generic_secret(AttemptContext& trial);
Outcome unwraps_one_byte(AttemptContext& trial);

// sealed.cpp
Outcome unwraps_for_other_mechanisms(AttemptContext& trial);
Outcome learns_opened_key(AttemptContext& trial);
Outcome verifies_changed_mac(AttemptContext& trial);

}  // namespace smets1kms::vault::attempts
