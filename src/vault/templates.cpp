#include "vault/templates.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace smets1kms::vault {
namespace {

using pkcs11::Template;
namespace attr = pkcs11::attr;

/// T and F are set; a dot is not part of that template (a public key has no CKA_SENSITIVE; a copy keeps what
/// it does not name); o is true under the officer's enrolment and left out of the plain one; f is false under
/// the officer's and true in the plain one, t the other way round.
using Cells = std::string_view;
struct Row {
  pkcs11::Attribute<bool> attribute;
  Cells cells;  ///< one character a Class, in its order
  const char* why;
};

//   import pair: public, private
//   |  transport key
//   |  | enrolment key
//   |  | | KEK: admitted, copied; imported; fresh, copied
//   |  | | |    encryption key: fresh, copied
//   |  | | |    | authentication key: fresh, copied
//   |  | | |     | | rest by restore: storage key; encryption key, authentication key
//   |  | | |     | | |  audit pair: public, private
//   |  | | |     | | |  | sealed vault: sent KEK on its way; storage keys of KEKs, encryption keys, authentication keys
//   |  | | |     | | |  | |   MAC key
//   |  | | |     | | |  | |   | opened for one call: KEK, encryption key, authentication key
constexpr std::array rows{
    Row{attr::token, "TTFTFTTFTFTFTFTTTTFfffTFFF", "what is extractable, or not yet private, is a session object and goes with its session"},
    Row{attr::private_, "FffFFTTT.T.T.TTTFTffffTTTT",
        "nobody without a login sees that a key is there; F is what the officer must see: he sees public objects only"},
    Row{attr::sensitive, ".TTTT.TT.T.T.TTT.TTTTTTTTT", "no value in clear, from its first moment on (ALWAYS_SENSITIVE is the proof)"},
    Row{attr::extractable, ".FFFF.FTFTFTFFFF.FTFFFFFFF", "only a session object can be wrapped; what rests can't leave"},
    Row{attr::encrypt, "T.FFF.FF.FTF.FTFF.FFFFFFTF", "a GUEK protects messages; a public key that encrypts transport keys"},
    Row{attr::decrypt, ".FFFF.FF.FTF.FTF.FFFFFFFTF", "with WRAP, DECRYPT would open wrapped keys in clear (Clulow 2003)"},
    Row{attr::sign, ".FFFF.FF.F.FTFFT.TFFFFTFFT", "a GAK proves itself by CMAC; no other key signs"},
    Row{attr::verify, "F.FFF.FF.F.FTFFTT.FFFFTFFT", "as SIGN"},
    Row{attr::wrap, "F.FTT.TFTF.F.TFFF.FTTTFTFF", "KEKs, and the enrolment key; a fresh KEK gains it by the copy, so that it wraps nothing before it rests"},
    Row{attr::unwrap, ".TTTF.FF.F.F.TFF.FFTTTFFFF", "a KEK never unwraps: what it wraps is for the meter"},
    Row{attr::derive, ".FFFF.FF.F.F.FFF.FFFFFFFFF", "derivation gives related keys, and single bytes of a key (reduced key space)"},
    Row{attr::trusted, "..ooo..............ooo....", "only the officer can set it: what he did not admit wraps no key that asks for a trusted one"},
    Row{attr::wrap_with_trusted, ".......o.o.o......o....ooo", "a fresh key can't be learned under a thief's own wrapping key"},
    Row{attr::copyable, "FFFFT.FT.T.T.FFFFFFtttFFFF", "one copy, to rest; CKA_COPYABLE can't be lowered by it, MODIFIABLE=F then allows verbatim copies only"},
    Row{attr::modifiable, "FFFFTFFTFTFTFFFFFFFtttFFFF", "last: SoftHSM applies attributes one by one. T only where the copy to rest must change something"},
};

constexpr bool consistent = [] {
  for (const auto& row : rows)
    if (row.cells.size() != class_count) return false;
  return true;
}();
static_assert(consistent, "a cell for each class");

Template booleans(Class which, EnrolmentMode mode) {
  const bool officer = mode == EnrolmentMode::officer;
  Template result;
  for (const auto& row : rows) {
    switch (row.cells[static_cast<std::size_t>(which)]) {
      case 'T': result.add(row.attribute, true); break;
      case 'F': result.add(row.attribute, false); break;
      case 'f': result.add(row.attribute, !officer); break;
      case 't': result.add(row.attribute, officer); break;
      case 'o':
        if (officer) result.add(row.attribute, true);
        break;
      default: break;
    }
  }
  return result;
}

bool is_kek(Class which) { return which == Class::admitted_kek || which == Class::imported_kek || which == Class::fresh_kek || which == Class::opened_kek; }
bool stores(Class which) { return which == Class::kek_storage || which == Class::encryption_storage || which == Class::authentication_storage; }
bool is_copy(Class which) {
  return which == Class::admitted_kek_to_rest || which == Class::kek_to_rest || which == Class::encryption_key_to_rest ||
         which == Class::authentication_key_to_rest;
}
bool is_pair(Class which) {
  return which == Class::import_public_key || which == Class::import_private_key || which == Class::audit_public_key || which == Class::audit_private_key;
}
bool is_generated(Class which) {
  return which == Class::fresh_kek || which == Class::fresh_encryption_key || which == Class::fresh_authentication_key || which == Class::enrolment_key ||
         which == Class::storage_key || which == Class::mac_key || stores(which);
}
bool has_256_bits(Class which) { return which == Class::enrolment_key || which == Class::storage_key || which == Class::mac_key || stores(which); }

/// Only keys that the token itself made, and that were never readable, may be wrapped for a meter: a key of a
/// thief's choice answers CKR_KEY_NOT_WRAPPABLE. WRAP_WITH_TRUSTED stops the key that he lets the token make
/// and learns under a wrapping key of his own. The length is the suite's: meters silently truncate a longer
/// key. The KEK's successor passes too: it is wrapped while its own WRAP is still false.
Template wrappable(std::size_t length, EnrolmentMode mode) {
  Template result;
  result.add(attr::local, true)
      .add(attr::sensitive, true)
      .add(attr::always_sensitive, true)
      .add(attr::wrap, false)
      .add(attr::unwrap, false)
      .add(attr::derive, false);
  if (mode == EnrolmentMode::officer) result.add(attr::wrap_with_trusted, true);
  if (length != 0) result.add(attr::value_len, length);
  return result;
}

/// No key satisfies it: whoever raised UNWRAP on a KEK would unwrap nothing.
Template unsatisfiable() { return Template().add(attr::object_class, CKO_DATA); }

/// The whole column of what may come out of an unwrap, but for what differs from one to the next (token or
/// session object), its list of mechanisms (`stored` adds it) and what tokens do not nest (SoftHSM: a template in a template).
Template column_of(Class which, EnrolmentMode mode) {
  Template result;
  result.add(attr::object_class, CKO_SECRET_KEY).add(attr::key_type, CKK_AES);
  const Template all = booleans(which, mode);
  for (const auto& entry : all.entries())
    if (entry.type != CKA_TOKEN) result.add(pkcs11::Attribute<bool>{entry.type}, std::get<bool>(entry.value));
  return result;
}

Class opened(Class storage) {
  return storage == Class::kek_storage          ? Class::opened_kek
         : storage == Class::encryption_storage ? Class::opened_encryption_key
                                                : Class::opened_authentication_key;
}

/// What a storage key may wrap: no key of another class, or a blob that comes back under the wrong one would have both
/// uses. A KEK was sent (LOCAL=F), and under the officer's enrolment blobs are wrapped anew under the next storage key.
Template storable(Class storage, EnrolmentMode mode) {
  const bool officer = mode == EnrolmentMode::officer, kek = storage == Class::kek_storage;
  Template result;
  result.add(attr::sensitive, true).add(attr::unwrap, false).add(attr::derive, false);
  if (!officer && !kek) result.add(attr::local, true).add(attr::always_sensitive, true);
  if (!officer || !kek) result.add(attr::wrap, false);
  if (storage != Class::encryption_storage) result.add(attr::encrypt, false).add(attr::decrypt, false);
  if (storage != Class::authentication_storage) result.add(attr::sign, false).add(attr::verify, false);
  return result;
}

pkcs11::Mechanisms mechanisms(Class which, const Profile& profile) {
  switch (which) {
    case Class::import_public_key:
    case Class::import_private_key: return {CKM_RSA_PKCS_OAEP};  // PKCS#1 v1.5 would be a padding oracle
    case Class::fresh_encryption_key:
    case Class::opened_encryption_key:
    case Class::restored_encryption_key: return {CKM_AES_GCM};
    case Class::fresh_authentication_key:
    case Class::opened_authentication_key:
    case Class::mac_key:
    case Class::restored_authentication_key: return {CKM_AES_CMAC};
    case Class::audit_public_key:
    case Class::audit_private_key: return {CKM_ECDSA};
    default: return {profile.key_wrap};
  }
}

/// The whole column of what a storage key opens, its mechanisms too. Under the officer's enrolment EXTRACTABLE is left to
/// the caller and WRAP_WITH_TRUSTED is not: a blob can then be wrapped anew, but under the officer's storage keys alone.
Template stored(Class storage, const Terms& terms) {
  Template result;
  const Template column = column_of(opened(storage), terms.mode);
  for (const auto& entry : column.entries())
    if (terms.mode == EnrolmentMode::plain || entry.type != CKA_EXTRACTABLE) result.add(entry.type, entry.value);
  return result.add(attr::allowed_mechanisms, mechanisms(opened(storage), terms.profile));
}

void add_nested(Template& result, Class which, SecuritySuite suite, const Terms& terms) {
  const auto mode = terms.mode;
  const bool officer = mode == EnrolmentMode::officer;
  if (stores(which)) result.add(attr::wrap_template, storable(which, mode)).add(attr::unwrap_template, stored(which, terms));
  if (which == Class::opened_kek) {  // it can't be trusted (the user opens it), so what it wraps asks for no trust
    result.add(attr::wrap_template, wrappable(key_length(suite), EnrolmentMode::plain)).add(attr::unwrap_template, unsatisfiable());
    return;
  }
  const Class kek = officer ? Class::admitted_kek : Class::imported_kek;
  if (is_kek(which)) result.add(attr::wrap_template, wrappable(key_length(suite), mode)).add(attr::unwrap_template, unsatisfiable());
  if (which == Class::import_private_key) result.add(attr::unwrap_template, column_of(Class::transport_key, mode));
  if (which == Class::transport_key) result.add(attr::unwrap_template, column_of(kek, mode));
  if (which == Class::enrolment_key) result.add(attr::wrap_template, wrappable(0, mode)).add(attr::unwrap_template, column_of(kek, mode));
  // `storage_for` says what it may unwrap.
  if (which == Class::storage_key) result.add(attr::wrap_template, wrappable(key_length(suite), mode)).add(attr::unwrap_template, unsatisfiable());
}

constexpr std::array<std::string_view, class_count> class_names{"import_public_key",
                                                                "import_private_key",
                                                                "transport_key",
                                                                "enrolment_key",
                                                                "admitted_kek",
                                                                "admitted_kek_to_rest",
                                                                "imported_kek",
                                                                "fresh_kek",
                                                                "kek_to_rest",
                                                                "fresh_encryption_key",
                                                                "encryption_key_to_rest",
                                                                "fresh_authentication_key",
                                                                "authentication_key_to_rest",
                                                                "storage_key",
                                                                "restored_encryption_key",
                                                                "restored_authentication_key",
                                                                "audit_public_key",
                                                                "audit_private_key",
                                                                "sealable_kek",
                                                                "kek_storage",
                                                                "encryption_storage",
                                                                "authentication_storage",
                                                                "mac_key",
                                                                "opened_kek",
                                                                "opened_encryption_key",
                                                                "opened_authentication_key"};

/// The table's, whatever the token lacks.
Template complete(Class which, SecuritySuite suite, const Terms& terms) {
  Template result;
  if (!is_copy(which)) {
    if (!is_pair(which)) result.add(attr::object_class, CKO_SECRET_KEY).add(attr::key_type, CKK_AES);
    if (is_generated(which)) {
      result.add(attr::value_len, has_256_bits(which) ? 32 : key_length(suite));
      // E_K(0) is the GHASH key of a GCM key: CKA_CHECK_VALUE would publish 24 bits of it. Empty suppresses it.
      result.add(attr::check_value, pkcs11::Bytes{});
    }
    result.add(attr::allowed_mechanisms, mechanisms(which, terms.profile));
    add_nested(result, which, suite, terms);
  }
  result.append(booleans(which, terms.mode));
  if (const auto wrong = lint(result, is_copy(which)); !wrong.empty()) throw std::logic_error(std::string(to_string(which)) + ": " + wrong);
  return result;
}

/// Without what the token lacks, in nested templates too.
Template without(const Template& attributes, const std::vector<CK_ATTRIBUTE_TYPE>& lacks) {
  Template result;
  for (const auto& [type, value] : attributes.entries()) {
    if (std::ranges::find(lacks, type) != lacks.end()) continue;
    if (const auto* nested = std::get_if<std::vector<Template>>(&value))
      result.add(type, std::vector{without(nested->front(), lacks)});
    else
      result.add(type, value);
  }
  return result;
}

}  // namespace

std::string_view to_string(Class which) { return class_names[static_cast<std::size_t>(which)]; }

Template attributes(Class which, SecuritySuite suite, const Terms& terms) { return without(complete(which, suite, terms), terms.profile.lacks); }

Template unwrapping(const Template& attributes, std::size_t length, const Terms& terms) {
  Template result;
  if (terms.profile.unwrap_needs_value_len) result.add(attr::value_len, length);  // in front: CKA_MODIFIABLE stays the last
  return result.append(attributes);
}

Template fresh(KeyRole role, SecuritySuite suite, const Terms& terms) {
  return attributes(role == KeyRole::kek   ? Class::fresh_kek
                    : role == KeyRole::gak ? Class::fresh_authentication_key
                                           : Class::fresh_encryption_key,
                    suite, terms);
}

Template to_rest(KeyRole role, SecuritySuite suite, const Terms& terms) {
  return attributes(role == KeyRole::kek   ? Class::kek_to_rest
                    : role == KeyRole::gak ? Class::authentication_key_to_rest
                                           : Class::encryption_key_to_rest,
                    suite, terms);
}

namespace {

Class restored_class(KeyRole role) {
  return role == KeyRole::kek ? Class::imported_kek : role == KeyRole::gak ? Class::restored_authentication_key : Class::restored_encryption_key;
}

}  // namespace

Template storage_for(KeyRole role, SecuritySuite suite, const Terms& terms) {
  return without(complete(Class::storage_key, suite, terms).set(attr::unwrap_template, column_of(restored_class(role), terms.mode)), terms.profile.lacks);
}

Template restored(KeyRole role, SecuritySuite suite, const Terms& terms) { return attributes(restored_class(role), suite, terms); }

Template at_rest(KeyRole role, SecuritySuite suite, const Terms& terms, bool from_outside) {
  const bool officer = terms.mode == EnrolmentMode::officer;
  if (terms.profile.rest_by == RestBy::restore) return restored(role, suite, terms);
  if (from_outside && !officer) return attributes(Class::imported_kek, suite, terms);
  Template result = from_outside ? attributes(Class::admitted_kek, suite, terms) : fresh(role, suite, terms);
  const Template changes = from_outside ? attributes(Class::admitted_kek_to_rest, suite, terms) : to_rest(role, suite, terms);
  for (const auto& entry : changes.entries()) result.set(pkcs11::Attribute<bool>{entry.type}, std::get<bool>(entry.value));
  return result;
}

Template transport_key_for(Class kek, const Terms& terms) {
  return without(complete(Class::transport_key, {}, terms).set(attr::unwrap_template, column_of(kek, terms.mode)), terms.profile.lacks);
}

Class storage_of(KeyRole role) {
  return role == KeyRole::kek ? Class::kek_storage : role == KeyRole::gak ? Class::authentication_storage : Class::encryption_storage;
}

Template opened(KeyRole role, SecuritySuite suite, const Terms& terms) { return attributes(opened(storage_of(role)), suite, terms); }

Template fresh_to_seal(KeyRole role, SecuritySuite suite, const Terms& terms, bool trusted_kek) {
  const Terms asked{trusted_kek ? terms.mode : EnrolmentMode::plain, terms.profile};
  return fresh(role, suite, asked).set(attr::copyable, false).set(attr::modifiable, false);
}

Template storage_at_rest(Class which, const Terms& terms) {
  Template result = attributes(which, {}, terms);
  if (terms.mode == EnrolmentMode::officer && stores(which)) {
    const Template changes = attributes(Class::admitted_kek_to_rest, {}, terms);
    for (const auto& entry : changes.entries()) result.set(pkcs11::Attribute<bool>{entry.type}, std::get<bool>(entry.value));
  }
  if (terms.profile.shows_local()) result.add(attr::local, true).add(attr::always_sensitive, true);
  return result;
}

Template read_back(KeyRole role, SecuritySuite suite, const Terms& terms, bool from_outside) {
  Template result;
  // Says nothing of a key that can't be wrapped; one that was made under a sealed KEK has none.
  const Template all = at_rest(role, suite, terms, from_outside);
  for (const auto& entry : all.entries())
    if (role == KeyRole::kek || entry.type != CKA_WRAP_WITH_TRUSTED) result.add(entry.type, entry.value);
  if (!from_outside && terms.profile.keeps_local) result.add(attr::local, true).add(attr::always_sensitive, true);
  return result;
}

}  // namespace smets1kms::vault
