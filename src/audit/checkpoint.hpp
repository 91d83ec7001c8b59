// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <openssl/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/merkle.hpp"

/// Signed heads of the log: C2SP tlog-checkpoints under ECDSA P-256 with SHA-256.
namespace smets1kms::audit {

/// Content of a signed head. These three members are its identity, not a signature, which is random
/// and can be respelt.
struct Checkpoint {
  std::string origin;  ///< the log's name for its whole life; 1 to 128 printable ASCII characters
                       ///< without space and '+'
  std::uint64_t size = 0;
  Hash root{};
  /// Returns the bytes that are signed: three lines.
  [[nodiscard]] std::string body() const;
  /// "the head of 12 records"
  [[nodiscard]] std::string name() const {
    return "the head of " + std::to_string(size) + " records";
  }
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};
[[nodiscard]] bool is_origin(std::string_view text);

/// Id of an audit key: the first 4 bytes of SHA-256 over the key's DER SubjectPublicKeyInfo.
using AuditKeyId = std::array<std::uint8_t, 4>;

struct NoteSignature {
  AuditKeyId key{};
  std::string der;  ///< an ECDSA signature; as bytes
};

/// A checkpoint with its signatures: two while one key hands over to the next. A log's own has
/// neither extension nor witnesses.
struct Note {
  Checkpoint head;
  std::vector<NoteSignature> signatures;  ///< under the log's name
  std::string extension{};                ///< lines behind the root; they are signed, too
  std::vector<std::string> witnesses{};   ///< signature lines under other names, not checked
  /// Returns the bytes that are signed.
  [[nodiscard]] std::string body() const { return head.body() + extension; }
  [[nodiscard]] std::string format() const;
  /// Reads a note, with at most 16 extension lines and 64 signatures. Throws std::invalid_argument,
  /// with the line, for anything that `format` would not write, but witnesses' lines may stand
  /// anywhere among the signatures; and for a note without signature under the log's name.
  static Note parse(std::string_view text);
  /// Takes the first note off a text of notes.
  static Note take_first(std::string_view& rest);
};

/// An ECDSA signature as CKM_ECDSA gives it: r || s, 32 bytes each.
using RawSignature = std::array<std::uint8_t, 64>;
/// Returns the signature as DER, which OpenSSL checks.
[[nodiscard]] std::string to_der(const RawSignature& raw);

/// The public half of an audit key.
class AuditKey {
 public:
  /// Reads a PEM. Throws std::invalid_argument unless it is exactly one P-256 public key.
  static AuditKey from_pem(std::string_view pem);
  [[nodiscard]] const AuditKeyId& id() const { return id_; }
  [[nodiscard]] std::string pem() const;
  /// Returns the key as a C2SP signed-note verifier key: name, id in hex, and base64 of the type
  /// byte 0x02 (ECDSA) and the DER SubjectPublicKeyInfo.
  [[nodiscard]] std::string vkey(const std::string& origin) const;
  [[nodiscard]] bool verifies(std::string_view message, std::string_view der_signature) const;

 private:
  explicit AuditKey(std::shared_ptr<EVP_PKEY> key);
  std::shared_ptr<EVP_PKEY> key_;
  AuditKeyId id_{};
};

/// Result of checking a note's signatures with some keys.
enum class Signed : std::uint8_t {
  yes,           ///< by one of the keys at least, and no signature of any of them is false
  unknown_keys,  ///< by other keys only
  no,            ///< a signature of one of the keys is false
};
[[nodiscard]] Signed check_signatures(const Note& note, std::span<const AuditKey> keys);
/// True if each of the keys has signed the note, and nobody else.
[[nodiscard]] bool is_signed_by_all(const Note& note, std::span<const AuditKey> keys);

/// Function that signs a head's body in the token; ECDSA P-256 over SHA-256.
using HeadSigner = std::function<RawSignature(const Checkpoint& head)>;

/// Issuer of signed heads, each an extension of the one before.
class Issuer {
 public:
  struct Signer {
    AuditKey key;
    HeadSigner sign;
  };
  /// Makes an issuer. `last`: the head signed last, from the anchor. `signers`: one, or two while
  /// keys roll over. Throws std::invalid_argument for an origin outside the format, or without a
  /// signer.
  Issuer(std::string origin, std::vector<Signer> signers, std::optional<Checkpoint> last);
  /// Returns the note for a tree of `size` leaves. `proof` leads there from the last head (empty
  /// for the first one, and for the same head again). Throws std::invalid_argument for a tree that
  /// does not extend the last head, std::runtime_error where a new signature does not verify.
  Note issue(std::uint64_t size, const Hash& root, std::span<const Hash> proof);
  [[nodiscard]] const std::optional<Checkpoint>& last() const { return last_; }

 private:
  std::string origin_;
  std::vector<Signer> signatories_;
  std::optional<Checkpoint> last_;
};

}  // namespace smets1kms::audit
