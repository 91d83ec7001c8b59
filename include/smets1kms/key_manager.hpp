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

#include "smets1kms/config.hpp"
#include "smets1kms/errors.hpp"
#include "smets1kms/fleet.hpp"
#include "smets1kms/key_transfer.hpp"
#include "smets1kms/types.hpp"

namespace smets1kms {

/// Which KEK wraps a GAK while a new KEK waits for its proof.
enum class WrapUnder : std::uint8_t {
  automatic,  ///< the new one if there is one: its success proves the new KEK
  proven,     ///< the old one: its success shows that the device never took the new KEK
};

struct RotationRequest {
  DeviceId device;
  std::vector<KeyRole> roles;  ///< no duplicates; the KEK alone. Empty: every one of GUEK, GBEK and
                               ///< GAK that the device supports
  Reason reason;
  Authority authority;
  std::string operation_id{};  ///< 1 to 64 of [A-Za-z0-9._:-]; empty: one is made (UUIDv7). The
                               ///< same again: the same result
  bool single_action = false;  ///< all keys in one ACTION; some firmware takes one key only
  WrapUnder wrap_under = WrapUnder::automatic;
  /// For the record, 1 to 200 printable characters: why a rotation is periodic under an edition of
  /// the policy without such a rule (SEC Appendix AT). Refused without it.
  std::string justification{};
};

/// What a rotation released.
class Rotation {
 public:
  Rotation(std::string operation_id, std::vector<KeyTransfer> transfers)
      : operation_id_(std::move(operation_id)), transfers_(std::move(transfers)) {}
  [[nodiscard]] const std::string& operation_id() const { return operation_id_; }
  [[nodiscard]] const std::vector<KeyTransfer>& transfers() const { return transfers_; }

 private:
  std::string operation_id_;
  std::vector<KeyTransfer> transfers_;
};

/// One device's part in a batch: its rotation, or why there is none.
struct RotationResult {
  DeviceId device;
  std::optional<Rotation> rotation;
  std::exception_ptr failure;  ///< set where rotation is not
};

/// Where a batch comes from: one request after the other; nullopt: there are no more.
using RequestSource = std::function<std::optional<RotationRequest>()>;

struct BatchSummary {
  std::size_t rotated = 0, failed = 0;
  bool stopped = false;  ///< before its end, because it was asked to
};

struct ReplyResult {
  Delivery
      delivery;  ///< of the transfer's keys afterwards: confirmed, in_doubt; unproven for a KEK
  std::vector<TransferredKey> keys;
};

/// What came back for a transfer: the device's answer, whole, or none.
struct Reply {
  DeviceId device;
  std::uint32_t transfer;  ///< its number: KeyTransfer::number
  std::optional<Bytes> action_response;
};
/// One after the other; nullopt: there are no more.
using ReplySource = std::function<std::optional<Reply>()>;

struct ReplyOutcome {
  Reply reply;
  std::optional<ReplyResult> result;
  std::exception_ptr failure;  ///< Refused; set where result is not
};

/// Which key of a role a probe showed the device to hold.
enum class ProbeResult : std::uint8_t { new_key, old_key };

struct KeyRef {
  DeviceId device;
  KeyRole role;
  std::uint32_t generation;
};

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

struct Progress {
  std::string what;
  std::size_t done = 0, total = 0;
};

/// What the surroundings give: none of it is needed.
struct Callbacks {
  std::function<Time()> clock;  ///< UTC; the system's by default
  std::function<Bytes(const std::string& what)>
      pin_prompt;  ///< where the URI has no pin-source; the bytes given are wiped
  std::function<void(const std::string& message)>
      log;  ///< what an operator should know (settled operations)
  std::function<void(const Progress&)> progress;
};

/// Safe to use from many threads. One process at a time writes to a registry. Destroy it before
/// main returns: a PKCS#11 module can't be finalised from a static destructor.
class KeyManager {
 public:
  /// Loads the module, finds the token, logs in with one attempt, takes the registry's write lock
  /// and settles what a process that died left unfinished. Throws TokenUnavailable, StorageError
  /// (no registry: run init), BadInput (configuration).
  static KeyManager open(const Config& config, Callbacks callbacks = {});
  KeyManager(KeyManager&&) noexcept;
  ~KeyManager();

  /// S1SR clause 20, "regenerate and replace": new keys, made in the token, wrapped for the device,
  /// durable and recorded before they are returned. Throws Refused, RefusedByToken,
  /// TokenUnavailable, StorageError.
  Rotation rotate(const RotationRequest& request);
  /// The same for many devices, each on its own: a failure is that device's. The token's work is
  /// done by as many workers as Config::Token::sessions and the token allow, records are written in
  /// groups beside it, and memory does not grow with the count. `next`, `each` and `stop` are
  /// called by this thread; each device's result as soon as it is durable and recorded. Once `stop`
  /// says true nothing more is begun, and what is in the token's hands is finished. A request that
  /// carries the operation id of one that was done is handed out again
  /// (KeyTransfer::released_before). Throws TokenUnavailable when the token is lost, StorageError,
  /// and what `next` and `each` throw; what was released until then stays so, and a later batch
  /// goes on with the others.
  BatchSummary rotate(const RequestSource& next, const std::function<void(RotationResult)>& each,
                      const std::function<bool()>& stop = {});
  void rotate(std::span<const RotationRequest> requests,
              const std::function<void(RotationResult)>& each);
  /// Throws Refused ("operation-id-reused") as `rotate` would, where the request's operation id was
  /// given to another rotation than this one (other roles, identities, options). For whoever passes
  /// over what was done before.
  void check_repeat(const RotationRequest& request);

  /// Judges the device's answer to a transfer (ACTION-Response, whole; nullopt: none came). Success
  /// confirms: the new key is active, the old one deactivated (at the next association for models
  /// that switch then: see retire). Anything else is in doubt: both keys are kept. The same answer
  /// again changes nothing. Throws Refused for a transfer that was not released, or whose key, or
  /// the KEK that it would prove, is being destroyed.
  ReplyResult record_reply(const KeyTransfer& transfer,
                           const std::optional<Bytes>& action_response);
  ReplyResult record_reply(DeviceId device, std::uint32_t transfer,
                           const std::optional<Bytes>& action_response);
  /// The same for many, in groups that share a transaction; each by itself: what is refused of one
  /// changes nothing of the others. `each` is told once it is durable.
  void record_replies(const ReplySource& next,
                      const std::function<void(const ReplyOutcome&)>& each);

  /// Ends a doubt by what a probe of the device showed. evidence: 1 to 200 characters, how it was
  /// seen. A KEK can't be probed by an association: its doubt ends with a GAK transfer.
  void resolve(const KeyRef& key, ProbeResult held, const std::string& evidence,
               const Authority& authority, const std::string& operation_id = {});

  /// Deactivates a key that its device no longer uses: superseded, or of a decommissioned device.
  void retire(const KeyRef& key, const Authority& authority, const std::string& operation_id = {});
  /// Ends a key: object and stored blobs gone, absence checked and recorded, the record kept. For
  /// keys that are deactivated, compromised, or shown never to have reached their device.
  void destroy(std::span<const KeyRef> keys, const Authority& authority,
               const std::string& operation_id = {});
  /// Suspected compromise (project rule): the key is not used to protect anything from now on; of a
  /// KEK, wrapping under it stops and every key ever wrapped under it is marked too.
  CompromiseResult compromise(const KeyRef& key, const std::string& suspicion,
                              const Authority& authority, const std::string& operation_id = {});
  /// The same of the whole token: wrapping stops at once, and every key of every device that it
  /// ever had is marked, in many transactions. If the process ends meanwhile, the next opening goes
  /// on with it before anything else.
  TokenCompromiseResult compromise_token(const std::string& suspicion, const Authority& authority,
                                         const std::string& operation_id = {});

  /// What became of a device, and when it took effect in the field: suspended, resumed,
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
  explicit KeyManager(std::unique_ptr<Impl> inside);
  std::unique_ptr<Impl> impl_;
};

}  // namespace smets1kms
