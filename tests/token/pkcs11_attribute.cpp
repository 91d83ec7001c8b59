// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "token/pkcs11_support.hpp"

TEST_CASE("a template keeps its order and refuses a second value") {
  Template wanted =
      Template().add(attr::value_len, 16).add(attr::modifiable, false).add(attr::label, "x");
  CHECK_THROWS_AS(wanted.add(attr::modifiable, true), std::logic_error);
  CHECK(wanted.to_string() == "CKA_VALUE_LEN=16 CKA_MODIFIABLE=false CKA_LABEL=\"x\"");
  wanted.set(attr::value_len, 32).set(attr::token, true);
  CHECK(wanted.to_string() ==
        "CKA_VALUE_LEN=32 CKA_MODIFIABLE=false CKA_LABEL=\"x\" CKA_TOKEN=true");
  CHECK(*wanted.find(attr::value_len) == 32);
  CHECK(wanted.find(attr::extractable) == nullptr);
  CHECK(wanted.find(CKA_TOKEN) != nullptr);
  CHECK(wanted != Template().add(attr::modifiable, false));
  CHECK(Template().empty());
}

TEST_CASE("a template is printed without key material") {
  const Template shown = Template()
                             .add(attr::object_class, CKO_SECRET_KEY)
                             .add(attr::key_type, CKK_AES)
                             .add(attr::id, Bytes{0xAB, 0x01})
                             .add(attr::value, Bytes(16, 0x42))
                             .add(attr::allowed_mechanisms, {CKM_AES_KEY_WRAP, 0x80000001})
                             .add(attr::wrap_template,
                                  Template().add(attr::local, true).add(attr::value, Bytes{0x42}));
  CHECK(shown.to_string() ==
        "CKA_CLASS=CKO_SECRET_KEY CKA_KEY_TYPE=CKK_AES CKA_ID=ab01 CKA_VALUE=(16 bytes) "
        "CKA_ALLOWED_MECHANISMS=[CKM_AES_KEY_WRAP,CKM_0x80000001] "
        "CKA_WRAP_TEMPLATE={CKA_LOCAL=true CKA_VALUE=(1 bytes)}");
  CHECK_FALSE(contains(shown.to_string(), "42"));
}

TEST_CASE("the C form has the sizes of the specification") {
  const Template source =
      Template()
          .add(attr::token, true)
          .add(attr::value_len, 16)
          .add(attr::label, "abc")
          .add(attr::check_value, {})
          .add(attr::allowed_mechanisms, {1, 2, 3})
          .add(attr::wrap_template, Template().add(attr::local, true).add(attr::sensitive, false));
  RawTemplate raw(source);
  const CK_ULONG sizes[] = {
      1, sizeof(CK_ULONG), 3, 0, 3 * sizeof(CK_MECHANISM_TYPE), 2 * sizeof(CK_ATTRIBUTE)};
  REQUIRE(raw.size() == std::size(sizes));
  for (std::size_t i = 0; i < std::size(sizes); ++i) {
    CAPTURE(i);
    CHECK(raw.data()[i].type == source.entries()[i].type);
    CHECK(raw.data()[i].ulValueLen == sizes[i]);
  }
  CHECK(*static_cast<CK_BBOOL*>(raw.data()[0].pValue) == CK_TRUE);
  CHECK(*static_cast<CK_ULONG*>(raw.data()[1].pValue) == 16);
  const auto* nested = static_cast<CK_ATTRIBUTE*>(raw.data()[5].pValue);
  CHECK(nested[0].type == CKA_LOCAL);
  CHECK(nested[1].ulValueLen == sizeof(CK_BBOOL));
  CHECK(RawTemplate(Template()).data() == nullptr);
}
