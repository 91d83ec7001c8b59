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

/// What a vendor's token needs done its own way, as values with the source of each. Shipped in
/// hsm-config/profiles and compiled in; found by what the token says of itself.
namespace smets1kms::vault {

/// How a fresh key is put to rest.
enum class RestBy : std::uint8_t {
  copy,     ///< C_CopyObject of the session object to a token object with EXTRACTABLE=F
  restore,  ///< wrapped under a storage key, unwrapped to a token object
  set,      ///< a token object from the start, EXTRACTABLE lowered right after the wrap
};
/// Who can make CKA_TRUSTED true, the application's PIN being no way to do it.
enum class TrustBy : std::uint8_t { security_officer, vendor_tool, nobody };
/// How we know a value: measured here, read in the vendor's document, or nobody has checked.
enum class Evidence : std::uint8_t { measured, documented, unverified };

struct Profile {
  /// Shell patterns (fnmatch) over what a token and its library say; "*" where the file is silent.
  struct Match {
    std::string manufacturer = "*", model = "*";  ///< CK_TOKEN_INFO
    std::string library = "*";                    ///< CK_INFO.libraryDescription
  };

  std::string name;             ///< "softhsm"
  std::vector<Match> matches;   ///< any of them
  CK_MECHANISM_TYPE key_wrap;   ///< RFC 3394; CK_UNAVAILABLE_INFORMATION only where `usable` says why not
  bool unwrap_needs_value_len;  ///< C_UnwrapKey wants CKA_VALUE_LEN; where false, leave it out
  bool repeat_unwrap_template;  ///< what an UNWRAP_TEMPLATE says must stand in the caller's template as well
  bool modifiable_last;         ///< CKA_MODIFIABLE=FALSE must be the last of an unwrap's or a copy's attributes
  RestBy rest_by;
  bool keeps_local;       ///< LOCAL and ALWAYS_SENSITIVE read TRUE of a generated key once it is at rest
  bool gcm_iv_from_host;  ///< C_Encrypt with CKM_AES_GCM takes the caller's IV; false: the token makes its own
  TrustBy trust_by;
  bool read_only_sessions;                            ///< may be opened
  std::optional<std::size_t> max_sessions, max_keys;  ///< nullopt: no limit known
  std::string init_reserved;                          ///< a pattern for token.init_reserved; empty: the module takes none
  std::string pin_format;                             ///< in words
  std::string usable;                                 ///< empty, or why this token is refused: "no AES key wrap"
  /// Per key of the file, and "match" for the first [[match]], "match 2" for the second…
  std::map<std::string, Evidence> evidence;
  std::map<std::string, std::string> source;
};

[[nodiscard]] std::string_view to_string(RestBy);
[[nodiscard]] std::string_view to_string(TrustBy);
[[nodiscard]] std::string_view to_string(Evidence);

/// Throws BadFile with line and column for what is not TOML, for a key that is unknown or missing, and
/// for a value that is not what its key holds. `file` is the name to show.
[[nodiscard]] Profile parse_profile(std::string_view text, const std::string& file);
/// The same from a file; BadInput if it can't be read.
[[nodiscard]] Profile load_profile(const std::filesystem::path& file);
/// The profiles compiled in, by name. Safe to call from many threads.
[[nodiscard]] std::span<const Profile> shipped_profiles();
/// The first whose patterns fit; nullptr where none does.
[[nodiscard]] const Profile* find_profile(std::span<const Profile> profiles, const pkcs11::ModuleInfo& module, const pkcs11::TokenInfo& token);

}  // namespace smets1kms::vault
