// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pkcs11/pool.hpp"
#include "smets1kms/types.hpp"

/// Operations on token objects that the vault and the enrolment share.
namespace smets1kms::vault {

/// A session object that is destroyed with this scope, whatever happens.
class ScopedObject {
 public:
  ScopedObject(pkcs11::Session& session, pkcs11::Handle handle)
      : session_(session), handle_(handle) {}
  ScopedObject(const ScopedObject&) = delete;
  ~ScopedObject() {
    try {
      session_.destroy_object(handle_);
    } catch (const pkcs11::Error&) {  // the session is lost, and the object with it
    }
  }
  [[nodiscard]] pkcs11::Handle handle() const { return handle_; }

 private:
  pkcs11::Session& session_;
  pkcs11::Handle handle_;
};

[[nodiscard]] pkcs11::Bytes raw(const KeyId& id);
/// Returns `attributes` with CKA_ID and CKA_LABEL in front.
[[nodiscard]] pkcs11::Template named(const KeyId& id, const std::string& label,
                                     const pkcs11::Template& attributes);
/// Returns every token object that has this id (session objects belong to work under way): a linear
/// search in most tokens, so not for use in every rotation.
[[nodiscard]] std::vector<pkcs11::Handle> search(pkcs11::Session& session, const KeyId& id);
/// Returns the CKA_ID of an object, where it is of the length of ours.
[[nodiscard]] std::optional<KeyId> id_of(pkcs11::Session& session, pkcs11::Handle object);
/// Destroys what has the id that an intent fixed: a lost reply leaves an orphan.
void remove_orphans(pkcs11::Session& session, const KeyId& id);
/// Throws CKR_TOKEN_NOT_PRESENT where the token does not answer: SoftHSM whose directory is gone
/// finds nothing and says CKR_OK, and that is not absence.
void require_answers(pkcs11::Pool& pool);
/// Throws CKR_TEMPLATE_INCONSISTENT where an object is not in every attribute as `expected`.
void require_same(pkcs11::Session& session, pkcs11::Handle object, const std::string& name,
                  const pkcs11::Template& expected);
/// Returns the only one of the objects found, with every attribute asserted; throws CKR_KEY_NEEDED
/// where there is another number of them.
[[nodiscard]] pkcs11::Handle only_one(pkcs11::Session& session,
                                      const std::vector<pkcs11::Handle>& found,
                                      const std::string& name, const pkcs11::Template& expected);
/// A key object in the token.
struct KeyObject {
  pkcs11::Handle handle;
  CK_OBJECT_CLASS object_class;
  std::string label;
};
/// Returns every key object of this product by its id: an enumeration of the whole token.
[[nodiscard]] std::multimap<KeyId, KeyObject> own_objects(pkcs11::Session& session);
/// Returns the label by id, in hex, of every key object of this product: an enumeration of the
/// whole token.
[[nodiscard]] std::map<std::string, std::string> own_keys(pkcs11::Session& session);
/// Returns "local,sensitive,always_sensitive": the names of those attributes that the token granted
/// as true.
[[nodiscard]] std::string granted_attributes(pkcs11::Session& session, pkcs11::Handle object);
/// Returns the same after `verify_attributes`, without a call: from `expected`, all of them but
/// CKA_TRUSTED.
[[nodiscard]] std::string granted_as_verified(const pkcs11::Template& expected);
/// Returns the same of a session object, in one call. Throws as `verify_attributes` where one of
/// them is not as asked.
[[nodiscard]] std::string granted_as_asked(pkcs11::Session& session, pkcs11::Handle object,
                                           const pkcs11::Template& asked, const char* function);
/// Reads `object` back. Where the token granted something else than `expected`, destroys the object
/// and throws CKR_TEMPLATE_INCONSISTENT as the answer of `function`.
void verify_attributes(pkcs11::Session& session, pkcs11::Handle object,
                       const pkcs11::Template& expected, const char* function);

}  // namespace smets1kms::vault
