// SPDX-License-Identifier: Apache-2.0
#include "vault/templates.hpp"

#include <algorithm>
#include <array>

namespace smets1kms::vault {
namespace {

using pkcs11::Template;
namespace attr = pkcs11::attr;

/// T and F are set; a dot is not part of that template (a public key has no CKA_SENSITIVE; a copy
/// keeps what it does not name); o is true under the officer's enrolment and left out of the plain
/// one; f is false under the officer's and true in the plain one, t the other way round.
using Cells = std::string_view;
struct Row {
  pkcs11::Attribute<bool> attribute;
  Cells cells;  ///< one character for each ObjectPurpose, in its order
  const char* why;
};

// Columns, by letter: aabcdddddeeffggghhiiiiijjjk
//   a import pair: public, private       f authentication key: fresh, copied
//   b transport key                      g rest by restore: storage key; encryption key,
//   c enrolment key                        authentication key
//   d KEK: admitted, copied; imported;   h audit pair: public, private
//     fresh, copied                      i sealed vault: sent KEK on its way; storage keys of
//   e encryption key: fresh, copied        KEKs, encryption keys, authentication keys; MAC key
//   j opened for one call: KEK, encryption key, authentication key
//   k handover target: public key
constexpr std::array rows{
    Row{attr::token, "TTFTFTTFTFTFTFTTTTFfffTFFFT",
        "what is extractable, or not yet private, is a session object and goes with its session"},
    Row{attr::private_, "FffFFTTT.T.T.TTTFTffffTTTTf",
        "nobody without a login sees that a key is there; F is what the officer must see: he sees "
        "public objects only"},
    Row{attr::sensitive, ".TTTT.TT.T.T.TTT.TTTTTTTTT.",
        "no value in clear, from its first moment on (ALWAYS_SENSITIVE is the proof)"},
    Row{attr::extractable, ".FFFF.FTFTFTFFFF.FTFFFFFFF.",
        "only a session object can be wrapped; what rests can't leave"},
    Row{attr::encrypt, "T.FFF.FF.FTF.FTFF.FFFFFFTFF",
        "a GUEK protects messages; a public key that encrypts transport keys"},
    Row{attr::decrypt, ".FFFF.FF.FTF.FTF.FFFFFFFTF.",
        "with WRAP, DECRYPT would open wrapped keys in clear (Clulow 2003)"},
    Row{attr::sign, ".FFFF.FF.F.FTFFT.TFFFFTFFT.",
        "a GAK proves itself by CMAC; no other key signs"},
    Row{attr::verify, "F.FFF.FF.F.FTFFTT.FFFFTFFTF", "as SIGN"},
    Row{attr::wrap, "F.FTT.TFTF.F.TFFF.FTTTFTFFT",
        "KEKs, the enrolment key and handover targets; a fresh KEK gains it by the copy, so that "
        "it wraps nothing "
        "before it rests"},
    Row{attr::unwrap, ".TTTF.FF.F.F.TFF.FFTTTFFFF.",
        "a KEK never unwraps: what it wraps is for the meter"},
    Row{attr::derive, ".FFFF.FF.F.F.FFF.FFFFFFFFF.",
        "derivation gives related keys, and single bytes of a key (reduced key space)"},
    Row{attr::trusted, "..ooo..............ooo....o",
        "only the officer can set it: what he did not admit wraps no key that asks for a trusted "
        "one"},
    Row{attr::wrap_with_trusted, ".......o.o.o......o....ooo.",
        "a fresh key can't be learned under a thief's own wrapping key"},
    Row{attr::copyable, "FFFFT.FT.T.T.FFFFFFtttFFFFF",
        "one copy, to rest; CKA_COPYABLE can't be lowered by it, MODIFIABLE=F then allows verbatim "
        "copies only"},
    Row{attr::modifiable, "FFFFTFFTFTFTFFFFFFFtttFFFFF",
        "last: SoftHSM applies attributes one by one. T only where the copy to rest must change "
        "something"},
};

static_assert(std::ranges::all_of(rows,
                                  [](const Row& row) { return row.cells.size() == purpose_count; }),
              "a cell for each purpose");

Template booleans(ObjectPurpose which, EnrolmentMode mode) {
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

template <class... Purposes>
constexpr bool is_any(ObjectPurpose which, Purposes... of) {
  return ((which == of) || ...);
}
bool is_kek(ObjectPurpose which) {
  using enum ObjectPurpose;
  return is_any(which, admitted_kek, imported_kek, fresh_kek, opened_kek);
}
bool stores(ObjectPurpose which) {
  using enum ObjectPurpose;
  return is_any(which, kek_storage, encryption_storage, authentication_storage);
}
bool is_copy(ObjectPurpose which) {
  using enum ObjectPurpose;
  return is_any(which, admitted_kek_to_rest, kek_to_rest, encryption_key_to_rest,
                authentication_key_to_rest);
}
bool is_asymmetric(ObjectPurpose which) {
  using enum ObjectPurpose;
  return is_any(which, import_public_key, import_private_key, audit_public_key, audit_private_key,
                handover_target);
}
bool has_256_bits(ObjectPurpose which) {
  using enum ObjectPurpose;
  return is_any(which, enrolment_key, storage_key, mac_key) || stores(which);
}
bool is_generated(ObjectPurpose which) {
  using enum ObjectPurpose;
  return is_any(which, fresh_kek, fresh_encryption_key, fresh_authentication_key) ||
         has_256_bits(which);
}

/// Returns the WRAP_TEMPLATE of a KEK. Only keys that the token itself made, and that were never
/// readable, may be wrapped for a meter: a key of a thief's choice answers CKR_KEY_NOT_WRAPPABLE.
/// WRAP_WITH_TRUSTED stops the key that he lets the token make and learns under a wrapping key of
/// his own. The length is the suite's: meters silently truncate a longer key. The KEK's successor
/// passes too: it is wrapped while its own WRAP is still false.
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

/// Returns a template that no key satisfies: whoever raised UNWRAP on a KEK would unwrap nothing.
Template unsatisfiable() { return Template().add(attr::object_class, CKO_DATA); }

/// Returns the column of what may come out of an unwrap, except what differs from one to the next
/// (token or session object), mechanisms (`stored` adds them) and what tokens do not nest (SoftHSM:
/// a template in a template).
Template column_of(ObjectPurpose which, EnrolmentMode mode) {
  Template result;
  result.add(attr::object_class, CKO_SECRET_KEY).add(attr::key_type, CKK_AES);
  const Template all = booleans(which, mode);
  for (const auto& entry : all.entries())
    if (entry.type != CKA_TOKEN)
      result.add(pkcs11::Attribute<bool>{entry.type}, std::get<bool>(entry.value));
  return result;
}

ObjectPurpose opened(ObjectPurpose storage) {
  return storage == ObjectPurpose::kek_storage          ? ObjectPurpose::opened_kek
         : storage == ObjectPurpose::encryption_storage ? ObjectPurpose::opened_encryption_key
                                                        : ObjectPurpose::opened_authentication_key;
}

/// Returns the WRAP_TEMPLATE of a storage key. It takes no key of another class, or a blob that
/// comes back under the wrong one would have both uses. A KEK was sent (LOCAL=F), and under the
/// officer's enrolment blobs are wrapped anew under the next storage key.
Template storable(ObjectPurpose storage, EnrolmentMode mode) {
  const bool officer = mode == EnrolmentMode::officer, kek = storage == ObjectPurpose::kek_storage;
  Template result;
  result.add(attr::sensitive, true).add(attr::unwrap, false).add(attr::derive, false);
  if (!officer && !kek) result.add(attr::local, true).add(attr::always_sensitive, true);
  if (!officer || !kek) result.add(attr::wrap, false);
  if (storage != ObjectPurpose::encryption_storage)
    result.add(attr::encrypt, false).add(attr::decrypt, false);
  if (storage != ObjectPurpose::authentication_storage)
    result.add(attr::sign, false).add(attr::verify, false);
  return result;
}

pkcs11::Mechanisms mechanisms(ObjectPurpose which, const Profile& profile) {
  switch (which) {
    case ObjectPurpose::import_public_key:
    case ObjectPurpose::import_private_key:
    case ObjectPurpose::handover_target:
      return {CKM_RSA_PKCS_OAEP};  // PKCS#1 v1.5 would be a padding oracle
    case ObjectPurpose::fresh_encryption_key:
    case ObjectPurpose::opened_encryption_key:
    case ObjectPurpose::restored_encryption_key: return {CKM_AES_GCM};
    case ObjectPurpose::fresh_authentication_key:
    case ObjectPurpose::opened_authentication_key:
    case ObjectPurpose::mac_key:
    case ObjectPurpose::restored_authentication_key: return {CKM_AES_CMAC};
    case ObjectPurpose::audit_public_key:
    case ObjectPurpose::audit_private_key: return {CKM_ECDSA};
    default: return {profile.key_wrap};
  }
}

/// Returns the column of what a storage key opens, with mechanisms. Under the officer's enrolment
/// EXTRACTABLE is left to the caller and WRAP_WITH_TRUSTED is not: a blob can then be wrapped anew,
/// but under the officer's storage keys alone.
Template stored(ObjectPurpose storage, const TokenProfile& token_profile) {
  Template result;
  const Template column = column_of(opened(storage), token_profile.mode);
  for (const auto& entry : column.entries())
    if (token_profile.mode == EnrolmentMode::plain || entry.type != CKA_EXTRACTABLE)
      result.add(entry.type, entry.value);
  return result.add(attr::allowed_mechanisms, mechanisms(opened(storage), token_profile.profile));
}

void add_nested(Template& result, ObjectPurpose which, SecuritySuite suite,
                const TokenProfile& token_profile) {
  const auto mode = token_profile.mode;
  const bool officer = mode == EnrolmentMode::officer;
  if (stores(which))
    result.add(attr::wrap_template, storable(which, mode))
        .add(attr::unwrap_template, stored(which, token_profile));
  if (which == ObjectPurpose::opened_kek) {  // it can't be trusted (the user opens it), so what it
                                             // wraps asks for no trust
    result.add(attr::wrap_template, wrappable(key_length(suite), EnrolmentMode::plain))
        .add(attr::unwrap_template, unsatisfiable());
    return;
  }
  const ObjectPurpose kek = officer ? ObjectPurpose::admitted_kek : ObjectPurpose::imported_kek;
  if (is_kek(which))
    result.add(attr::wrap_template, wrappable(key_length(suite), mode))
        .add(attr::unwrap_template, unsatisfiable());
  if (which == ObjectPurpose::import_private_key)
    result.add(attr::unwrap_template, column_of(ObjectPurpose::transport_key, mode));
  if (which == ObjectPurpose::transport_key)
    result.add(attr::unwrap_template, column_of(kek, mode));
  if (which == ObjectPurpose::handover_target)  // all suites: without VALUE_LEN. A fresh KEK would
                                                // fit as well; our code never asks for that
    result.add(attr::wrap_template, wrappable(0, mode));
  if (which == ObjectPurpose::enrolment_key)
    result.add(attr::wrap_template, wrappable(0, mode))
        .add(attr::unwrap_template, column_of(kek, mode));
  // `storage_for` adds what it may unwrap.
  if (which == ObjectPurpose::storage_key)
    result.add(attr::wrap_template, wrappable(key_length(suite), mode))
        .add(attr::unwrap_template, unsatisfiable());
}

/// Returns the template of the table, whatever the token lacks.
Template complete(ObjectPurpose which, SecuritySuite suite, const TokenProfile& token_profile) {
  Template result;
  if (!is_copy(which)) {
    if (!is_asymmetric(which))
      result.add(attr::object_class, CKO_SECRET_KEY).add(attr::key_type, CKK_AES);
    if (is_generated(which)) {
      result.add(attr::value_len, has_256_bits(which) ? 32 : key_length(suite));
      // E_K(0) is the GHASH key of a GCM key: CKA_CHECK_VALUE would publish 24 bits of it. Empty
      // suppresses it.
      result.add(attr::check_value, pkcs11::Bytes{});
    }
    result.add(attr::allowed_mechanisms, mechanisms(which, token_profile.profile));
    add_nested(result, which, suite, token_profile);
  }
  return result.append(booleans(which, token_profile.mode));
}

/// Returns the attributes without those that the token lacks, in nested templates too.
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

Template attributes(ObjectPurpose which, SecuritySuite suite, const TokenProfile& token_profile) {
  return without(complete(which, suite, token_profile), token_profile.profile.lacks);
}

Template unwrapping(const Template& attributes, std::size_t length,
                    const TokenProfile& token_profile) {
  Template result;
  if (token_profile.profile.unwrap_needs_value_len)
    result.add(attr::value_len, length);  // in front: CKA_MODIFIABLE stays the last
  return result.append(attributes);
}

Template fresh(KeyRole role, SecuritySuite suite, const TokenProfile& token_profile) {
  return attributes(role == KeyRole::kek   ? ObjectPurpose::fresh_kek
                    : role == KeyRole::gak ? ObjectPurpose::fresh_authentication_key
                                           : ObjectPurpose::fresh_encryption_key,
                    suite, token_profile);
}

Template to_rest(KeyRole role, SecuritySuite suite, const TokenProfile& token_profile) {
  return attributes(role == KeyRole::kek   ? ObjectPurpose::kek_to_rest
                    : role == KeyRole::gak ? ObjectPurpose::authentication_key_to_rest
                                           : ObjectPurpose::encryption_key_to_rest,
                    suite, token_profile);
}

namespace {

ObjectPurpose restored_class(KeyRole role) {
  return role == KeyRole::kek   ? ObjectPurpose::imported_kek
         : role == KeyRole::gak ? ObjectPurpose::restored_authentication_key
                                : ObjectPurpose::restored_encryption_key;
}

}  // namespace

Template storage_for(KeyRole role, SecuritySuite suite, const TokenProfile& token_profile) {
  return without(
      complete(ObjectPurpose::storage_key, suite, token_profile)
          .set(attr::unwrap_template, column_of(restored_class(role), token_profile.mode)),
      token_profile.profile.lacks);
}

Template restored(KeyRole role, SecuritySuite suite, const TokenProfile& token_profile) {
  return attributes(restored_class(role), suite, token_profile);
}

Template at_rest(KeyRole role, SecuritySuite suite, const TokenProfile& token_profile,
                 bool from_outside) {
  const bool officer = token_profile.mode == EnrolmentMode::officer;
  if (token_profile.profile.persist_by == PersistBy::restore)
    return restored(role, suite, token_profile);
  if (from_outside && !officer)
    return attributes(ObjectPurpose::imported_kek, suite, token_profile);
  Template result = from_outside ? attributes(ObjectPurpose::admitted_kek, suite, token_profile)
                                 : fresh(role, suite, token_profile);
  const Template changes =
      from_outside ? attributes(ObjectPurpose::admitted_kek_to_rest, suite, token_profile)
                   : to_rest(role, suite, token_profile);
  for (const auto& entry : changes.entries())
    result.set(pkcs11::Attribute<bool>{entry.type}, std::get<bool>(entry.value));
  return result;
}

Template transport_key_for(ObjectPurpose kek, const TokenProfile& token_profile) {
  return without(complete(ObjectPurpose::transport_key, {}, token_profile)
                     .set(attr::unwrap_template, column_of(kek, token_profile.mode)),
                 token_profile.profile.lacks);
}

Template target_attributes(const TokenProfile& token_profile, VaultKind keep) {
  const auto fits = keep == VaultKind::token ? token_profile.mode : EnrolmentMode::plain;
  return without(complete(ObjectPurpose::handover_target, {}, token_profile)
                     .set(attr::wrap_template, wrappable(0, fits)),
                 token_profile.profile.lacks);
}

ObjectPurpose storage_of(KeyRole role) {
  return role == KeyRole::kek   ? ObjectPurpose::kek_storage
         : role == KeyRole::gak ? ObjectPurpose::authentication_storage
                                : ObjectPurpose::encryption_storage;
}

Template opened(KeyRole role, SecuritySuite suite, const TokenProfile& token_profile) {
  return attributes(opened(storage_of(role)), suite, token_profile);
}

Template fresh_to_seal(KeyRole role, SecuritySuite suite, const TokenProfile& token_profile,
                       bool trusted_kek) {
  const TokenProfile asked{trusted_kek ? token_profile.mode : EnrolmentMode::plain,
                           token_profile.profile};
  return fresh(role, suite, asked).set(attr::copyable, false).set(attr::modifiable, false);
}

Template storage_at_rest(ObjectPurpose which, const TokenProfile& token_profile) {
  Template result = attributes(which, {}, token_profile);
  if (token_profile.mode == EnrolmentMode::officer && stores(which)) {
    const Template changes = attributes(ObjectPurpose::admitted_kek_to_rest, {}, token_profile);
    for (const auto& entry : changes.entries())
      result.set(pkcs11::Attribute<bool>{entry.type}, std::get<bool>(entry.value));
  }
  if (token_profile.profile.shows_local())
    result.add(attr::local, true).add(attr::always_sensitive, true);
  return result;
}

Template read_back(KeyRole role, SecuritySuite suite, const TokenProfile& token_profile,
                   bool from_outside) {
  Template result;
  // WRAP_WITH_TRUSTED says nothing of a key that can't be wrapped; one made under a sealed KEK has
  // none.
  const Template all = at_rest(role, suite, token_profile, from_outside);
  for (const auto& entry : all.entries())
    if (role == KeyRole::kek || entry.type != CKA_WRAP_WITH_TRUSTED)
      result.add(entry.type, entry.value);
  if (!from_outside && token_profile.profile.keeps_local)
    result.add(attr::local, true).add(attr::always_sensitive, true);
  return result;
}

}  // namespace smets1kms::vault
