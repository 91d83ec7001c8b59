// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tokens.hpp"

namespace attack {

/// A key manager as its attacker meets it: it uses the token's objects and the database's rows.
class Service {
 public:
  struct Released {
    std::string device, role;
    Bytes blob;
    std::uint32_t generation = 1;
    Bytes challenge{};  ///< of a handover: what its receipt proves the key over
  };
  struct Answer {
    std::vector<Released> transfers{}, handovers{};
    std::string said{};  ///< "" where it did as asked; else the refusal
  };
  struct Receipt {
    std::string device, role;
    std::uint32_t generation;
    std::string target;
    Bytes proof;
  };
  virtual ~Service() = default;
  virtual Answer rotate(const std::vector<std::string>& devices,
                        const std::vector<std::string>& roles, const std::string& operation = {},
                        bool together = false) = 0;
  /// Proof of a device's key over a challenge; generation 0: its active one. Empty where refused.
  virtual std::pair<Bytes, std::string> prove(const std::string& device, const std::string& role,
                                              const Bytes& challenge,
                                              std::uint32_t generation = 0) = 0;
  /// What was released last goes to the meters, and their answers back. False where a meter
  /// refused.
  virtual bool deliver() = 0;
  /// The object that the service means by a device's newest key.
  [[nodiscard]] virtual Handle object(Session& session, const std::string& device,
                                      const std::string& role) = 0;
  /// Database: the released blob of one row put into another; the ids of two keys exchanged.
  virtual void copy_blob(const std::string& from_device, const std::string& from_role,
                         int from_generation, const std::string& to_device,
                         const std::string& to_role, int to_generation) = 0;
  virtual void swap_ids(const std::string& device, const std::string& other,
                        const std::string& role) = 0;
  /// Database: a KEK that waits for the officer is replaced; the officer then holds his ceremony.
  /// Empty: not this one's.
  virtual std::string plant_and_enrol(const Bytes& blob) = 0;
  /// Database: the KEKs of two devices that wait for the officer exchanged; he then holds his
  /// ceremony.
  virtual std::string swap_waiting_and_enrol(const std::string& device,
                                             const std::string& other) = 0;
  /// The modulus of the key that the service gives manufacturers, asked for anew; a refusal where
  /// it gives none.
  virtual std::pair<Bytes, std::string> import_modulus() = 0;
  /// A device's line of the fleet file with another KEK, under the thief's own transport key; ""
  /// where it was taken.
  virtual std::string import_own(const std::string& device, const Bytes& kek,
                                 const Bytes& import_modulus) = 0;
  [[nodiscard]] virtual const std::vector<std::string>& devices() const = 0;

  // Handover targets. "headend" is admitted, "former" was until it was retired.
  /// The object that the service means by the target that is admitted.
  [[nodiscard]] virtual Handle target_object(Session& session) = 0;
  /// Id and label that the public key of the retired target had.
  [[nodiscard]] virtual std::pair<Bytes, std::string> former_target() = 0;
  /// The keys stored for the target, of one device, once more.
  virtual Answer hand_out(const std::string& device) = 0;
  virtual Answer receive(const std::vector<Receipt>& receipts) = 0;
  /// The officer's act: the target is admitted anew; transfers wait for its receipts, or don't.
  virtual std::string admit(bool before_transfer) = 0;
  /// Database: what two devices' stored handovers hold is exchanged.
  virtual void swap_handovers(const std::string& device, const std::string& other) = 0;
  /// Database: what the target's row is made to say until `restore`, which ends the forgeries below
  /// as well.
  enum class Forgery {
    own_certificate,  ///< the thief's certificate; the key id is that of his object
    own_admission,    ///< the same, and the record of the target's admission is rewritten to match
    more_roles,       ///< it takes KEKs, too
    no_waiting,       ///< transfers wait for nobody
    revived           ///< the retired target is admitted
  };
  virtual void forge_target(Forgery what, const Bytes& id) = 0;
  virtual void restore() = 0;
  /// Database: a device's handover of a role was received; or its withheld transfers are released.
  virtual void forge_received(const std::string& device, const std::string& role) = 0;
  virtual void forge_released(const std::string& device) = 0;
  /// What an assessor's program says of the audit trail, in a line.
  virtual std::string verdict() = 0;
};

/// smets1-kms, by its commands; meters by the simulator.
[[nodiscard]] std::unique_ptr<Service> commands(const Place& place);
/// A key manager that trusts labels and rows.
[[nodiscard]] std::unique_ptr<Service> naive_service(std::shared_ptr<pkcs11::Module> module,
                                                     CK_SLOT_ID slot, Judge& judge);

/// An attack on what a key manager does with the token: it uses both.
struct ServiceAttack {
  const char* name;
  const char* source;
  void (*run)(Attacker&, Service&);
  const char* impossible = nullptr;
  const char* open_in_plain = nullptr;
  const char* not_in_plain = nullptr;  ///< why there is nothing to attack in plain mode
  const char* remains = nullptr;
  const char* open_in_sealed = nullptr;
};
[[nodiscard]] std::vector<ServiceAttack> service_attacks();
/// Attacks on handover targets; the last destroys the target's object, and has it admitted anew.
[[nodiscard]] std::vector<ServiceAttack> handover_service_attacks();

}  // namespace attack
