// SPDX-License-Identifier: Apache-2.0
/// @file
/// kms.toml as a value. hsm-config/kms.toml lists every key with its default and meaning.
#pragma once
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "smets1kms/types.hpp"

namespace smets1kms {

/// Facts about a model of device, given by the operator. Never inferred: a device of an unlisted
/// model is refused.
struct DeviceModel {
  /// Logical name of the Security setup object (class 64).
  std::array<std::uint8_t, 6> logical_name{0, 0, 43, 0, 0, 255};
  Activation activation = Activation::immediate;
};

/// Way in which KEKs enter the token, and by whom.
enum class EnrolmentMode : std::uint8_t {
  officer,  ///< by the security officer, in a ceremony: KEKs are TRUSTED, fresh keys can be wrapped
            ///< under trusted keys only
  plain,    ///< by the service's user, for tokens whose officer can't mark keys trusted. A thief of
          ///< the PIN can then have the token make a key that he learns, and have it wrapped for a
          ///< meter
};

/// Place where new keys are kept. A key that exists already stays where it is.
enum class VaultKind : std::uint8_t {
  token,   ///< every key is an object in the token, which limits their number
  sealed,  ///< every key is in the registry, wrapped under storage keys that never leave the token:
           ///< no limit
};

struct Config {
  /// Reads a file. Throws BadFile with line and column for a syntax error, an unknown key, a value
  /// of another type or range.
  static Config load(const std::filesystem::path& file);

  struct Token {
    std::string module;         ///< a path, or a name that p11-kit knows
    std::string uri;            ///< RFC 7512, with pin-source; never pin-value
    std::string init_reserved;  ///< for modules that take an initialisation string (NSS softokn)
    /// Variables that are set before the module is loaded (SOFTHSM2_CONF).
    std::map<std::string, std::string> environment;
    std::string profile;  ///< the vendor's: a shipped profile by name, or a file "*.toml" beside
                          ///< the configuration; empty: chosen by what the token reports of itself
    std::size_t sessions = 8;  ///< upper limit; lowered to what the token allows
    EnrolmentMode enrolment = EnrolmentMode::officer;
    /// Accepts a token that fails the protection self-test; every record says so.
    bool unprotected_for_testing = false;
  } token;
  VaultKind keep = VaultKind::token;
  /// Certificates (PEM) of the manufacturers that may sign fleet files. Empty: unsigned files are
  /// accepted, for testing only.
  std::filesystem::path manufacturers;
  struct Audit {
    std::filesystem::path anchor_file;  ///< append-only: every signed head of the log; empty: the
                                        ///< database's name with ".heads"
    /// Program and arguments; it gets every head on its standard input.
    std::vector<std::string> anchor_command;
    /// Limit for each step that a result waits for: signature, anchors.
    std::chrono::seconds deadline{10};
    /// The last head is put into the token before results are released, at most this often; 0: each
    /// time. What a registry that is put back may lose unnoticed.
    std::chrono::seconds token_anchor{10};
    std::chrono::hours heartbeat{24};  ///< interval at which the log records that it is alive
  } audit;
  /// Changes that the site makes to the policy (hsm-config/policy-site.toml); empty: the shipped
  /// policy, unchanged.
  std::filesystem::path policy_site;
  std::filesystem::path database;  ///< the registry and the audit trail: one SQLite file
  std::map<std::string, DeviceModel> models;
  std::filesystem::path file;  ///< where it was read from
};

}  // namespace smets1kms
