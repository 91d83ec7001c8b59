// SPDX-License-Identifier: Apache-2.0
/// @file
/// How KEKs come into the token: apart from the service that rotates keys. Under the officer's
/// enrolment it is the security officer's ceremony, and the service never has his PIN.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "smets1kms/callbacks.hpp"
#include "smets1kms/config.hpp"

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
  bool move = false;  ///< brings the KEKs over that rest elsewhere than Config::keep says
};

struct ImportResult {
  std::size_t imported = 0;
  std::size_t replaced =
      0;  ///< known devices that got another KEK: of theirs none was usable any more
  std::size_t moved = 0;  ///< KEKs brought over to the other vault
  std::vector<std::string>
      not_moved{};  ///< one line a KEK of the file that stays in the other vault, and why
  std::size_t already_known = 0;
  std::string
      signer;  ///< subject and certificate fingerprint; empty where unsigned files are taken
};

struct EnrolmentResult {
  std::size_t admitted = 0;
  std::vector<std::string>
      failures;  ///< one line a KEK that could not be admitted; the others were
  std::vector<std::string>
      passed_over;  ///< one line a KEK that is compromised, or that its device is known not to hold
};

/// Needs the registry's write lock, like the service: one at a time. Every call throws
/// TokenUnavailable (no token, no login), StorageError (no write lock, no registry),
/// RefusedByToken, Refused (dual_control and what the call says), and blocks until its result is
/// durable.
class Enrolment {
 public:
  /// officer_pin: where the security officer's PIN comes from (`file:…`, `fd:N`, empty:
  /// Callbacks::pin_prompt); not used under plain enrolment. What a descriptor or the prompt gave
  /// serves for all that follows. Throws TokenUnavailable for a descriptor that is not open,
  /// BadInput for a source of another form.
  Enrolment(Config config, Authority authority, const std::string& officer_pin,
            Callbacks callbacks = {});

  /// Makes the registry where there is none, the RSA key pair under which transport keys arrive
  /// and, for the officer, the key under which new KEKs wait for him. Returns the public half, PEM.
  /// Run again it changes nothing and returns the same.
  std::string make_keys();
  /// Imports devices with their KEKs, each unwrapped in the token. The signature is checked before
  /// a line is read. All lines or none; devices known with the same facts are passed over, with
  /// others refused (BadFile, line and column). A known device of whose KEKs none is usable any
  /// more (a compromise) gets the line's as the next generation, if it is another. Moving: what
  /// rests in one vault can't be carried to the other, but the manufacturer's file has the KEK once
  /// more. One that is in use, on no way to its device, and was imported with these very bytes
  /// becomes the next generation, in the vault that Config::keep names; the old one is deactivated.
  /// Other KEKs stay where they are, for rotation to replace.
  ImportResult import_fleet(const FleetFile& file, const std::string& operation_id = {});
  /// Officer's: admits every KEK that a rotation made and that waits for him; none that is
  /// compromised, or that its device is known not to hold. Throws Refused under plain enrolment.
  EnrolmentResult admit_waiting();
  /// Sealed vault: a new storage key of each class. New keys go under it; KeyManager::reseal brings
  /// the others over.
  void renew_storage_keys();

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace smets1kms
