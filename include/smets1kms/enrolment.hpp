// SPDX-License-Identifier: Apache-2.0
/// @file
/// Enrolment of KEKs into the token, apart from the service that rotates keys. Under the officer's
/// enrolment it is the security officer's ceremony, and the service never has his PIN.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "smets1kms/callbacks.hpp"
#include "smets1kms/config.hpp"
#include "smets1kms/handover.hpp"

namespace smets1kms {

/// The key under which a manufacturer wrapped KEKs: its name as in the fleet file's kek_transport,
/// and the AES-256 key's RSA-OAEP ciphertext (SHA-1 with MGF1-SHA-1) under the token's import key.
struct TransportKey {
  std::string name;
  Bytes encrypted;
};

/// A fleet file as its manufacturer sent it, with its signature and transport keys.
struct FleetFile {
  std::filesystem::path csv;
  std::filesystem::path signature;  ///< detached CMS over the CSV's bytes, DER or PEM
  std::vector<TransportKey> transport_keys;
  bool move = false;  ///< moves KEKs that rest elsewhere than Config::keep says
};

struct ImportResult {
  std::size_t imported = 0;     ///< new devices with their KEKs
  std::size_t without_kek = 0;  ///< new devices without a KEK, listed with the reason
  std::size_t keks_added = 0;   ///< known devices without a KEK that got one
  /// Known devices that got another KEK because none of theirs was usable any more.
  std::size_t replaced = 0;
  std::size_t moved = 0;  ///< KEKs moved to the other vault
  /// One line for each KEK of the file that stays in the other vault, and why.
  std::vector<std::string> not_moved{};
  std::size_t already_known = 0;
  /// Subject and certificate fingerprint; empty where unsigned files are accepted.
  std::string signer;
};

struct EnrolmentResult {
  std::size_t admitted = 0;
  /// One line for each KEK that could not be admitted; the others were.
  std::vector<std::string> failures;
  std::vector<std::string> passed_over;  ///< one line for each KEK that is compromised, or that its
                                         ///< device is known not to hold
};

/// Operations of the enrolment. They need the registry's write lock, like the service: one at a
/// time. Every call throws TokenUnavailable (no token, no login), StorageError (no write lock, no
/// registry), RefusedByToken, Refused (dual_control and the reasons named at the call), and blocks
/// until its result is durable.
class Enrolment {
 public:
  /// Prepares an enrolment. `officer_pin`: source of the security officer's PIN (`file:…`, `fd:N`,
  /// empty: Callbacks::pin_prompt); not used under plain enrolment. A PIN from a descriptor or the
  /// prompt is kept for all later calls. Throws TokenUnavailable for a descriptor that is not open,
  /// BadInput for a source of another form.
  Enrolment(Config config, Authority authority, const std::string& officer_pin,
            Callbacks callbacks = {});

  /// Makes the registry where there is none, the RSA key pair under which transport keys arrive
  /// and, under the officer's enrolment, the key under which new KEKs wait for him. Returns the
  /// public half, PEM. A repeated call changes nothing and returns the same.
  std::string make_keys();
  /// Imports devices with their KEKs, each unwrapped in the token. Checks the signature before it
  /// reads a line. Imports all lines or none. Passes over devices known with the same facts, and
  /// refuses other facts (BadFile, line and column). A known device without a usable KEK (after a
  /// compromise) gets the line's KEK as the next generation, if it is another one. A line without a
  /// KEK lists its device with the line's reason; nothing is rotated for it until a later file
  /// brings the KEK. A system title or a wrapped KEK that another line or another device has is
  /// refused (BadFile): a KEK that was wrapped twice can't be seen to be one. With
  /// FleetFile::move: a KEK can't be carried from one vault to the other, but the file has it once
  /// more. A KEK that is in use, without a successor on its way, and was imported with these very
  /// bytes becomes the next generation in the vault that Config::keep names; the old one is
  /// deactivated. Other KEKs stay where they are, for rotation to replace.
  ImportResult import_fleet(const FleetFile& file, const std::string& operation_id = {});
  /// Admits, under the officer's enrolment, every KEK that a rotation made and that waits for him;
  /// none that is compromised, or that its device is known not to hold. Throws Refused under plain
  /// enrolment.
  EnrolmentResult admit_waiting();
  /// Admits a handover target, or another certificate of one (its next generation, in the place of
  /// the one before, whose public key leaves the token). Its public key becomes a token object that
  /// only wraps; under the officer's enrolment he makes it trusted. The same certificate with the
  /// same roles again changes nothing. Returns the target as admitted. Throws BadInput (not a
  /// certificate, a name, a fingerprint or roles that can't be), Refused, recorded
  /// (unfit_certificate: another key type, fewer than 3072 bits, not valid now, a key usage without
  /// keyEncipherment; fingerprint_differs; key_in_use: the key is the token's import key's or
  /// another target's; unfit_token: it does not wrap by RSA-OAEP, or can't check the receipts that
  /// the target is to give; too_many_targets: more than 8).
  HandoverTarget admit_target(const TargetAdmission& admission);
  /// Retires a handover target: nothing is wrapped for it any more, its public key leaves the
  /// token, and what was stored for it is deleted. Throws Refused (unknown_target).
  void retire_target(const std::string& name);
  /// Makes a new storage key of each class in the sealed vault. New keys go under it;
  /// KeyManager::reseal wraps the others anew.
  void renew_storage_keys();

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace smets1kms
