// SPDX-License-Identifier: Apache-2.0
// The ciphering of the simulated meter and of the simulated head end, which were written apart:
// known messages, and each reads what the other writes.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <random>
#include <string>

#include "sim_headend/ciphering.hpp"
#include "sim_headend/key_proof.hpp"
#include "sim_meter/ciphering.hpp"
#include "sim_meter/proof.hpp"

namespace {

using support::Bytes;
using support::bytes_of_hex;
using support::ByteView;
using support::hex_of;
using support::Secret;

Secret key_of(const char* hex) { return *support::aes_key_of_hex(hex); }

const Secret guek = key_of("000102030405060708090A0B0C0D0E0F");
const Secret gak = key_of("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF");
const Bytes title = *bytes_of_hex("4D4D4D0000BC614E");
constexpr std::uint32_t counter = 0x01234567;

struct Vector {
  const char* what;
  std::uint8_t tag;
  const char *plain, *apdu;
};
// The first is the example of the DLMS UA Green Book.
const Vector vectors[] = {
    {"GET of the clock's time", 0xC8, "C0010000080000010000FF0200",
     "C81E3001234567411312FF935A47566827C467BC7D825C3BE4A77C3FCC056B6B"},
    {"transfer of a GUEK", 0xCB,
     "C301C1004000002B0000FF02010101020216000918"
     "77C00A662BB701613D60F762B02C0610A2DDBF87236AEE8C",
     "CB3E30012345674213D3FFDB5A477C6827C467BD1F9FFA0D754F0D6F51FF7E7570625D6F87B839A8B66D655307A57"
     "A0E8D4216350832C82DEAD1D9CD7D05D515"},
    {"its reply", 0xCF, "C701C10000", "CF1630012345674613D3FF9B69D813CAFCDC34EAAF0FACED"},
};

/// One side: it writes and reads whole APDUs.
struct Side {
  const char* name;
  Bytes (*write)(std::uint8_t tag, std::uint8_t control, std::uint32_t counter, const Bytes& sender,
                 const Secret& encryption, const Secret& authentication, ByteView plain);
  std::optional<Bytes> (*read)(std::uint8_t tag, std::uint8_t control, const Bytes& sender,
                               const Secret& encryption, const Secret& authentication,
                               ByteView apdu);
};

const Side meter{
    "meter",
    [](std::uint8_t tag, std::uint8_t control, std::uint32_t ic, const Bytes& sender,
       const Secret& encryption, const Secret& authentication, ByteView plain) {
      return sim_meter::encipher({tag, control, ic}, sender, {encryption, authentication}, plain);
    },
    [](std::uint8_t tag, std::uint8_t control, const Bytes& sender, const Secret& encryption,
       const Secret& authentication, ByteView apdu) -> std::optional<Bytes> {
      const auto parsed = sim_meter::parse_ciphered(apdu);
      if (!parsed || parsed->envelope.tag != tag || parsed->envelope.security_control != control)
        return std::nullopt;
      return sim_meter::decipher(*parsed, sender, {encryption, authentication});
    }};
const Side headend{
    "head end",
    [](std::uint8_t tag, std::uint8_t control, std::uint32_t ic, const Bytes& sender,
       const Secret& encryption, const Secret& authentication, ByteView plain) {
      return sim_headend::protect(tag, ic, {control, sender, encryption, authentication}, plain);
    },
    [](std::uint8_t tag, std::uint8_t control, const Bytes& sender, const Secret& encryption,
       const Secret& authentication, ByteView apdu) -> std::optional<Bytes> {
      auto opened =
          sim_headend::unprotect(tag, {control, sender, encryption, authentication}, apdu);
      if (!opened) return std::nullopt;
      return opened->plain;
    }};
const Side* const sides[] = {&meter, &headend};

}  // namespace

TEST_CASE("known messages, written and read by both programs") {
  for (const Side* side : sides) {
    for (const Vector& vector : vectors) {
      CAPTURE(side->name);
      CAPTURE(vector.what);
      const Bytes plain = *bytes_of_hex(vector.plain), apdu = *bytes_of_hex(vector.apdu);
      CHECK(hex_of(side->write(vector.tag, 0x30, counter, title, guek, gak, plain)) == vector.apdu);
      const auto read = side->read(vector.tag, 0x30, title, guek, gak, apdu);
      REQUIRE(read);
      CHECK(hex_of(*read) == vector.plain);
    }
  }
}

TEST_CASE("each flipped bit of a known message is refused, and each wrong key, title or length") {
  for (const Side* side : sides) {
    for (const Vector& vector : vectors) {
      CAPTURE(side->name);
      CAPTURE(vector.what);
      const Bytes apdu = *bytes_of_hex(vector.apdu);
      for (std::size_t bit = 0; bit < apdu.size() * 8; ++bit) {
        Bytes changed = apdu;
        changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1U << (bit % 8)));
        CHECK_FALSE(side->read(vector.tag, 0x30, title, guek, gak, changed));
      }
      for (std::size_t length = 0; length < apdu.size(); ++length)
        CHECK_FALSE(side->read(vector.tag, 0x30, title, guek, gak, ByteView(apdu).first(length)));
      CHECK_FALSE(side->read(vector.tag, 0x30, title, gak, gak, apdu));
      CHECK_FALSE(side->read(vector.tag, 0x30, title, guek, guek, apdu));
      CHECK_FALSE(side->read(vector.tag, 0x30, *bytes_of_hex("4D4D4D0000BC614F"), guek, gak, apdu));
      CHECK_FALSE(side->read(vector.tag, 0x70, title, guek, gak, apdu));
    }
  }
}

TEST_CASE("each program reads what the other writes: lengths, suites, key sets, counters") {
  std::mt19937 random(1);
  const auto bytes = [&](std::size_t length) {
    Bytes made(length);
    for (auto& byte : made) byte = static_cast<std::uint8_t>(random());
    return made;
  };
  for (const std::size_t key_length : {16U, 32U}) {
    for (const std::uint8_t control : Bytes{0x30, 0x31, 0x32, 0x70, 0x72}) {
      // 110 and 238 bytes are the last whose length takes one byte, and two.
      for (const std::size_t length : {0U, 1U, 13U, 110U, 111U, 238U, 239U, 600U}) {
        CAPTURE(length);
        const Secret encryption(bytes(key_length)), authentication(bytes(key_length));
        const Bytes plain = bytes(length), sender = bytes(8);
        const auto ic = static_cast<std::uint32_t>(random());
        const Bytes apdu =
            meter.write(0xCB, control, ic, sender, encryption, authentication, plain);
        CHECK(apdu == headend.write(0xCB, control, ic, sender, encryption, authentication, plain));
        for (const Side* side : sides)
          CHECK(side->read(0xCB, control, sender, encryption, authentication, apdu) == plain);
      }
    }
  }
}

TEST_CASE("both programs compute the same proofs") {
  const std::pair<sim_headend::Role, std::size_t> roles[] = {
      {sim_headend::Role::guek, sim_meter::guek_id},
      {sim_headend::Role::gbek, sim_meter::gbek_id},
      {sim_headend::Role::gak, sim_meter::gak_id}};
  for (const auto& [role, id] : roles) {
    for (const char* hex : {"000102030405060708090A0B0C0D0E0F",
                            "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"}) {
      for (const std::size_t length : {16U, 32U, 64U}) {
        sim_meter::Meter device;
        device.keys.at(id).current = key_of(hex);
        const Bytes challenge(length, 0xA5);
        CHECK(sim_headend::key_proof(role, key_of(hex), challenge) ==
              sim_meter::prove(device, id, challenge));
      }
    }
  }
  // SP 800-38B, by another implementation: openssl mac -cipher AES-128-CBC CMAC
  CHECK(hex_of(sim_headend::key_proof(sim_headend::Role::gak, guek, Bytes(32, 0))) ==
        "31A73074C78676C2868EEC6C3D0D94F4");
}
