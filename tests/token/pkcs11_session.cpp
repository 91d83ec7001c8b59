// SPDX-License-Identifier: Apache-2.0
#include "token/pkcs11_support.hpp"

namespace {

struct Logged {
  std::unique_ptr<Pool> pool = TestToken::current().pool();
  Pool::Lease lease = pool->lease();
  Session& session = *lease;
};

const Mechanism key_wrap(CKM_AES_KEY_WRAP);
const Mechanism key_gen(CKM_AES_KEY_GEN);

}  // namespace

TEST_CASE("RFC 3394 section 4: wrap and unwrap") {
  struct {
    const char *kek, *key, *wrapped;
  } const vectors[] = {
      {"000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF",
       "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"},
      {"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
       "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
       "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"},
  };
  Logged logged;
  for (const auto& [kek_hex, key_hex, wrapped] : vectors) {
    const Handle kek = logged.session.create_object(
        clear_key(kek_hex).add(attr::wrap, true).add(attr::unwrap, true));
    const Handle key = logged.session.create_object(clear_key(key_hex));
    CHECK(to_hex(logged.session.wrap_key(key_wrap, kek, key)) == wrapped);

    const Template readable = aes_key().add(attr::sensitive, false).add(attr::extractable, true);
    const Handle back = logged.session.unwrap_key(key_wrap, kek, from_hex(wrapped), readable);
    CHECK(to_hex(logged.session.need(back, attr::value)) == key_hex);

    Bytes corrupt = from_hex(wrapped);
    corrupt.front() ^= 1;
    CHECK_THROWS_AS(logged.session.unwrap_key(key_wrap, kek, corrupt, readable), Error);
    for (const Handle each : {kek, key, back}) logged.session.destroy_object(each);
  }
}

TEST_CASE("AES-GCM seals and opens, also no plaintext and more than one buffer") {
  Logged logged;
  const Handle key = logged.session.create_object(clear_key("000102030405060708090A0B0C0D0E0F")
                                                      .add(attr::encrypt, true)
                                                      .add(attr::decrypt, true));
  for (const std::size_t size : {0U, 1U, 16U, 500U, 5000U}) {
    CAPTURE(size);
    const Bytes data(size, 0x5A), iv(12, 7), additional{1, 2, 3};
    const Mechanism gcm = Mechanism::aes_gcm(iv, additional);
    Bytes sealed = logged.session.encrypt(gcm, key, data);
    CHECK(sealed.size() == size + 16);
    CHECK(logged.session.decrypt(gcm, key, sealed) == data);
    // A refused message must not be opened, and must leave the session usable by others.
    sealed.back() ^= 1;
    Logged other;
    CHECK_THROWS_AS((void)other.session.decrypt(gcm, key, sealed), Error);
    sealed.back() ^= 1;
    CHECK_THROWS_AS((void)other.session.decrypt(Mechanism::aes_gcm(iv, {1, 2, 4}), key, sealed),
                    Error);
  }
  CHECK_THROWS_AS((void)Mechanism::aes_gcm(Bytes(16), {}), std::invalid_argument);
}

TEST_CASE("GCM test case 4 of McGrew and Viega") {
  Logged logged;
  const Handle key = logged.session.create_object(
      clear_key("FEFFE9928665731C6D6A8F9467308308").add(attr::encrypt, true));
  const Mechanism gcm = Mechanism::aes_gcm(from_hex("CAFEBABEFACEDBADDECAF888"),
                                           from_hex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2"));
  CHECK(to_hex(logged.session.encrypt(
            gcm, key,
            from_hex("D9313225F88406E5A55909C5AFF5269A86A7A9531534F7DA2E4C303D8A318A72"
                     "1C3C0C95956809532FCF0E2449A6B525B16AEDF5AA0DE657BA637B39"))) ==
        "42831EC2217774244B7221B784D0D49CE3AA212F2C02A4E035C17E2329ACA12E21D514B25466931C7D8F6A5AAC"
        "84AA051BA30B396A0AAC973D58E091"
        "5BC94FBC3221A5DB94FAE95AE7121A47");
}

TEST_CASE("AES-CMAC: RFC 4493 section 4") {
  Logged logged;
  const Handle key = logged.session.create_object(
      clear_key("2B7E151628AED2A6ABF7158809CF4F3C").add(attr::sign, true).add(attr::verify, true));
  const std::pair<const char*, const char*> vectors[] = {
      {"", "BB1D6929E95937287FA37D129B756746"},
      {"6BC1BEE22E409F96E93D7E117393172A", "070A16B46B4D4144F79BDD9DD04A287C"}};
  const Mechanism cmac(CKM_AES_CMAC);
  for (const auto& [data, expected] : vectors) {
    Bytes mac = logged.session.sign(cmac, key, from_hex(data));
    CHECK(to_hex(mac) == expected);
    CHECK(logged.session.verify(cmac, key, from_hex(data), mac));
    mac[3] ^= 1;
    CHECK_FALSE(logged.session.verify(cmac, key, from_hex(data), mac));
    mac.pop_back();
    CHECK_FALSE(logged.session.verify(cmac, key, from_hex(data), mac));
    CHECK_FALSE(logged.session.operation_active());
  }
}

TEST_CASE("RSA-OAEP with SHA-1 brings a key in") {
  Logged logged;
  const Template public_key = Template()
                                  .add(attr::token, false)
                                  .add(attr::encrypt, true)
                                  .add(attr::wrap, true)
                                  .add(attr::modulus_bits, 2048)
                                  .add(attr::public_exponent, {1, 0, 1});
  const Template private_key =
      Template().add(attr::token, false).add(attr::private_, true).add(attr::unwrap, true);
  const auto [out, in] = logged.session.generate_key_pair(Mechanism(CKM_RSA_PKCS_KEY_PAIR_GEN),
                                                          public_key, private_key);
  CHECK(logged.session.need(out, attr::modulus).size() == 256);
  const Mechanism oaep = Mechanism::rsa_oaep(CKM_SHA_1, CKG_MGF1_SHA1);
  const Bytes clear = from_hex("00112233445566778899AABBCCDDEEFF");
  const Bytes sealed = logged.session.encrypt(oaep, out, clear);
  const Handle key = logged.session.unwrap_key(
      oaep, in, sealed, aes_key().add(attr::sensitive, false).add(attr::extractable, true));
  CHECK(logged.session.need(key, attr::value) == clear);
  Bytes corrupt = sealed;
  corrupt.back() ^= 1;
  CHECK_THROWS_AS(logged.session.unwrap_key(oaep, in, corrupt, aes_key()), Error);
}

TEST_CASE("attributes come back as they were set") {
  Logged logged;
  const Handle key = logged.session.generate_key(
      key_gen, aes_key()
                   .add(attr::value_len, 16)
                   .add(attr::label, "round trip")
                   .add(attr::id, {1, 2, 3})
                   .add(attr::sensitive, true)
                   .add(attr::extractable, false)
                   .add(attr::check_value, {})
                   .add(attr::allowed_mechanisms, {CKM_AES_GCM, CKM_AES_CMAC}));
  CHECK(logged.session.need(key, attr::value_len) == 16);
  CHECK(logged.session.need(key, attr::label) == "round trip");
  CHECK(logged.session.need(key, attr::id) == Bytes{1, 2, 3});
  CHECK(logged.session.need(key, attr::local));
  CHECK_FALSE(logged.session.need(key, attr::extractable));
  CHECK(logged.session.need(key, attr::key_gen_mechanism) == CKM_AES_KEY_GEN);
  CHECK(logged.session.need(key, attr::allowed_mechanisms).size() == 2);
  CHECK(logged.session.get(key, attr::check_value).value_or(Bytes{}).empty());

  CHECK_FALSE(logged.session.get(key, attr::value).has_value());    // CKR_ATTRIBUTE_SENSITIVE
  CHECK_FALSE(logged.session.get(key, attr::modulus).has_value());  // CKR_ATTRIBUTE_TYPE_INVALID
  CHECK(contains(message_of<Error>([&] { (void)logged.session.need(key, attr::value); }),
                 "CKA_VALUE"));
  CHECK_THROWS_AS((void)logged.session.get(Handle{0xFFFF}, attr::id), Error);
}

TEST_CASE("differences are told one by one") {
  Logged logged;
  const Template inner =
      Template().add(attr::sensitive, true).add(attr::local, true).add(attr::value_len, 16);
  const Template made = aes_key()
                            .add(attr::value_len, 16)
                            .add(attr::sensitive, true)
                            .add(attr::extractable, true)
                            .add(attr::wrap, true)
                            .add(attr::label, "kek")
                            .add(attr::allowed_mechanisms, {CKM_AES_KEY_WRAP, CKM_AES_GCM})
                            .add(attr::wrap_template, inner);
  const Handle key = logged.session.generate_key(key_gen, made);
  CHECK(logged.session.differences(key, made).empty());
  // Order is the token's own, within a nested template and within a list of mechanisms.
  Template turned = Template()
                        .add(attr::allowed_mechanisms, {CKM_AES_GCM, CKM_AES_KEY_WRAP})
                        .add(attr::wrap_template, Template()
                                                      .add(attr::value_len, 16)
                                                      .add(attr::local, true)
                                                      .add(attr::sensitive, true));
  CHECK(logged.session.differences(key, turned).empty());
  CHECK(logged.session.differences(key, Template().add(attr::value, Bytes(16)))
            .empty());  // not shown

  const std::pair<Template, const char*> wrong[] = {
      {Template().add(attr::extractable, false), "CKA_EXTRACTABLE: expected false, is true"},
      {Template().add(attr::value_len, 32), "CKA_VALUE_LEN: expected 32, is 16"},
      {Template().add(attr::label, "gak"), "CKA_LABEL: expected \"gak\", is \"kek\""},
      {Template().add(attr::allowed_mechanisms, {CKM_AES_KEY_WRAP}),
       "CKA_ALLOWED_MECHANISMS: expected [CKM_AES_KEY_WRAP], is [CKM_AES_GCM,CKM_AES_KEY_WRAP]"},
      {Template().add(attr::wrap_template, Template().add(attr::local, true)),
       "CKA_WRAP_TEMPLATE: expected {CKA_LOCAL=true}, is {CKA_SENSITIVE=true CKA_VALUE_LEN=16 "
       "CKA_LOCAL=true}"},
      {Template().add(attr::modulus_bits, 2048),
       "CKA_MODULUS_BITS: expected 2048, is not shown by the token"},
  };
  for (const auto& [expected, says] : wrong)
    CHECK(logged.session.differences(key, expected) == std::vector<std::string>{says});
}

TEST_CASE("a nested template is enforced") {
  Logged logged;
  Session& session = logged.session;
  const Template grown_here = Template().add(attr::local, true).add(attr::sensitive, true);
  const Handle kek = session.generate_key(key_gen, aes_key()
                                                       .add(attr::value_len, 16)
                                                       .add(attr::wrap, true)
                                                       .add(attr::wrap_template, grown_here));
  CHECK(session.get(kek, attr::wrap_template) ==
        Template().add(attr::sensitive, true).add(attr::local, true));

  const Handle fresh = session.generate_key(
      key_gen,
      aes_key().add(attr::value_len, 16).add(attr::sensitive, true).add(attr::extractable, true));
  CHECK(session.wrap_key(key_wrap, kek, fresh).size() == 24);
  const Handle planted = session.create_object(clear_key("00112233445566778899AABBCCDDEEFF"));
  CHECK(contains(message_of<Error>([&] { (void)session.wrap_key(key_wrap, kek, planted); }),
                 "C_WrapKey: CKR_KEY_NOT_WRAPPABLE"));

  const Template locked = Template().add(attr::sensitive, true).add(attr::extractable, false);
  const Handle storage = session.generate_key(key_gen, aes_key()
                                                           .add(attr::value_len, 16)
                                                           .add(attr::wrap, true)
                                                           .add(attr::unwrap, true)
                                                           .add(attr::unwrap_template, locked));
  const Bytes blob = session.wrap_key(key_wrap, storage, fresh);
  CHECK_NOTHROW(session.unwrap_key(
      key_wrap, storage, blob, aes_key().add(attr::sensitive, true).add(attr::extractable, false)));
  CHECK(contains(message_of<Error>([&] {
                   session.unwrap_key(
                       key_wrap, storage, blob,
                       aes_key().add(attr::sensitive, false).add(attr::extractable, true));
                 }),
                 "CKR_TEMPLATE_INCONSISTENT"));
}

TEST_CASE("a session key put to rest by a copy is found by its id, then destroyed") {
  Logged logged;
  Session& session = logged.session;
  const Bytes id = session.random(16);
  const Handle fresh = session.generate_key(key_gen, aes_key()
                                                         .add(attr::value_len, 16)
                                                         .add(attr::id, id)
                                                         .add(attr::sensitive, true)
                                                         .add(attr::extractable, true));
  // MODIFIABLE last: SoftHSM applies the changes one after another.
  const Handle rest = session.copy_object(
      fresh,
      Template().add(attr::token, true).add(attr::extractable, false).add(attr::modifiable, false));
  session.destroy_object(fresh);
  CHECK(session.find_objects(Template().add(attr::id, id)) == std::vector<Handle>{rest});
  CHECK(session
            .differences(rest, Template()
                                   .add(attr::local, true)
                                   .add(attr::always_sensitive, true)
                                   .add(attr::extractable, false))
            .empty());
  CHECK_THROWS_AS(session.set(rest, Template().add(attr::label, "other")), Error);
  session.destroy_object(rest);
  CHECK(session.find_objects(Template().add(attr::id, id)).empty());
  CHECK(contains(message_of<Error>([&] { session.destroy_object(rest); }),
                 "C_DestroyObject: CKR_OBJECT_HANDLE_INVALID"));
}

TEST_CASE("a search returns every match, however many") {
  Logged logged;
  std::vector<Handle> made;
  for (int i = 0; i < 150; ++i)
    made.push_back(logged.session.create_object(
        clear_key("00112233445566778899AABBCCDDEEFF").add(attr::label, "many")));
  CHECK(logged.session.find_objects(Template().add(attr::label, "many")).size() == 150);
  CHECK(logged.session.find_objects(Template().add(attr::label, "none")).empty());
  for (const Handle each : made) logged.session.destroy_object(each);
}
