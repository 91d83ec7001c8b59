// SPDX-License-Identifier: Apache-2.0
#include "audit/checkpoint.hpp"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <stdexcept>

#include "audit/text.hpp"
#include "base/openssl_owner.hpp"

namespace smets1kms::audit {
namespace {

constexpr std::string_view signature_mark =
    "\xE2\x80\x94 ";  // U+2014 and a space, C2SP signed-note
constexpr std::size_t most_signatures = 4, most_lines = 64, most_extensions = 16,
                      longest_line = 1024;

[[noreturn]] void refuse(std::size_t line, const std::string& what) {
  throw std::invalid_argument("line " + std::to_string(line) + " of the checkpoint: " + what);
}

std::string_view bytes_of(const Hash& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

bool has_only_above(std::string_view text, char limit) {
  return std::ranges::all_of(text, [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > static_cast<unsigned char>(limit) && byte != 0x7F;
  });
}

NoteSignature read_signature(std::string_view text, std::size_t line) {
  const auto bytes = parse_base64(text);
  if (!bytes || bytes->size() <= sizeof(AuditKeyId))
    refuse(line, "the signature is not the strict base64 of a key id and a signature");
  NoteSignature signature;
  std::copy_n(bytes->begin(), signature.key.size(), reinterpret_cast<char*>(signature.key.data()));
  signature.der = bytes->substr(signature.key.size());
  return signature;
}

std::string spki_of(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int length = i2d_PUBKEY(key, &der);
  if (length <= 0) throw std::invalid_argument("the public key can't be encoded");
  std::string bytes(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return bytes;
}

}  // namespace

bool is_origin(std::string_view text) {
  return !text.empty() && text.size() <= 128 &&
         std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F && c != '+'; });
}

std::string Checkpoint::body() const {
  return origin + "\n" + std::to_string(size) + "\n" + to_base64(bytes_of(root)) + "\n";
}

std::string Note::format() const {
  std::string text = body() + "\n";
  for (const auto& [key, der] : signatures)
    text += std::string(signature_mark) + head.origin + " " +
            to_base64(std::string(reinterpret_cast<const char*>(key.data()), key.size()) + der) +
            "\n";
  for (const auto& line : witnesses) text += line + "\n";
  return text;
}

Note Note::take_first(std::string_view& rest) {
  Note note;
  const auto origin = take_line(rest);
  if (!origin || !is_origin(*origin))
    refuse(1, "the log's origin is expected, 1 to 128 printable characters without space and '+'");
  note.head.origin = *origin;
  const auto size = take_line(rest);
  const auto number = size ? parse_number(*size) : std::nullopt;
  if (!number) refuse(2, "the size is expected, in decimal digits");
  note.head.size = *number;
  const auto root = take_line(rest);
  const auto bytes = root ? parse_base64(*root) : std::nullopt;
  if (!bytes || bytes->size() != note.head.root.size())
    refuse(3, "the root is expected, the strict base64 of 32 bytes");
  std::copy(bytes->begin(), bytes->end(), reinterpret_cast<char*>(note.head.root.data()));
  std::size_t line = 4;
  for (auto text = take_line(rest); !text || !text->empty(); text = take_line(rest), ++line) {
    if (!text || line == 4 + most_extensions || text->size() > longest_line ||
        !has_only_above(*text, '\x1F'))
      refuse(line, "an empty line is expected");
    note.extension += std::string(*text) + "\n";
  }
  for (std::size_t count = 1; rest.starts_with(signature_mark); ++count) {
    ++line;
    const auto whole = take_line(rest);
    if (!whole) refuse(line, "the signature's line has no end");
    if (count > most_lines || whole->size() > longest_line)
      refuse(line, "more than 64 signatures, or one of more than 1024 bytes");
    auto text = whole->substr(signature_mark.size());
    const auto name = take_word(text);
    auto signature = read_signature(text, line);
    if (name.empty() || name.find('+') != name.npos || !has_only_above(name, ' '))
      refuse(line, "the signature's name can't name a key");
    if (name != note.head.origin) {
      note.witnesses.emplace_back(*whole);
      continue;
    }
    if (note.signatures.size() == most_signatures) refuse(line, "more than four of the log's own");
    if (std::ranges::any_of(note.signatures,
                            [&](const auto& other) { return other.key == signature.key; }))
      refuse(line, "a second signature of the same key");
    note.signatures.push_back(std::move(signature));
  }
  if (note.signatures.empty())
    refuse(line + 1, "a signature under the log's name is expected: an unsigned head says nothing");
  return note;
}

Note Note::parse(std::string_view text) {
  Note note = take_first(text);
  if (!text.empty())
    refuse(5 + note.signatures.size() + note.witnesses.size(), "bytes behind the signatures");
  return note;
}

std::string to_der(const RawSignature& raw) {
  const Owned<ECDSA_SIG, ECDSA_SIG_free> signature(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(raw.data(), 32, nullptr);
  BIGNUM* s = BN_bin2bn(raw.data() + 32, 32, nullptr);
  if (!signature || ECDSA_SIG_set0(signature.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    throw std::runtime_error("OpenSSL can't encode a signature");
  }
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(signature.get(), &der);
  if (length <= 0) throw std::runtime_error("OpenSSL can't encode a signature");
  std::string bytes(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return bytes;
}

AuditKey::AuditKey(std::shared_ptr<EVP_PKEY> key) : key_(std::move(key)) {
  const Hash hash = sha256(spki_of(key_.get()));
  std::copy_n(hash.begin(), id_.size(), id_.begin());
}

AuditKey AuditKey::from_pem(std::string_view pem) {
  const Bio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const std::shared_ptr<EVP_PKEY> key(
      in ? PEM_read_bio_PUBKEY(in.get(), nullptr, nullptr, nullptr) : nullptr, EVP_PKEY_free);
  char curve[32] = {};
  if (!key ||
      EVP_PKEY_get_utf8_string_param(key.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof curve,
                                     nullptr) != 1 ||
      std::string_view(curve) != "prime256v1")
    throw std::invalid_argument("not the PEM of a P-256 public key");
  return AuditKey(key);
}

std::string AuditKey::pem() const {
  const Bio out(BIO_new(BIO_s_mem()));
  if (!out || PEM_write_bio_PUBKEY(out.get(), key_.get()) != 1)
    throw std::runtime_error("OpenSSL can't write a public key");
  return text_of(out);
}

std::string AuditKey::vkey(const std::string& origin) const {
  return origin + "+" + to_hex(id_) + "+" + to_base64("\x02" + spki_of(key_.get()));
}

bool AuditKey::verifies(std::string_view message, std::string_view der_signature) const {
  const Owned<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  return context &&
         EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
         EVP_DigestVerify(
             context.get(), reinterpret_cast<const unsigned char*>(der_signature.data()),
             der_signature.size(), reinterpret_cast<const unsigned char*>(message.data()),
             message.size()) == 1;
}

Signed check_signatures(const Note& note, std::span<const AuditKey> keys) {
  const std::string body = note.body();
  Signed answer = Signed::unknown_keys;
  for (const auto& signature : note.signatures)
    for (const auto& key : keys) {
      if (key.id() != signature.key) continue;
      if (!key.verifies(body, signature.der)) return Signed::no;
      answer = Signed::yes;
    }
  return answer;
}

bool is_signed_by_all(const Note& note, std::span<const AuditKey> keys) {
  const auto has_signed = [&](const AuditKey& key) {
    return check_signatures(note, std::span(&key, 1)) == Signed::yes;
  };
  return note.signatures.size() == keys.size() && std::ranges::all_of(keys, has_signed);
}

Issuer::Issuer(std::string origin, std::vector<Signer> signers, std::optional<Checkpoint> last)
    : origin_(std::move(origin)), signatories_(std::move(signers)), last_(std::move(last)) {
  if (!is_origin(origin_))
    throw std::invalid_argument(
        "'" + origin_ + "' can't name a log: 1 to 128 printable characters without space and '+'");
  if (last_ && last_->origin != origin_)
    throw std::invalid_argument("the last head is of log " + last_->origin + ", not of " + origin_);
  if (signatories_.empty()) throw std::invalid_argument("a head has at least one signature");
}

Note Issuer::issue(std::uint64_t size, const Hash& root, std::span<const Hash> proof) {
  if (last_ && last_->size > 0 && !is_consistent(last_->size, last_->root, size, root, proof))
    throw std::invalid_argument(
        "a head of " + std::to_string(size) + " records does not extend the head of " +
        std::to_string(last_->size) +
        " that was signed last: the log was cut, restored or changed. Nothing was signed");
  Note note{.head = {.origin = origin_, .size = size, .root = root}, .signatures = {}};
  for (const auto& [key, sign] : signatories_)
    note.signatures.push_back({.key = key.id(), .der = to_der(sign(note.head))});
  std::vector<AuditKey> keys;
  for (const auto& each : signatories_) keys.push_back(each.key);
  if (check_signatures(note, keys) != Signed::yes)
    throw std::runtime_error(
        "the token's signature of a head does not verify under the audit key: it was not used");
  last_ = note.head;
  return note;
}

}  // namespace smets1kms::audit
