// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>

#include "judge.hpp"

namespace attack {

/// Where a provisioned token, its files and its commands are.
struct Place {
  std::filesystem::path directory;  ///< of kms.toml, registry.db, fleet.csv, meters.csv,
                                    ///< meters.json, transfers*.jsonl
  std::string kms, meter, audit;    ///< the programs
  bool officer = false;
  bool sealed = false;  ///< vault.keep = "sealed"
  [[nodiscard]] std::filesystem::path file(const std::string& name) const {
    return directory / name;
  }
};

/// A file's bytes.
[[nodiscard]] Bytes read_bytes(const std::filesystem::path& file);
[[nodiscard]] Victim victim(Session& session, const std::string& device, const std::string& role,
                            Handle handle, Bytes blob, std::size_t kek);
/// The device in a line of fleet.csv, from 0.
[[nodiscard]] std::vector<std::string> fleet_devices(const Place& place);
/// The object of the newest generation of a device's key, by the label that everybody with the PIN
/// can read.
struct Found {
  Handle handle = Handle::none;
  std::uint32_t generation = 0;
};
[[nodiscard]] Found newest(Session& session, const std::string& device, const std::string& role);

/// Slot of the token with this label.
[[nodiscard]] CK_SLOT_ID slot_of(pkcs11::Module& module, const std::string& label);
/// Where SoftHSM keeps its objects, a file each: a UUID that ends with the token's serial number.
[[nodiscard]] std::filesystem::path token_directory(pkcs11::Module& module, const Place& place,
                                                    const std::string& label);
inline constexpr const char* provisioned_label = "smets1-demo";  // scripts/with-softhsm

/// Sealed vault: every key of the registry opened as the service opens it, a session object under
/// the label that it would have in the token, so that all other attacks find it.
void open_sealed(Session& session, const Place& place);

/// What an attacker finds in a token that smets1-kms provisioned, and what its judge knows of it.
[[nodiscard]] Target provisioned_target(std::shared_ptr<pkcs11::Module> module, const Place& place);
[[nodiscard]] Judge provisioned_judge(Session& session, const Place& place);

/// A token with ordinary templates: every use allowed, sensitive and extractable, no template of
/// its own. Its keys are made anew for each attack, so that no attack profits from another's
/// changes.
class NaiveToken {
 public:
  /// `handover_private`: of the party for which keys are wrapped.
  NaiveToken(std::shared_ptr<pkcs11::Module> module, CK_SLOT_ID slot, Bytes handover_private);
  /// Destroys what is there, makes keys, and tells the judge of them.
  [[nodiscard]] Target fresh(Judge& judge);
  [[nodiscard]] static Template ordinary();
  static constexpr const char* target_label = "naive/target";

 private:
  void make_import_pair();
  std::shared_ptr<pkcs11::Module> module_;
  CK_SLOT_ID slot_;
  Session session_;
  Bytes handover_private_;
  Handle import_public_ = Handle::none, import_private_ = Handle::none;
};

/// Everything of an object that protects it, as one text: has an attack changed it?
[[nodiscard]] std::string describe(Session& session, Handle object);

}  // namespace attack
