// SPDX-License-Identifier: Apache-2.0
/// @file
/// The lifecycle of the keys of SMETS1 DLMS devices. Every key is generated, kept and wrapped in
/// the PKCS#11 token; every change is in the audit trail before its result is released.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "smets1kms/batch.hpp"
#include "smets1kms/callbacks.hpp"
#include "smets1kms/config.hpp"
#include "smets1kms/errors.hpp"
#include "smets1kms/fleet.hpp"
#include "smets1kms/handover.hpp"
#include "smets1kms/key_transfer.hpp"
#include "smets1kms/replies.hpp"
#include "smets1kms/selection.hpp"
#include "smets1kms/types.hpp"

namespace smets1kms {

/// The key of a role that a probe showed the device to hold.
enum class ProbeResult : std::uint8_t { new_key, old_key };

/// Result of a compromise: of one key, or of a KEK and with it every key ever wrapped under it.
struct CompromiseResult {
  std::vector<KeyRef> compromised;
};

/// Result of a compromise of the token, and with it of every key that it ever had.
struct TokenCompromiseResult {
  std::string operation_id;
  std::uint64_t devices = 0, keys = 0;
};

/// Result of wrapping keys anew under the newest storage keys.
struct ResealResult {
  std::size_t resealed = 0;
  std::size_t destroyed_storage_keys = 0;  ///< older ones, under which no key remained
  /// One line for each key that differs from the trail, or that the token refused.
  std::vector<std::string> failures;
};

/// A signed head that a time-stamping authority has stamped.
struct TimestampedHead {
  std::uint64_t records = 0;  ///< under the head
  std::string time;           ///< as the authority says: "2026-11-30T12:00:00Z"
};

/// Operations on keys. Safe to use from many threads at once; single `rotate` and `record_reply`
/// calls of several threads share transactions and signatures. Every call blocks until its result
/// is durable and under a signed head of the audit trail. One process at a time writes to a
/// registry. Destroy the object before main returns: a PKCS#11 module can't be finalised from a
/// static destructor.
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

  /// Makes new keys in the token and wraps them for the device (S1SR clause 20, "regenerate and
  /// replace"). They are durable and recorded before they are returned.
  Rotation rotate(const RotationRequest& request);

  /// Rotates many devices as a named batch. Devices are independent: a failure is one device's. The
  /// token's work is done by as many workers as Config::Token::sessions and the token allow; memory
  /// does not grow with the count. Calls `each` in this thread with each device's result once it is
  /// durable and recorded; the result counts as handed over when `each` returns. Once `stop`
  /// returns true nothing more is begun, and the token's work under way is finished.
  ///
  /// Continues a batch of this name that the same request began before: passes over devices that
  /// are done, and hands out again transfers that were released and not handed over to the caller
  /// (a process that died), marked KeyTransfer::released_before; a transfer's id tells repeats.
  /// Throws Refused (batch_changed) where another request began the batch. An exception from `each`
  /// or `stop` ends the batch. Every exception carries the batch's name as operation id.
  BatchSummary rotate(const BatchRequest& request, const std::function<void(RotationResult)>& each,
                      const std::function<bool()>& stop = {});
  /// Continues a batch by its name alone, as above. Throws Refused (unknown_batch).
  BatchSummary resume(const std::string& batch, const std::function<void(RotationResult)>& each,
                      const std::function<bool()>& stop = {});
  /// Hands out again every transfer of a batch that is released and waits for its answer, marked
  /// KeyTransfer::released_before and recorded; those of one rotation together. A device whose
  /// transfers are refused is given as a failure, and the others go on. `is_wanted`: false leaves a
  /// transfer out, by device and number. Throws Refused (unknown_batch; operation_open while the
  /// batch is being run).
  void transfers(const std::string& batch, const std::function<void(RotationResult)>& each,
                 const std::function<bool(DeviceId, std::uint32_t)>& is_wanted = {});
  /// Returns the bytes of one transfer again, for a caller that lost them, while it is released
  /// without an answer. Marks it KeyTransfer::released_before and records the call. Throws Refused
  /// (not_released, not_unanswered; operation_open while the rotation's caller is about to get it).
  KeyTransfer transfer(DeviceId device, std::uint32_t number);

  /// Records and judges the device's answer to a transfer. Success confirms: the new key is active,
  /// the old one deactivated (at the next association for models that switch then: see retire). Any
  /// other answer leaves the transfer in doubt: both keys are kept. A repeated answer changes
  /// nothing. A reply that is no ACTION-Response (ciphered, a transport frame, trailing bytes) is
  /// refused with BadInput that says what it is, and changes nothing. Throws Refused for a transfer
  /// that was not released, or whose key, or the KEK that it would prove, is being destroyed.
  ReplyResult record_reply(const KeyTransfer& transfer, const ReplyContent& reply);
  ReplyResult record_reply(DeviceId device, std::uint32_t transfer, const ReplyContent& reply);
  /// Records many answers, in groups that share a transaction; a refused one changes nothing of the
  /// others. Calls `each` in this thread once the reply is durable.
  void record_replies(const ReplySource& next,
                      const std::function<void(const ReplyOutcome&)>& each);

  /// Records that handover targets hold keys: compares each proof in the token and deletes the
  /// wrapped key that was received. A transfer that was withheld is released once every target that
  /// asked for it (HandoverTarget::before_transfer) has shown that it holds the transfer's keys. A
  /// wrong proof is refused and recorded, and the transfer stays withheld (proof_wrong); other
  /// reasons: unknown_key, unknown_target (it was not handed this key), destroyed, compromised,
  /// gcm_iv_by_token. Receipts share transactions in groups; calls `each` in this thread once its
  /// receipt is durable.
  void record_receipts(const ReceiptSource& next,
                       const std::function<void(const ReceiptOutcome&)>& each);
  /// Hands out once more what is stored for targets and not yet received, the same bytes; recorded.
  /// A handover that differs from the audit trail, or whose key or target may not be used any more,
  /// is given as a failure, and the others go on. `is_wanted`: false leaves one out, by its key and
  /// its target's name. Throws Refused (unknown_target, unknown_batch, unknown_device).
  void handovers(const HandoverSelection& selection,
                 const std::function<void(HandoverResult)>& each,
                 const std::function<bool(const KeyRef&, const std::string&)>& is_wanted = {});

  /// Ends a doubt by the result of a probe of the device. `evidence`: how it was seen, 1 to 200
  /// characters. A KEK can't be probed by an association: its doubt ends with a GAK transfer.
  void resolve(const KeyRef& key, ProbeResult held, const std::string& evidence,
               const Authority& authority, const std::string& operation_id = {});

  /// Deactivates a key that its device no longer uses: superseded, or of a decommissioned device.
  void retire(const KeyRef& key, const Authority& authority, const std::string& operation_id = {});
  /// Does the same for every key selected (Selection::Kind: devices, keys, superseded).
  SelectionSummary retire(const Selection& selection, const Authority& authority,
                          const std::function<bool()>& stop = {});
  /// Destroys keys: removes object and stored blobs, checks and records their absence, and keeps
  /// the key's record. For keys that are deactivated, compromised, or shown never to have reached
  /// their device.
  void destroy(std::span<const KeyRef> keys, const Authority& authority,
               const std::string& operation_id = {});
  /// Does the same for every key selected (Selection::Kind: devices, keys, deactivated, not_held),
  /// in groups of keys. After a stop or a failure the same call continues with the others.
  SelectionSummary destroy(const Selection& selection, const Authority& authority,
                           const std::function<bool()>& stop = {});
  /// Records a suspected compromise (project rule): the key protects nothing from now on. For a
  /// KEK, wrapping under it stops, and every key ever wrapped under it is marked too.
  CompromiseResult compromise(const KeyRef& key, const std::string& suspicion,
                              const Authority& authority, const std::string& operation_id = {});
  /// Records a suspected compromise of the whole token: wrapping stops at once, and every key of
  /// every device that it ever had is marked, in many transactions. If the process ends meanwhile,
  /// the next opening completes the marking before anything else.
  TokenCompromiseResult compromise_token(const std::string& suspicion, const Authority& authority,
                                         const std::string& operation_id = {});

  /// Records a suspected compromise of a handover target (project rule): wrapping for it stops at
  /// once, its public key leaves the token, and every key that it was ever handed is marked, in
  /// many transactions. If the process ends meanwhile, the next opening completes the marking.
  /// Throws Refused (unknown_target, illegal_transition: it was marked before).
  TargetCompromiseResult compromise_target(const std::string& target, const std::string& suspicion,
                                           const Authority& authority,
                                           const std::string& operation_id = {});

  /// Records a change of a device, and when it took effect in the field: commissioned, suspended,
  /// resumed, decommissioned, recommissioned. Throws Refused where the device can't change so, or
  /// `at` lies more than 5 minutes ahead or before its last known change.
  void change_device(DeviceId device, DeviceChange change, Time at, const Authority& authority,
                     const std::string& operation_id = {});

  /// Computes a proof that two sides hold the same key, which gives nothing of it away: 16 bytes,
  /// computed in the token over a fresh challenge of 16 to 64 bytes. With P = "smets1-kms key proof
  /// 1": for a GUEK or GBEK the AES-GCM tag of the challenge as plaintext, no additional data, IV =
  /// the first 12 bytes of SHA-256(P || challenge), so that no IV serves two challenges; for a GAK,
  /// AES-CMAC of P || challenge. Throws Refused for a KEK (its proof is a transfer that the device
  /// accepts) and a key that is gone.
  [[nodiscard]] Bytes prove(const KeyRef& key, ByteView challenge);

  /// Wraps every key under an older storage key of the sealed vault anew, after
  /// Enrolment::renew_storage_keys, and destroys older storage keys without any key left. Other
  /// operations may run meanwhile; a stopped call continues when called again. Throws Refused under
  /// plain enrolment.
  ResealResult reseal(const Authority& authority);

  /// Records a heartbeat and the map of every device's last record in the audit trail. Returns its
  /// signed head, a C2SP tlog-checkpoint: keep it, or have the assessor keep it. To be called by a
  /// timer (Config::Audit::heartbeat) and before closing.
  std::string checkpoint();
  /// Returns a request (TimeStampReq, DER, RFC 3161) for a time stamp on the last signed head: on
  /// the SHA-256 of the note as `checkpoint` returns it. It takes the place of one that still
  /// waits. Throws Refused (no_audit_key).
  std::string timestamp_request();
  /// Keeps the authority's response (TimeStampResp, DER) to the last request, in the registry and
  /// in exports. Throws BadInput for one that was not granted or does not answer it; with
  /// `trusted` (certificates, PEM) also for one that they don't prove.
  TimestampedHead add_timestamp(const std::string& response, const std::string& trusted = {});
  /// Makes a new key that signs the audit trail from now on; both keys sign one head. Returns the
  /// new public half, PEM.
  std::string renew_audit_key(const Authority& authority);
  /// Opens a registry that was restored on purpose: `open` refuses one that lacks heads which are
  /// anchored elsewhere; this function records the gap, under two identities, and then does the
  /// same as `open`. Throws BadInput where there is no gap, Refused.
  static KeyManager open_restored(const Config& config, const Authority& authority,
                                  Callbacks callbacks = {});

  [[nodiscard]] const Fleet& fleet() const;

 private:
  struct Impl;
  explicit KeyManager(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace smets1kms
