// SPDX-License-Identifier: Apache-2.0
#include "audit/checkpoint.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "audit/support.hpp"
#include "audit/text.hpp"
#include "support/expect.hpp"
#include "unit/scratch.hpp"

using namespace smets1kms::audit;

namespace {

const std::string dash = "\xE2\x80\x94 ";

AuditKey vector_key() {
  return AuditKey::from_pem(test::vector_file("checkpoint-test-key.pub.pem"));
}

bool is_taken(const std::string& text) {
  try {
    const auto note = Note::parse(text);
    REQUIRE(note.format() == text);
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

bool is_good(const std::string& text, std::span<const AuditKey> keys) {
  try {
    return check_signatures(Note::parse(text), keys) == Signed::yes;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const auto at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), with);
}

std::vector<Hash> leaves(std::size_t count) {
  std::vector<Hash> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(leaf_hash("leaf " + std::to_string(i)));
  return all;
}

CompactRange tree_of(std::size_t count) {
  CompactRange tree;
  for (const auto& leaf : leaves(count)) tree.append(leaf);
  return tree;
}

Proof proof_between(std::uint64_t first, std::uint64_t second) {
  return prove_consistency(first, second, [&](unsigned level, std::uint64_t index) {
    const auto all = leaves((index + 1) << level);
    CompactRange part;
    for (const auto& leaf : std::span(all).subspan(index << level)) part.append(leaf);
    return part.root();
  });
}

}  // namespace

TEST_CASE("the given checkpoints are read, verified and written as they are") {
  const std::vector keys{vector_key()};
  const std::pair<const char*, const char*> given[] = {
      {"0", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"1", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
      {"7", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
      {"8", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"}};
  for (const auto& [size, root] : given) {
    const auto text = test::vector_file(std::string("checkpoint-") + size + ".note");
    const auto note = Note::parse(text);
    CHECK(note.head.origin == "audit.example/smets1-kms/test");
    CHECK(std::to_string(note.head.size) == size);
    CHECK(to_hex(note.head.root) == root);
    CHECK(note.format() == text);
    CHECK(check_signatures(note, keys) == Signed::yes);
    CHECK(to_hex(note.signatures.at(0).key) == to_hex(keys[0].id()));
    CHECK(check_signatures(note, {}) == Signed::unknown_keys);
    CHECK(check_signatures(note, std::vector{test::TestKey().audit_key()}) == Signed::unknown_keys);
  }
  CHECK(keys[0].pem() == test::vector_file("checkpoint-test-key.pub.pem"));
}

TEST_CASE("no byte of a checkpoint can be changed, added, dropped or doubled") {
  const std::vector keys{vector_key()};
  const auto text = test::vector_file("checkpoint-7.note");
  REQUIRE(is_good(text, keys));
  for (std::size_t i = 0; i < text.size(); ++i) {
    CAPTURE(i);
    for (int value = 0; value < 256; ++value) {
      auto changed = text;
      changed[i] = static_cast<char>(value);
      if (changed != text) REQUIRE_FALSE(is_good(changed, keys));
    }
    REQUIRE_FALSE(is_good(text.substr(0, i), keys));
    REQUIRE_FALSE(is_good(text.substr(0, i) + text.substr(i + 1), keys));
    const auto doubled = text.substr(0, i) + text[i] + text.substr(i);
    REQUIRE_FALSE(is_good(doubled, keys));
  }
}

TEST_CASE("malformed notes") {
  const auto good = test::vector_file("checkpoint-8.note");
  const std::string root = "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=";
  const auto signature = good.substr(good.find(dash));
  const std::string bad[] = {
      "",
      "\n",
      good + "\n",
      "\n" + good,
      good + signature,
      good.substr(0, good.size() - 1),
      replaced(good, "\n8\n", "\n08\n"),
      replaced(good, "\n8\n", "\n+8\n"),
      replaced(good, "\n8\n", "\n8 \n"),
      replaced(good, "\n8\n", "\n-8\n"),
      replaced(good, "\n8\n", "\n\n"),
      replaced(good, "\n8\n", "\n9007199254740992\n"),
      replaced(good, "\n8\n", "\n18446744073709551624\n"),
      replaced(good, "\n8\n", "\n0x8\n"),
      replaced(good, "\n8\n", "\n8\r\n"),
      replaced(good, root, root.substr(0, root.size() - 1)),
      replaced(good, root, root + "="),
      replaced(good, root, root + "\nexten\tsion"),
      replaced(good, root, root + "\n" + std::string(1025, 'x')),
      replaced(good, root,
               "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyh="),  // bits behind the last byte
      replaced(good, root, replaced(root, "+", "-")),            // the other alphabet
      replaced(good, root, "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQw=="),  // 31 bytes
      replaced(good, root, root.substr(0, 20) + "\n" + root.substr(20)),
      replaced(good, root, " " + root),
      replaced(good, root, root + " "),
      replaced(good, root, ""),
      replaced(good, "audit.example", ""),
      replaced(good, "audit.example", "audit example"),
      replaced(good, "audit.example", "audit+example"),
      replaced(good, "\n\n", "\n"),
      replaced(good, "\n\n", "\n\n\n"),
      replaced(good, "\n\n", "\n \n"),
      good.substr(0, good.find(dash)),  // unsigned
      replaced(good, dash, "- "),
      replaced(good, dash, "\xE2\x80\x93 "),
      replaced(good, dash, "\xE2\x80\x94"),
      replaced(good, dash + "audit.example/smets1-kms/test ",
               dash + "audit.example/smets1-kms/other "),
      replaced(good, dash + "audit.example/smets1-kms/test ", dash),
      replaced(good, "Wnp4", "Wnp4 "),
      replaced(good, "Wnp4", "\nWnp4"),
      replaced(good, signature, dash + "audit.example/smets1-kms/test Wnp4zA==\n"),
  };
  for (const auto& text : bad) {
    CAPTURE(text);
    CHECK_FALSE(is_taken(text));
    CHECK(test::contains(test::message_of<std::invalid_argument>([&] { (void)Note::parse(text); }),
                         "of the checkpoint: "));
  }
  CHECK(is_taken(good));
}

TEST_CASE("extension lines are signed and kept; other names' signatures are passed over") {
  const test::TestKey key, other;
  const std::vector keys{key.audit_key()};
  Note note =
      Issuer("log.example/test", {key.signer()}, std::nullopt).issue(3, tree_of(3).root(), {});
  const std::string plain = note.format();
  for (int i = 0; i < 40; ++i)
    note.witnesses.push_back(dash + "witness" + std::to_string(i) + ".example " +
                             to_base64(std::string(76, static_cast<char>(i))));
  note.witnesses.push_back(dash + "w " + to_base64("abcd" + to_der(other.sign(note.head))));
  CHECK(is_taken(note.format()));
  CHECK(is_good(note.format(), keys));
  CHECK(Note::parse(note.format()).head == note.head);
  // A witness in front of the log's own signature is passed over as well.
  const auto first = replaced(plain, dash, note.witnesses[0] + "\n" + dash);
  CHECK(is_good(first, keys));
  CHECK(Note::parse(first).witnesses.size() == 1);
  CHECK_FALSE(is_taken(replaced(plain, plain.substr(plain.find(dash)), note.witnesses[0] + "\n")));
  for (const char* name : {"", "a+b", "a\tb"})
    CHECK_FALSE(is_taken(plain + dash + name + " " + to_base64("abcdefgh") + "\n"));
  CHECK_FALSE(is_taken(plain + dash + "w " + to_base64("abcd") + "\n"));
  CHECK_FALSE(is_taken(plain + dash + "w abcdefg\n"));
  CHECK_FALSE(is_taken(plain + dash + "w " + to_base64(std::string(1024, 'x')) + "\n"));
  note.witnesses.assign(64, note.witnesses[0]);
  CHECK_FALSE(is_taken(note.format()));

  note.witnesses.clear();
  note.extension = "first line\nsecond \xE2\x80\x94 line\n";
  CHECK(is_taken(note.format()));
  CHECK_FALSE(is_good(note.format(), keys));  // it was signed without them
  note.signatures[0].der = to_der(key.sign(note.body()));
  CHECK(is_good(note.format(), keys));
  CHECK(Note::parse(note.format()).extension == note.extension);
  CHECK_FALSE(is_good(replaced(note.format(), "second", "Second"), keys));
  CHECK_FALSE(is_good(replaced(note.format(), "first line\n", ""), keys));
  note.extension.clear();
  for (int i = 0; i < 16; ++i) note.extension += "x\n";
  CHECK(is_taken(note.format()));
  note.extension += "x\n";
  CHECK_FALSE(is_taken(note.format()));
}

TEST_CASE("a key as a verifier key of signed notes") {
  const auto key = vector_key();
  const auto vkey = key.vkey("audit.example/smets1-kms/test");
  const std::string begin = "audit.example/smets1-kms/test+" + to_hex(key.id()) + "+";
  REQUIRE(vkey.starts_with(begin));
  const auto bytes = parse_base64(vkey.substr(begin.size()));
  REQUIRE(bytes);
  CHECK(bytes->front() == '\x02');
  const auto hash = sha256(bytes->substr(1));
  CHECK(std::equal(key.id().begin(), key.id().end(), hash.begin()));
}

TEST_CASE("notes that follow each other are taken one by one") {
  const std::string all = test::vector_file("checkpoint-1.note") +
                          test::vector_file("checkpoint-7.note") +
                          test::vector_file("checkpoint-8.note");
  std::string_view rest = all;
  CHECK(Note::take_first(rest).head.size == 1);
  CHECK(Note::take_first(rest).head.size == 7);
  CHECK(Note::take_first(rest).head.size == 8);
  CHECK(rest.empty());
  CHECK_THROWS_AS(Note::take_first(rest), std::invalid_argument);
}

TEST_CASE("what the token gives, as what OpenSSL takes") {
  // r and s of the leading bytes 0x00, 0x7F, 0x80: DER's integers are minimal and signed.
  for (const int r : {0x00, 0x01, 0x7F, 0x80, 0xFF})
    for (const int s : {0x00, 0x01, 0x7F, 0x80, 0xFF}) {
      RawSignature raw{};
      raw.fill(0x55);
      raw[0] = static_cast<std::uint8_t>(r);
      raw[32] = static_cast<std::uint8_t>(s);
      const auto der = to_der(raw);
      const auto integer = [](std::string bytes) {
        while (bytes.size() > 1 && bytes[0] == '\0' && (bytes[1] & 0x80) == 0) bytes.erase(0, 1);
        if ((bytes[0] & 0x80) != 0) bytes.insert(0, 1, '\0');
        return std::string("\x02") + static_cast<char>(bytes.size()) + bytes;
      };
      const auto content = integer(std::string(raw.begin(), raw.begin() + 32)) +
                           integer(std::string(raw.begin() + 32, raw.end()));
      CHECK(der == std::string("\x30") + static_cast<char>(content.size()) + content);
    }
}

TEST_CASE("only a P-256 public key is an audit key") {
  for (const std::string& pem :
       {std::string(), std::string("garbage"),
        std::string("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")})
    CHECK_THROWS_AS(AuditKey::from_pem(pem), std::invalid_argument);
  const test::Scratch scratch;
  const auto made = [&](const std::string& arguments) {
    const auto file = scratch.path("key.pem").string();
    REQUIRE(std::system(("openssl genpkey " + arguments +
                         " 2>/dev/null | openssl pkey -pubout -out " + file)
                            .c_str()) == 0);
    return test::read_file(file);
  };
  CHECK_THROWS_AS(AuditKey::from_pem(made("-algorithm EC -pkeyopt ec_paramgen_curve:P-384")),
                  std::invalid_argument);
  CHECK_THROWS_AS(AuditKey::from_pem(made("-algorithm RSA -pkeyopt rsa_keygen_bits:2048")),
                  std::invalid_argument);
  CHECK_THROWS_AS(AuditKey::from_pem(made("-algorithm ED25519")), std::invalid_argument);
  CHECK_NOTHROW(AuditKey::from_pem(made("-algorithm EC -pkeyopt ec_paramgen_curve:P-256")));
}

TEST_CASE("the issuer signs extensions of what it signed last, and nothing else") {
  const test::TestKey key;
  const std::vector keys{key.audit_key()};
  Issuer issuer("log.example/test", {key.signer()}, std::nullopt);
  const auto first = issuer.issue(5, tree_of(5).root(), {});
  CHECK(check_signatures(first, keys) == Signed::yes);
  CHECK(check_signatures(issuer.issue(5, tree_of(5).root(), {}), keys) ==
        Signed::yes);  // a heartbeat
  CHECK_NOTHROW(issuer.issue(9, tree_of(9).root(), proof_between(5, 9)));
  REQUIRE(issuer.last()->size == 9);
  CHECK_THROWS_AS(issuer.issue(8, tree_of(8).root(), {}), std::invalid_argument);  // behind
  CHECK_THROWS_AS(issuer.issue(0, tree_of(0).root(), {}), std::invalid_argument);
  CHECK_THROWS_AS(issuer.issue(9, tree_of(8).root(), {}), std::invalid_argument);    // another tree
  CHECK_THROWS_AS(issuer.issue(12, tree_of(12).root(), {}), std::invalid_argument);  // unproved
  CHECK_THROWS_AS(issuer.issue(12, tree_of(12).root(), proof_between(5, 12)),
                  std::invalid_argument);  // from another head
  CHECK(issuer.last()->size == 9);
  CHECK_NOTHROW(issuer.issue(12, tree_of(12).root(), proof_between(9, 12)));
  CHECK_THROWS_AS(Issuer("two words", {key.signer()}, std::nullopt), std::invalid_argument);
  CHECK_THROWS_AS(Issuer("log.example/test", {}, std::nullopt), std::invalid_argument);
  CHECK_THROWS_AS(Issuer("log.example/other", {key.signer()}, first.head), std::invalid_argument);
}

TEST_CASE("while keys roll over both sign; whoever has one of them is served") {
  const test::TestKey old_key, new_key;
  Issuer issuer("log.example/test", {old_key.signer(), new_key.signer()}, std::nullopt);
  auto note = issuer.issue(3, tree_of(3).root(), {});
  CHECK(is_taken(note.format()));
  CHECK(check_signatures(note, std::vector{old_key.audit_key()}) == Signed::yes);
  CHECK(check_signatures(note, std::vector{new_key.audit_key()}) == Signed::yes);
  note.signatures[1].der = note.signatures[0].der;
  CHECK(check_signatures(note, std::vector{old_key.audit_key(), new_key.audit_key()}) ==
        Signed::no);
  const Issuer::Signer faulty{.key = old_key.audit_key(),
                              .sign = [&](const Checkpoint& head) { return new_key.sign(head); }};
  CHECK_THROWS_AS(
      Issuer("log.example/test", {faulty}, std::nullopt).issue(3, tree_of(3).root(), {}),
      std::runtime_error);
}

TEST_CASE("a checkpoint verifies by hand: openssl and coreutils, as src/audit/export.md says") {
  const test::Scratch scratch;
  scratch.write("by-hand.sh", R"(set -eu
head -3 "$1" > body                                                          # what was signed
tail -1 "$1" | cut -d' ' -f3 | base64 -d > signature                         # 4 bytes of key id, then the signature
openssl pkey -pubin -in "$2" -outform DER | sha256sum | head -c 8; echo      # these two lines
head -c 4 signature | od -An -tx1 | tr -d ' '                                # are the same
tail -c +5 signature > der && openssl dgst -sha256 -verify "$2" -signature der body
)");
  const auto by_hand = [&](const std::string& note, const std::string& key) {
    scratch.write("note", note);
    scratch.write("key.pem", key);
    return std::system(("cd " + scratch.path("").string() +
                        " && bash by-hand.sh note key.pem > out 2>&1 && [ \"$(sed -n 1p out)\" = "
                        "\"$(sed -n 2p out)\" ] && grep -q 'Verified OK' out")
                           .c_str()) == 0;
  };
  for (const char* size : {"0", "1", "7", "8"})
    CHECK(by_hand(test::vector_file(std::string("checkpoint-") + size + ".note"),
                  test::vector_file("checkpoint-test-key.pub.pem")));
  CHECK_FALSE(by_hand(replaced(test::vector_file("checkpoint-8.note"), "\n8\n", "\n9\n"),
                      test::vector_file("checkpoint-test-key.pub.pem")));
  const test::TestKey key;
  Issuer issuer("log.example/test", {key.signer()}, std::nullopt);
  CHECK(by_hand(issuer.issue(5, tree_of(5).root(), {}).format(), key.audit_key().pem()));
}

TEST_CASE("strict base64") {
  for (const std::string& bytes : {std::string("a"), std::string("ab"), std::string("abc"),
                                   std::string("\0\xFF\x80", 3), std::string(100, 'x')})
    CHECK(parse_base64(to_base64(bytes)) == bytes);
  for (const char* bad : {"", "=", "====", "YQ", "YQ=", "YR==", "YWJj\n", " YWJj", "YWJj ", "YW=j",
                          "Y===", "YWI=YWI=", "YQ==YQ==", "YW-j", "YW_j", "YWJj=", "YWJ\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_base64(bad));
  }
}
