// SPDX-License-Identifier: Apache-2.0
#include "derivation.hpp"

/// The manufacturer's way in, walked by a thief: import key, transport key, KEKs.
namespace attack {
namespace {

void decrypt_oaep(Attacker& a) {
  if (const auto value = a.attempt([&] {
        return a.s().decrypt(oaep(), a.target.import_private, a.target.transport_encrypted);
      }))
    a.have_transport_key(*value);
}

void raw_rsa(Attacker& a) {
  const auto open = [&](const std::optional<Bytes>& block) {
    if (!block) return;
    if (const auto value = oaep_content(*block)) a.have_transport_key(*value);
  };
  open(a.attempt([&] {
    return a.s().decrypt(Mechanism(CKM_RSA_X_509), a.target.import_private,
                         a.target.transport_encrypted);
  }));
  open(a.attempt([&] {
    return a.s().sign(Mechanism(CKM_RSA_X_509), a.target.import_private,
                      a.target.transport_encrypted);
  }));
}

std::optional<Handle> transport_key(Attacker& a, const Template& attributes) {
  return a.attempt([&] {
    return a.s().unwrap_key(oaep(), a.target.import_private, a.target.transport_encrypted,
                            attributes);
  });
}

void transport_key_readable(Attacker& a) {
  for (const CK_KEY_TYPE type : {CKK_AES, CKK_GENERIC_SECRET})
    if (const auto key = transport_key(a, Attacker::readable(type)))
      if (const auto value = a.attempt([&] { return a.s().need(*key, attr::value); }))
        a.have_transport_key(*value);
}

void transport_key_decrypts(Attacker& a) {
  if (const auto key = transport_key(a, Attacker::secret(Template().add(attr::decrypt, true))))
    a.attempt([&] { a.open_manufacturers(a.ecb(*key, false)); });
}

/// The transport key with what the key manager itself asks of it; only the KEK's attributes are the
/// thief's.
std::optional<Handle> ordinary_transport_key(Attacker& a) {
  auto ours = transport_key(a, Template()
                                   .add(attr::object_class, CKO_SECRET_KEY)
                                   .add(attr::key_type, CKK_AES)
                                   .add(attr::allowed_mechanisms, {CKM_AES_KEY_WRAP})
                                   .add(attr::token, false)
                                   .add(attr::private_, true)
                                   .add(attr::sensitive, true)
                                   .add(attr::extractable, false)
                                   .add(attr::encrypt, false)
                                   .add(attr::decrypt, false)
                                   .add(attr::sign, false)
                                   .add(attr::verify, false)
                                   .add(attr::wrap, false)
                                   .add(attr::unwrap, true)
                                   .add(attr::derive, false)
                                   .add(attr::copyable, false)
                                   .add(attr::modifiable, false));
  return ours ? ours : transport_key(a, Attacker::secret(Template().add(attr::unwrap, true)));
}

template <class Use>
void reimport(Attacker& a, const Template& attributes, Use&& use) {
  const auto transport = ordinary_transport_key(a);
  if (!transport) return;
  for (std::size_t i = 0; i < a.target.keks.size(); ++i)
    if (const auto kek = a.attempt([&] {
          return a.s().unwrap_key(Mechanism(CKM_AES_KEY_WRAP), *transport, a.target.keks[i].blob,
                                  attributes);
        }))
      a.attempt([&] { use(i, *kek); });
}

void kek_readable(Attacker& a) {
  for (const CK_KEY_TYPE type : {CKK_AES, CKK_GENERIC_SECRET})
    reimport(a, Attacker::readable(type),
             [&](std::size_t, Handle kek) { a.loot.keys.push_back(a.s().need(kek, attr::value)); });
}

void kek_extractable(Attacker& a) {
  const auto attributes = Template()
                              .add(attr::object_class, CKO_SECRET_KEY)
                              .add(attr::key_type, CKK_AES)
                              .add(attr::token, false)
                              .add(attr::sensitive, true)
                              .add(attr::extractable, true);
  reimport(a, attributes, [&](std::size_t, Handle kek) {
    if (const auto value = a.learn(kek)) a.loot.keys.push_back(*value);
  });
}

void kek_decrypts(Attacker& a) {
  reimport(a, Attacker::secret(Template().add(attr::decrypt, true)),
           [&](std::size_t i, Handle kek) { a.open_released(i, a.ecb(kek, false)); });
}

void kek_unwraps(Attacker& a) {
  reimport(a, Attacker::secret(Template().add(attr::unwrap, true)), [&](std::size_t i, Handle kek) {
    for (const auto& key : a.target.keys)
      if (key.kek == i)
        a.loot.keys.push_back(a.s().need(
            a.s().unwrap_key(Mechanism(CKM_AES_KEY_WRAP), kek, key.blob, Attacker::readable()),
            attr::value));
  });
}

void kek_derives(Attacker& a) {
  const Bytes value = random_bytes(16);
  reimport(a, Attacker::secret(Template().add(attr::derive, true)), [&](std::size_t i, Handle kek) {
    const auto encrypt = [&](const Bytes& block) {
      Bytes data(block);
      return a.s().need(
          a.s().derive_key(with_data(CKM_AES_ECB_ENCRYPT_DATA, data), kek,
                           Attacker::readable(CKK_GENERIC_SECRET).add(attr::value_len, 16)),
          attr::value);
    };
    a.loot.injections.push_back({a.target.keks[i].device, wrap(encrypt, value), value});
  });
}

/// A second handle that wraps whatever the thief likes.
void kek_without_template(Attacker& a) {
  const Bytes value = random_bytes(16);
  const auto known = a.create_known(value);
  reimport(a, Attacker::secret(Template().add(attr::wrap, true)), [&](std::size_t i, Handle kek) {
    a.loot.injections.push_back(
        {a.target.keks[i].device, a.s().wrap_key(Mechanism(CKM_AES_KEY_WRAP), kek, known), value});
  });
}

/// Ways round an UNWRAP_TEMPLATE, each by the bare call: an attribute left out, twice, none at all.
void template_evasion(Attacker& a) {
  CK_OBJECT_CLASS object_class = CKO_SECRET_KEY;
  CK_KEY_TYPE aes = CKK_AES, generic = CKK_GENERIC_SECRET;
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  const CK_ATTRIBUTE is_secret{CKA_CLASS, &object_class, sizeof object_class},
      is_aes{CKA_KEY_TYPE, &aes, sizeof aes}, is_generic{CKA_KEY_TYPE, &generic, sizeof generic},
      in_session{CKA_TOKEN, &no, 1}, sensitive{CKA_SENSITIVE, &yes, 1},
      readable{CKA_SENSITIVE, &no, 1}, extractable{CKA_EXTRACTABLE, &yes, 1},
      locked{CKA_EXTRACTABLE, &no, 1}, decrypts{CKA_DECRYPT, &yes, 1},
      decrypts_not{CKA_DECRYPT, &no, 1};
  std::vector<std::vector<CK_ATTRIBUTE>> templates{
      {is_secret, is_aes, in_session},
      {is_secret, is_aes, in_session, sensitive, readable, locked, extractable},
      {is_secret, is_aes, in_session, readable, sensitive, extractable, locked},
      {is_secret, is_aes, in_session, sensitive, locked, decrypts_not, decrypts},
      {is_secret, is_generic, is_aes, in_session, readable, extractable},
      {is_secret, is_generic, in_session},
  };
  CK_RSA_PKCS_OAEP_PARAMS parameters{CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, nullptr, 0};
  CK_MECHANISM mechanism{CKM_RSA_PKCS_OAEP, &parameters, sizeof parameters};
  Bytes encrypted = a.target.transport_encrypted;
  for (auto& attributes : templates) {
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    if (!a.attempt([&] {
          a.call("C_UnwrapKey", &CK_FUNCTION_LIST::C_UnwrapKey, &mechanism,
                 static_cast<CK_OBJECT_HANDLE>(a.target.import_private), encrypted.data(),
                 CK_ULONG{encrypted.size()}, attributes.data(), CK_ULONG{attributes.size()}, &key);
        }))
      continue;
    const auto handle = static_cast<Handle>(key);
    if (const auto value = a.attempt([&] { return a.s().need(handle, attr::value); }))
      a.have_transport_key(*value);
    if (const auto value = a.learn(handle)) a.have_transport_key(*value);
    a.attempt([&] { a.open_manufacturers(a.ecb(handle, false)); });
  }
}

void shortened(Attacker& a) {
  for (const CK_KEY_TYPE type : {CKK_AES, CKK_GENERIC_SECRET})
    for (const CK_ULONG length : {1, 16}) {
      if (const auto key = transport_key(a, Attacker::readable(type).add(attr::value_len, length)))
        if (const auto value = a.attempt([&] { return a.s().need(*key, attr::value); })) {
          if (value->size() == length)
            a.loot.facts.push_back("a transport key cut to " + std::to_string(length) + " bytes");
          else
            a.note("VALUE_LEN ignored");
        }
    }
}

void wrap_import_key(Attacker& a) {
  const Bytes own = random_bytes(16);
  const auto blob = a.attempt([&] {
    return a.s().wrap_key(Mechanism(CKM_AES_KEY_WRAP_PAD), a.create_wrapping_key(own),
                          a.target.import_private);
  });
  const auto der = blob ? unwrap_padded(own, *blob) : std::nullopt;
  const auto value = der ? pkcs8_decrypt(*der, a.target.transport_encrypted) : std::nullopt;
  if (value) a.have_transport_key(*value);
}

void read_import_key(Attacker& a) {
  const pkcs11::Attribute<pkcs11::Bytes> secret_numbers[] = {
      {CKA_PRIVATE_EXPONENT}, {CKA_PRIME_1}, {CKA_PRIME_2}, {CKA_COEFFICIENT}};
  for (const auto& number : secret_numbers)
    if (const auto value = a.attempt([&] { return a.s().need(a.target.import_private, number); }))
      a.loot.facts.push_back(pkcs11::attribute_name(number.type) + " of the import key");
}

void raise_import_key(Attacker& a) {
  const auto handle = a.target.import_private;
  for (const auto& use : {attr::decrypt, attr::sign})
    a.attempt([&] { a.s().set(handle, Template().add(use, true)); });
  decrypt_oaep(a);
  for (const auto& change :
       {Template().add(attr::token, false).add(attr::decrypt, true),
        Template()
            .add(attr::token, false)
            .add(attr::allowed_mechanisms, {CKM_RSA_X_509, CKM_RSA_PKCS_OAEP})})
    if (const auto copy = a.attempt([&] { return a.s().copy_object(handle, change); }))
      if (const auto value =
              a.attempt([&] { return a.s().decrypt(oaep(), *copy, a.target.transport_encrypted); }))
        a.have_transport_key(*value);
}

/// Does the token tell good padding from bad? Its answers to a conforming text and to one that is
/// not.
void padding_oracle(Attacker& a, const char* name, const Bytes& good, const Bytes& bad,
                    const std::function<std::string(const Bytes&)>& ask) {
  const auto first = ask(good), second = ask(bad);
  a.note(std::string(name) + ": " + first + (first == second ? "" : " / " + second));
  if (first != second) a.loot.facts.push_back(std::string(name) + " tells good padding from bad");
}

void bleichenbacher(Attacker& a) {
  const Bytes exponent{1, 0, 1},
      good = rsa_encrypt(a.target.import_modulus, exponent, Padding::pkcs1, random_bytes(32));
  Bytes block = random_bytes(a.target.import_modulus.size());
  block[0] = 0;
  block[1] = 3;
  const Bytes bad = rsa_encrypt(a.target.import_modulus, exponent, Padding::raw, block);
  const auto answer = [](const std::function<void()>& step) {
    try {
      step();
      return std::string("CKR_OK");
    } catch (const pkcs11::Error& error) {
      return error.rv_name();
    }
  };
  padding_oracle(a, "C_UnwrapKey RSA_PKCS", good, bad, [&](const Bytes& data) {
    return answer([&] {
      (void)a.s().unwrap_key(Mechanism(CKM_RSA_PKCS), a.target.import_private, data,
                             Attacker::readable(CKK_GENERIC_SECRET));
    });
  });
  padding_oracle(a, "C_Decrypt RSA_PKCS", good, bad, [&](const Bytes& data) {
    try {
      (void)a.s().decrypt(Mechanism(CKM_RSA_PKCS), a.target.import_private, data);
      return std::string("CKR_OK");
    } catch (const pkcs11::Error& error) {
      a.note(error);
      return error.rv_name();
    }
  });
}

/// RFC 8017 section 7.1.2, note: a first byte that is not zero must look like any other error.
void manger(Attacker& a) {
  const Bytes exponent{1, 0, 1};
  Bytes small = random_bytes(a.target.import_modulus.size()), large(small);
  small[0] = 0;
  large[0] = static_cast<std::uint8_t>(a.target.import_modulus[0] / 2);
  padding_oracle(
      a, "C_UnwrapKey OAEP", rsa_encrypt(a.target.import_modulus, exponent, Padding::raw, small),
      rsa_encrypt(a.target.import_modulus, exponent, Padding::raw, large), [&](const Bytes& data) {
        try {
          (void)a.s().unwrap_key(oaep(), a.target.import_private, data,
                                 Attacker::secret(Template().add(attr::unwrap, true)));
          return std::string("CKR_OK");
        } catch (const pkcs11::Error& error) {
          return error.rv_name();
        }
      });
}

}  // namespace

std::vector<Attack> import_attacks() {
  const char* const reimport = "re-import with other attributes";
  const char* const dks = "Delaune, Kremer, Steel 2008";
  const char* const nested =
      "SoftHSM takes no template within a template: the PIN unwraps the transport key without its "
      "own UNWRAP_TEMPLATE, unless that takes the officer's TRUSTED";
  return {
      {"import: C_Decrypt OAEP of the transport key", "Clulow 2003", decrypt_oaep},
      {"import: raw RSA, as decryption and as signature", "Clulow 2003", raw_rsa},
      {"import: transport key unwrapped readable", reimport, transport_key_readable},
      {"import: transport key unwrapped with DECRYPT", reimport, transport_key_decrypts},
      {"import: KEK unwrapped readable (AES, GENERIC_SECRET)", reimport, kek_readable, nullptr,
       nested},
      {"import: KEK unwrapped EXTRACTABLE, then wrapped", reimport, kek_extractable, nullptr,
       nested},
      {"import: KEK, second handle with DECRYPT", dks, kek_decrypts, nullptr, nested},
      {"import: KEK, second handle with UNWRAP", dks, kek_unwraps, nullptr, nested},
      {"import: KEK, second handle with DERIVE", dks, kek_derives, nullptr, nested},
      {"import: KEK, second handle without WRAP_TEMPLATE", dks, kek_without_template, nullptr,
       nested},
      {"import: unwrap template with gaps and doubles", reimport, template_evasion},
      {"import: unwrapped with VALUE_LEN=1", "reduced key space", shortened,
       "SoftHSM refuses VALUE_LEN in an unwrap template"},
      {"import: import key wrapped under an own key", "trojan wrapping key", wrap_import_key},
      {"import: private numbers of the import key read", "Bortolozzo et al. 2010, a3",
       read_import_key, "SoftHSM shows no private number while SENSITIVE"},
      {"import: DECRYPT raised on the import key, set and copy", "Clulow 2003", raise_import_key},
      {"import: PKCS#1 v1.5 padding oracle", "Bleichenbacher 1998", bleichenbacher},
      {"import: OAEP padding oracle", "Manger 2001", manger, "SoftHSM answers alike"},
  };
}

}  // namespace attack
