// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "lifecycle/context.hpp"
#include "lifecycle/rotation.hpp"
#include "lifecycle/target_certificate.hpp"
#include "registry/handover_tables.hpp"

/// Handover targets and the keys that are wrapped for them.
namespace smets1kms::lifecycle {

/// Returns a target's public key as the token must have it.
[[nodiscard]] vault::TargetKey key_of(const registry::Target& target,
                                      const TargetCertificate& certificate);
/// Facts of a target as the record of its admission has them.
using AdmissionFacts = std::vector<std::pair<Field, std::string>>;
[[nodiscard]] AdmissionFacts admission_facts(const HandoverTarget& target, VaultKind keep);

/// Reads the targets, compares each with the record of its admission, and has new keys wrapped for
/// those that are admitted. What differs is kept in Context::target_fault, and refused by
/// `check_targets`.
void use_targets(Context& context);
/// Throws Refused (differs_from_trail) where a target differs from the record of its admission.
void check_targets(const Context& context);
/// Throws Refused (target_of_other_vault) where a target that takes one of these keys was admitted
/// for keys with WRAP_WITH_TRUSTED, and these have none, as their KEK is sealed.
void check_targets_fit(const Context& context, const RotationPlan& plan);
/// Returns the target with this label; nullptr where there is none.
[[nodiscard]] const registry::Target* find_target(const Context& context, std::string_view label);
/// Returns the target of this name that was admitted last; nullptr where there never was one.
[[nodiscard]] const registry::Target* newest_target(const Context& context, std::string_view name);
/// Returns the admitted target of this name. Throws Refused (unknown_target).
[[nodiscard]] registry::Target admitted_target(const Context& context, const std::string& name);
/// True if a transfer with these keys waits for receipts.
[[nodiscard]] bool waits_for_receipts(const Context& context, const RotationPlan& plan,
                                      std::uint32_t transfer);

/// Stores what was wrapped for targets, in the caller's transaction, and returns it as the key's
/// record has it; empty: no target takes the role.
[[nodiscard]] std::string store_handovers(Context& context, RotationPlan& plan, const Key& key,
                                          const std::vector<vault::WrappedForTarget>& wrapped);
/// True unless a target was admitted or ended after the token wrapped the plan's keys.
[[nodiscard]] bool is_for_all_targets(const Context& context, const RotationPlan& plan);
/// Adds what is stored of a key for targets, and may still be handed out, to a plan that hands it
/// out again. Throws Refused (differs_from_trail).
void add_stored_handovers(Context& context, RotationPlan& plan, const Key& key);

/// Returns a stored handover, checked against the trail. Throws Refused (differs_from_trail,
/// unknown_target for a target that has ended, compromised, destroyed).
[[nodiscard]] Handover stored_handover(Context& context, const Key& key,
                                       const registry::HandedKey& handed);

/// Records, in the caller's transaction, that a handover is handed out once more.
void record_handed_out_again(Context& context, const Key& key, const Handover& handover);

/// Kind of the operations that end a target's public key; TargetEnd is their detail.
inline constexpr std::string_view target_end = "target.end";
/// End of a target: its object leaves the token, its keys are marked where it is suspected, and
/// what is stored for it is deleted.
struct TargetEnd {
  std::string name;
  std::string label;               ///< of the object that goes; empty: there is none
  std::string id;                  ///< of the object, hex
  bool forget = true;              ///< false: renewed, what is stored for it is still handed out
  std::optional<KeyRef> marked{};  ///< the last key that was marked
  std::uint64_t keys = 0;          ///< number of keys marked
  Authority authority{};
  std::string suspicion{};  ///< empty: it is not suspected

  [[nodiscard]] std::string text() const;
  static TargetEnd parse(const std::string& detail);
};
/// Records, in the caller's transaction, that a target is about to end. `intent`: index of the
/// operation's first record, where it has one before.
void begin_target_end(Context& context, const trail::AuditContext& act, const TargetEnd& end,
                      std::int64_t intent = -1, const registry::Hash& digest = {});
/// Does what was begun, in many transactions, and returns it as it ended.
TargetEnd end_target(Context& context, registry::Operation operation);
std::string recover_target_end(Context& context, const registry::Operation& operation);

}  // namespace smets1kms::lifecycle
