#include "vault/templates.hpp"

#include <array>

namespace smets1kms::vault {
namespace {

using pkcs11::Template;
namespace attr = pkcs11::attr;

/// T and F are set; a dot is not part of that template (a public key has no CKA_SENSITIVE; a copy
/// keeps what it does not name).
using Cells = std::string_view;
struct Row {
  pkcs11::Attribute<bool> attribute;
  Cells cells;  ///< one character a Class, in its order
  const char* why;
};

//   import pair: public, private
//   |  transport key
//   |  | KEK: imported, fresh, copied to rest
//   |  | |   encryption key: fresh, copied
//   |  | |   |  authentication key: fresh, copied
constexpr std::array rows{
    Row{attr::token, "TTFTFTFTFT", "what is extractable is a session object, and goes with its session"},
    Row{attr::private_, "FTTTT.T.T.", "nobody without a login sees that a key is there"},
    Row{attr::sensitive, ".TTTT.T.T.", "no value in clear, from its first moment on (ALWAYS_SENSITIVE is the proof)"},
    Row{attr::extractable, ".FFFTFTFTF", "only a session object can be wrapped; what rests can't leave"},
    Row{attr::encrypt, "T.FFF.FTF.", "a GUEK protects messages; a public key that encrypts transport keys"},
    Row{attr::decrypt, ".FFFF.FTF.", "with UNWRAP, DECRYPT would open wrapped keys in clear (Clulow 2003)"},
    Row{attr::sign, ".FFFF.F.FT", "a GAK proves itself by CMAC; no other key signs"},
    Row{attr::verify, "F.FFF.F.FT", "as SIGN"},
    Row{attr::wrap, "F.FTFTF.F.", "KEKs only; a fresh KEK gains it by the copy, so that it wraps nothing before it rests"},
    Row{attr::unwrap, ".TTFF.F.F.", "a KEK never unwraps: what it wraps is for the meter"},
    Row{attr::derive, ".FFFF.F.F.", "derivation gives related keys, and single bytes of a key (reduced key space)"},
    Row{attr::copyable, "FFFFT.T.T.", "one copy, to rest; CKA_COPYABLE can't be lowered by it, MODIFIABLE=F then allows verbatim copies only"},
    Row{attr::modifiable, "FFFFTFTFTF", "last: SoftHSM applies attributes one by one. T only where the copy to rest must change something"},
};
static_assert([] {
  for (const auto& row : rows)
    if (row.cells.size() != class_count) return false;
  return true;
}());

bool is_kek(Class which) { return which == Class::imported_kek || which == Class::fresh_kek; }

/// Only keys that the token itself made, and that were never readable, may be wrapped for a meter: a
/// key of a thief's choice answers CKR_KEY_NOT_WRAPPABLE. The length is the suite's: meters silently
/// truncate a longer key. The KEK's successor passes too: it is wrapped while its own WRAP is still false.
Template wrappable(SecuritySuite suite) {
  return Template().add(attr::local, true).add(attr::sensitive, true).add(attr::always_sensitive, true).add(attr::wrap, false)
      .add(attr::unwrap, false).add(attr::derive, false).add(attr::value_len, key_length(suite));
}

/// No key satisfies it: whoever raised UNWRAP on a KEK would unwrap nothing.
Template unsatisfiable() { return Template().add(attr::object_class, CKO_DATA); }


Template booleans(Class which) {
  Template result;
  for (const auto& row : rows) {
    const char cell = row.cells[static_cast<std::size_t>(which)];
    if (cell != '.') result.add(row.attribute, cell == 'T');
  }
  return result;
}

pkcs11::Mechanisms mechanisms(Class which) {
  switch (which) {
    case Class::import_public_key: case Class::import_private_key: return {CKM_RSA_PKCS_OAEP};  // PKCS#1 v1.5 would be a padding oracle
    case Class::transport_key: case Class::imported_kek: case Class::fresh_kek: return {CKM_AES_KEY_WRAP};
    case Class::fresh_authentication_key: return {CKM_AES_CMAC};
    default: return {CKM_AES_GCM};
  }
}

}  // namespace

Template attributes(Class which, SecuritySuite suite) {
  Template result;
  const bool copy = which == Class::kek_to_rest || which == Class::encryption_key_to_rest || which == Class::authentication_key_to_rest;
  const bool pair = which == Class::import_public_key || which == Class::import_private_key;
  const bool generated = which == Class::fresh_kek || which == Class::fresh_encryption_key || which == Class::fresh_authentication_key;
  if (!copy) {
    if (!pair) result.add(attr::object_class, CKO_SECRET_KEY).add(attr::key_type, CKK_AES);
    if (generated) {
      result.add(attr::value_len, key_length(suite));
      // E_K(0) is the GHASH key of a GCM key: CKA_CHECK_VALUE would publish 24 bits of it. Empty suppresses it.
      result.add(attr::check_value, pkcs11::Bytes{});
    }
    result.add(attr::allowed_mechanisms, mechanisms(which));
    if (is_kek(which)) result.add(attr::wrap_template, wrappable(suite)).add(attr::unwrap_template, unsatisfiable());
  }
  result.append(booleans(which));
  return result;
}

Template fresh(KeyRole role, SecuritySuite suite) {
  return attributes(role == KeyRole::kek ? Class::fresh_kek : role == KeyRole::gak ? Class::fresh_authentication_key : Class::fresh_encryption_key, suite);
}

Template to_rest(KeyRole role, SecuritySuite suite) {
  return attributes(role == KeyRole::kek ? Class::kek_to_rest : role == KeyRole::gak ? Class::authentication_key_to_rest : Class::encryption_key_to_rest, suite);
}

Template at_rest(KeyRole role, SecuritySuite suite) {
  Template result = fresh(role, suite);
  const Template changes = to_rest(role, suite);
  for (const auto& entry : changes.entries()) result.set(pkcs11::Attribute<bool>{entry.type}, std::get<bool>(entry.value));
  return result;
}

}  // namespace smets1kms::vault
