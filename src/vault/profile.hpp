// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <p11-kit/pkcs11.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pkcs11/module.hpp"

/// Profiles: what a vendor's token needs done its own way, as values with the source of each. They
/// are shipped in hsm-config/profiles and compiled in; what a token says of itself selects one.
namespace smets1kms::vault {

/// Way to persist a fresh key.
enum class PersistBy : std::uint8_t {
  copy,     ///< C_CopyObject of the session object to a token object with EXTRACTABLE=F
  restore,  ///< wrapped under a storage key of that call alone, unwrapped to a token object
};
/// Hash of RSA-OAEP, and of its MGF1, by which the token wraps.
enum class OaepHash : std::uint8_t {
  none,  ///< the token does not wrap by RSA-OAEP: it hands no key over
  sha_1,
  sha_256,
};
/// Party that can make CKA_TRUSTED true; the application's PIN is no way to do it.
enum class TrustBy : std::uint8_t { security_officer, vendor_tool, nobody };
/// Evidence for a value: measured here, read in the vendor's document, or checked by nobody.
enum class Evidence : std::uint8_t { measured, documented, unverified };

struct Profile {
  /// Shell patterns (fnmatch) over what a token and its library say; "*" where the file is silent.
  struct Match {
    std::string manufacturer = "*", model = "*";  ///< CK_TOKEN_INFO
    std::string library = "*";                    ///< CK_INFO.libraryDescription
  };

  /// Evidence for a value, with its source.
  struct Fact {
    std::string text;  ///< as the file writes it
    Evidence evidence;
    std::string source;  ///< never empty
  };

  std::string name;            ///< "softhsm"
  std::vector<Match> matches;  ///< one of them must fit
  std::string usable;          ///< empty, or why this token is refused: "no AES key wrap"
  CK_MECHANISM_TYPE
  key_wrap;  ///< RFC 3394; CK_UNAVAILABLE_INFORMATION only where `usable` says why not
  bool unwrap_needs_value_len;  ///< C_UnwrapKey wants CKA_VALUE_LEN; where false, it is left out
  /// Attributes that it does not take: left out of every template and of what is read back. The
  /// self-test finds what is then unprotected.
  std::vector<CK_ATTRIBUTE_TYPE> lacks;
  PersistBy persist_by;
  bool keeps_local;  ///< LOCAL and ALWAYS_SENSITIVE read TRUE of a generated key once it is at rest
  bool gcm_iv_from_host;  ///< C_Encrypt with CKM_AES_GCM takes the caller's IV; false: the token
                          ///< makes its own
  OaepHash oaep_hash;     ///< for handover targets
  TrustBy trust_by;       ///< officer's enrolment needs the security officer
  std::optional<std::size_t> max_sessions, max_keys;  ///< nullopt: no limit known

  // The values below change nothing here, since the way that the strictest token wants is the way
  // for all (an UNWRAP_TEMPLATE is repeated, CKA_MODIFIABLE is the last, sessions are read-write),
  // or are facts for the operator. `doctor` shows them.
  bool repeat_unwrap_template;  ///< the caller's template must repeat the attributes of an
                                ///< UNWRAP_TEMPLATE
  bool modifiable_last;       ///< CKA_MODIFIABLE=FALSE must be the last of an unwrap's or a copy's
                              ///< attributes
  bool read_only_sessions;    ///< may be opened
  std::string init_reserved;  ///< a pattern for token.init_reserved; empty: the module takes none
  std::string pin_format;     ///< a description

  /// True if a key generated straight to rest reads LOCAL. (A key that was restored never does,
  /// wherever it was generated.)
  [[nodiscard]] bool shows_local() const { return keeps_local || persist_by == PersistBy::restore; }

  /// Evidence by key of [values]; "match" for the first [[match]], "match 2" for the second…
  std::map<std::string, Fact> facts;
};

[[nodiscard]] std::string_view to_string(OaepHash);  ///< "SHA-1"
/// Returns the hash of a word. Throws BadInput.
[[nodiscard]] OaepHash parse_oaep_hash(const std::string& word);
[[nodiscard]] std::string_view to_string(TrustBy);
[[nodiscard]] std::string_view to_string(Evidence);

/// Reads a profile. Throws BadFile with line and column for what is not TOML, for a key that is
/// unknown or missing, and for a value that is not what its key holds. `file` is the name to show.
[[nodiscard]] Profile parse_profile(std::string_view text, const std::string& file);
/// Reads a profile from a file. Throws BadInput, too, if the file can't be read.
[[nodiscard]] Profile load_profile(const std::filesystem::path& file);
/// Returns the profiles compiled in, by name. Safe to call from many threads.
[[nodiscard]] std::span<const Profile> shipped_profiles();
/// Returns the first profile whose patterns fit; nullptr where none does.
[[nodiscard]] const Profile* find_profile(std::span<const Profile> profiles,
                                          const pkcs11::ModuleInfo& module,
                                          const pkcs11::TokenInfo& token);

/// Returns the profile for a token: the one that is `named`, a shipped one by its name or a file
/// "*.toml" (relative to `directory`); where none is named, the shipped one that fits. Throws
/// BadInput for a name that there is not, and pkcs11::TokenUnavailable where none fits: nothing is
/// guessed, a wrong way could leave a key extractable.
[[nodiscard]] Profile choose_profile(const std::string& named,
                                     const std::filesystem::path& directory,
                                     const pkcs11::ModuleInfo& module,
                                     const pkcs11::TokenInfo& token);

}  // namespace smets1kms::vault
