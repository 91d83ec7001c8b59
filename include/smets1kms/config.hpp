// SPDX-License-Identifier: Apache-2.0
/// @file
/// kms.toml as a value. Every key, with its default and meaning: hsm-config/kms.toml.
#pragma once
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "smets1kms/types.hpp"

namespace smets1kms {

/// What the operator knows of a model of device. Never inferred: a device of an unlisted model is
/// refused.
struct DeviceModel {
  std::array<std::uint8_t, 6> logical_name{0, 0, 43,
                                           0, 0, 255};  ///< of its Security setup object (class 64)
  Activation activation = Activation::immediate;
};

/// Who brings KEKs into the token.
enum class EnrolmentMode : std::uint8_t {
  officer,  ///< the security officer, in a ceremony: KEKs are TRUSTED, fresh keys can be wrapped
            ///< under trusted keys only
  plain,  ///< the service's user: for tokens whose officer can't mark keys trusted. A thief of the
          ///< PIN can then let the token make a key that he learns, and have it wrapped for a meter
};

/// Where new keys go. A key that is there already stays where it rests.
enum class VaultKind : std::uint8_t {
  token,   ///< every key an object in the token: as many as it holds
  sealed,  ///< in the registry, wrapped under storage keys that never leave the token: any number
};

struct Config {
  /// Throws BadFile with line and column: syntax, an unknown key, a value of another type or range.
  static Config load(const std::filesystem::path& file);

  struct Token {
    std::string module;         ///< a path, or a name that p11-kit knows
    std::string uri;            ///< RFC 7512, with pin-source; never pin-value
    std::string init_reserved;  ///< for modules that take an initialisation string (NSS softokn)
    std::map<std::string, std::string>
        environment;      ///< set before the module is loaded (SOFTHSM2_CONF)
    std::string profile;  ///< of its vendor: a shipped one by name, or a file "*.toml" beside the
                          ///< configuration; empty: by what the token says of itself
    std::size_t sessions = 8;  ///< at most; lowered to what the token allows
    EnrolmentMode enrolment = EnrolmentMode::officer;
    bool unprotected_for_testing =
        false;  ///< take a token that fails the protection self-test; every record says so
  } token;
  VaultKind keep = VaultKind::token;
  /// Certificates (PEM) of those who may sign fleet files; empty: unsigned files are taken, for
  /// testing only.
  std::filesystem::path manufacturers;
  struct Audit {
    std::filesystem::path anchor_file;  ///< append-only: every signed head of the log; empty: the
                                        ///< database's name with ".heads"
    std::vector<std::string>
        anchor_command;  ///< program and arguments: gets every head on its standard input
    std::chrono::seconds deadline{
        10};                           ///< of each step that a result waits for: signature, anchors
    std::chrono::hours heartbeat{24};  ///< the log promises a sign of life this often
  } audit;
  std::filesystem::path
      policy_site;  ///< what the site says of the policy (hsm-config/policy-site.toml); empty: the
                    ///< shipped policy, unchanged
  std::filesystem::path database;  ///< the registry and the audit trail: one SQLite file
  std::map<std::string, DeviceModel> models;
  std::filesystem::path file;  ///< where it was read from
};

}  // namespace smets1kms
