// SPDX-License-Identifier: Apache-2.0
/// @file
/// The lifecycle of the keys of SMETS1 DLMS devices. Every key is generated, kept and wrapped in
/// the PKCS#11 token; every change is in the audit trail before its result is released.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "smets1kms/batch.hpp"
#include "smets1kms/callbacks.hpp"
#include "smets1kms/config.hpp"
#include "smets1kms/errors.hpp"
#include "smets1kms/fleet.hpp"
#include "smets1kms/key_transfer.hpp"
#include "smets1kms/replies.hpp"
#include "smets1kms/selection.hpp"
#include "smets1kms/types.hpp"

namespace smets1kms {

/// The key of a role that a probe showed the device to hold.
enum class ProbeResult : std::uint8_t { new_key, old_key };

/// A compromise: of one key, or of a KEK and with it of every key ever wrapped under it.
struct CompromiseResult {
  std::vector<KeyRef> compromised;
};

/// A compromise of the token: of every key that it ever had.
struct TokenCompromiseResult {
  std::string operation_id;
  std::uint64_t devices = 0, keys = 0;
};

/// Keys that were wrapped anew under the newest storage keys.
struct ResealResult {
  std::size_t resealed = 0;
  std::size_t destroyed_storage_keys = 0;  ///< older ones, under which no key remained
  std::vector<std::string>
      failures;  ///< one line a key that is not as recorded, or that the token refused
};

/// Safe to use from many threads at once; single `rotate` and `record_reply` calls of several
/// threads share transactions and signatures. Every call blocks until its result is durable and
/// under a signed head of the audit trail. One process at a time writes to a registry. Destroy it
/// before main returns: a PKCS#11 module can't be finalised from a static destructor.
///
/// Every call throws TokenUnavailable (no token, no login), StorageError (registry or trail can't
/// be written: nothing was done, or its result is withheld), RefusedByToken and, where the rules
/// forbid it, Refused; each carries the operation's id (Error::operation_id).
class KeyManager {
 public:
  /// Loads the module, finds the token, logs in with one attempt, takes the registry's write lock
  /// and recovers what a process that died left unfinished. Throws TokenUnavailable, StorageError
  /// (no registry: run init), BadInput (configuration).
  static KeyManager open(const Config& config, Callbacks callbacks = {});
  KeyManager(KeyManager&&) noexcept;
  ~KeyManager();

  /// S1SR clause 20, "regenerate and replace": new keys, made in the token, wrapped for the device,
  /// durable and recorded before they are returned.
  Rotation rotate(const RotationRequest& request);

  /// The same for many devices, as a named batch: each device on its own, a failure is that
  /// device's. The token's work is done by as many workers as Config::Token::sessions and the token
  /// allow; memory does not grow with the count. `each` is called by this thread with each device's
  /// result once it is durable and recorded; the library takes it as handed over when `each`
  /// returns. Once `stop` says true nothing more is begun, and what the token works on is finished.
  ///
  /// A batch of this name that was begun before, by the same request, is gone on with: devices that
  /// are done are passed over, and what was released and not handed over to the caller (a process
  /// that died) is handed out again, marked KeyTransfer::released_before; a transfer's id tells
  /// repeats. Throws Refused (batch_changed) where the name was given to another request; what
  /// `each` and `stop` throw ends the batch. The exception carries the batch's name as operation
  /// id.
  BatchSummary rotate(const BatchRequest& request, const std::function<void(RotationResult)>& each,
                      const std::function<bool()>& stop = {});
  /// Goes on with a batch by its name alone, as above. Throws Refused (unknown_batch).
  BatchSummary resume(const std::string& batch, const std::function<void(RotationResult)>& each,
                      const std::function<bool()>& stop = {});
  /// Hands out again every transfer of a batch that is released and waits for its answer, marked
  /// KeyTransfer::released_before and recorded; those of one rotation together. A device whose
  /// transfers are refused is given as a failure, and the others go on. `is_wanted`: false leaves a
  /// transfer out, by device and number. Throws Refused (unknown_batch; operation_open while the
  /// batch is being run).
  void transfers(const std::string& batch, const std::function<void(RotationResult)>& each,
                 const std::function<bool(DeviceId, std::uint32_t)>& is_wanted = {});
  /// The bytes of one transfer again, for a caller that lost them: only while it is released
  /// without an answer. Marked KeyTransfer::released_before, and recorded. Throws Refused
  /// (not_released, not_unanswered; operation_open while the rotation's caller is about to get it).
  KeyTransfer transfer(DeviceId device, std::uint32_t number);

  /// Judges the device's answer to a transfer. Success confirms: the new key is active, the old one
  /// deactivated (at the next association for models that switch then: see retire). Anything else
  /// is in doubt: both keys are kept. The same answer again changes nothing. A reply that is no
  /// ACTION-Response (ciphered, a transport frame, trailing bytes) is refused with BadInput that
  /// says what it is, and changes nothing. Throws Refused for a transfer that was not released, or
  /// whose key, or the KEK that it would prove, is being destroyed.
  ReplyResult record_reply(const KeyTransfer& transfer, const ReplyContent& reply);
  ReplyResult record_reply(DeviceId device, std::uint32_t transfer, const ReplyContent& reply);
  /// The same for many, in groups that share a transaction; each by itself: what is refused of one
  /// changes nothing of the others. `each` is called by this thread once the reply is durable.
  void record_replies(const ReplySource& next,
                      const std::function<void(const ReplyOutcome&)>& each);

  /// Ends a doubt by what a probe of the device showed. evidence: 1 to 200 characters, how it was
  /// seen. A KEK can't be probed by an association: its doubt ends with a GAK transfer.
  void resolve(const KeyRef& key, ProbeResult held, const std::string& evidence,
               const Authority& authority, const std::string& operation_id = {});

  /// Deactivates a key that its device no longer uses: superseded, or of a decommissioned device.
  void retire(const KeyRef& key, const Authority& authority, const std::string& operation_id = {});
  /// The same of every key selected (Selection::Kind: devices, keys, superseded).
  SelectionSummary retire(const Selection& selection, const Authority& authority,
                          const std::function<bool()>& stop = {});
  /// Ends keys: object and stored blobs gone, absence checked and recorded, the record kept. For
  /// keys that are deactivated, compromised, or shown never to have reached their device.
  void destroy(std::span<const KeyRef> keys, const Authority& authority,
               const std::string& operation_id = {});
  /// The same of every key selected (Selection::Kind: devices, keys, deactivated, not_held), in
  /// groups of keys. Stopped or failed, the same call again goes on with the others.
  SelectionSummary destroy(const Selection& selection, const Authority& authority,
                           const std::function<bool()>& stop = {});
  /// Suspected compromise (project rule): the key is not used to protect anything from now on; of a
  /// KEK, wrapping under it stops and every key ever wrapped under it is marked too.
  CompromiseResult compromise(const KeyRef& key, const std::string& suspicion,
                              const Authority& authority, const std::string& operation_id = {});
  /// The same of the whole token: wrapping stops at once, and every key of every device that it
  /// ever had is marked, in many transactions. If the process ends meanwhile, the next opening goes
  /// on with it before anything else.
  TokenCompromiseResult compromise_token(const std::string& suspicion, const Authority& authority,
                                         const std::string& operation_id = {});

  /// Records what became of a device, and when it took effect in the field: suspended, resumed,
  /// decommissioned, recommissioned. Throws Refused where it can't become that, or `at` lies ahead
  /// or before the last that is known.
  void change_device(DeviceId device, DeviceChange change, Time at, const Authority& authority,
                     const std::string& operation_id = {});

  /// Shows that two sides hold the same key, giving nothing of it away. 16 bytes, computed in the
  /// token over a fresh challenge of 16 to 64 bytes. With P = "smets1-kms key proof 1": for a GUEK
  /// or GBEK the AES-GCM tag of the challenge as plaintext, no additional data, IV = the first 12
  /// bytes of SHA-256(P || challenge), so that no IV serves two challenges; for a GAK, AES-CMAC of
  /// P || challenge. Throws Refused for a KEK (its proof is a transfer that the device accepts) and
  /// a key that is gone.
  [[nodiscard]] Bytes prove(const KeyRef& key, ByteView challenge);

  /// Sealed vault, after Enrolment::renew_storage_keys: wraps every key that is under an older
  /// storage key anew, and destroys those under which none remains. Other operations go on
  /// meanwhile; stopped, it goes on where it was when called again. Throws Refused under plain
  /// enrolment.
  ResealResult reseal(const Authority& authority);

  /// A sign of life and the map of every device's last record go into the audit trail. Returns its
  /// signed head, a C2SP tlog-checkpoint: keep it, or have the assessor keep it. For a timer
  /// (Config::Audit::heartbeat) and before closing.
  std::string checkpoint();
  /// A new key signs the audit trail from now on; one head is signed by both. Returns its public
  /// half, PEM.
  std::string renew_audit_key(const Authority& authority);
  /// After a restore on purpose: `open` refuses a registry that lacks heads which are anchored
  /// elsewhere. This records the gap, under two identities, and goes on as `open` does. Throws
  /// BadInput where there is no gap, Refused.
  static KeyManager open_restored(const Config& config, const Authority& authority,
                                  Callbacks callbacks = {});

  [[nodiscard]] const Fleet& fleet() const;

 private:
  struct Impl;
  explicit KeyManager(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace smets1kms
