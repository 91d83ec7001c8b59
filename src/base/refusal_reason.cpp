// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/refusal_reason.hpp"

#include <algorithm>
#include <array>

namespace smets1kms {
namespace {

struct Row {
  RefusalReason reason;
  std::string_view word, remedy;
};
using Reasons = RefusalReason;
constexpr Row rows[] = {
    {Reasons::already_confirmed, "already-confirmed", ""},
    {Reasons::already_resolved, "already-resolved", "rotate the device again"},
    {Reasons::altered, "altered", "get the file from its signer once more"},
    {Reasons::batch_changed, "batch-changed", "give the new request a batch name of its own"},
    {Reasons::compromised, "compromised", ""},
    {Reasons::decommissioned, "decommissioned", ""},
    {Reasons::destroyed, "destroyed", ""},
    {Reasons::differs_from_trail, "differs-from-trail",
     "restore the registry from its backup and find out who can write to it"},
    {Reasons::dual_control, "dual-control", "have another identity authorise it"},
    {Reasons::fingerprint_differs, "fingerprint-differs",
     "ask the party for its fingerprint on another way"},
    {Reasons::foreign_signature, "foreign-signature",
     "name the signer's certificate under manufacturers"},
    {Reasons::gcm_iv_by_token, "gcm-iv-by-token",
     "prove the device's GAK, or resolve by an association"},
    {Reasons::illegal_device_change, "illegal-device-change", ""},
    {Reasons::illegal_transition, "illegal-transition", ""},
    {Reasons::import_key_replaced, "import-key-replaced",
     "restore the token from its backup and find out who has its PIN"},
    {Reasons::in_doubt, "in-doubt", "record the device's answer, or probe the device and resolve"},
    {Reasons::in_the_future, "in-the-future", ""},
    {Reasons::in_use, "in-use", "wait until a newer key of its role is confirmed"},
    {Reasons::interrupted, "interrupted", "run the batch again by its name: it goes on"},
    {Reasons::kek_alone, "kek-alone", "rotate the KEK by itself"},
    {Reasons::kek_changed, "kek-changed", "run the rotation again"},
    {Reasons::kek_not_enrolled, "kek-not-enrolled",
     "have the security officer run 'smets1-kms enrol'"},
    {Reasons::kek_not_probable, "kek-not-probable",
     "rotate the GAK alone: its success proves the KEK"},
    {Reasons::kek_unproven, "kek-unproven", "rotate the GAK alone: its success proves the KEK"},
    {Reasons::key_in_use, "key-in-use", "have the party make a key pair for this purpose alone"},
    {Reasons::no_audit_key, "no-audit-key", "run 'smets1-kms init'"},
    {Reasons::no_import_key, "no-import-key", "run 'smets1-kms init'"},
    {Reasons::no_storage_keys, "no-storage-keys",
     "run 'smets1-kms init', or 'enrol' in a ceremony"},
    {Reasons::no_usable_kek, "no-usable-kek", "import another KEK from the manufacturer"},
    {Reasons::not_commissioned, "not-commissioned",
     "record its commissioning ('smets1-kms device commission')"},
    {Reasons::not_in_doubt, "not-in-doubt", ""},
    {Reasons::not_released, "not-released", ""},
    {Reasons::not_unanswered, "not-unanswered", ""},
    {Reasons::operation_id_reused, "operation-id-reused", "give each request an id of its own"},
    {Reasons::operation_open, "operation-open",
     "open the registry anew: that recovers the operation"},
    {Reasons::out_of_order, "out-of-order", ""},
    {Reasons::plain_enrolment, "plain-enrolment", ""},
    {Reasons::policy, "policy", "give a justification"},
    {Reasons::proof_wrong, "proof-wrong",
     "hand the key out once more ('smets1-kms handover'), and have its target open that"},
    {Reasons::refused_by_token, "refused-by-token", ""},
    {Reasons::role_not_supported, "role-not-supported", ""},
    {Reasons::target_of_other_vault, "target-of-other-vault",
     "admit its certificate again ('enrol --handover', 'init --handover')"},
    {Reasons::targets_changed, "targets-changed", "run the rotation again"},
    {Reasons::token_suspected, "token-suspected", ""},
    {Reasons::too_many_targets, "too-many-targets", "retire one that is not needed any more"},
    {Reasons::unfit_certificate, "unfit-certificate", "have the party make another one"},
    {Reasons::unfit_token, "unfit-token", "'smets1-kms doctor' says what the token can do"},
    {Reasons::unknown_batch, "unknown-batch", ""},
    {Reasons::unknown_device, "unknown-device", "import the device"},
    {Reasons::unknown_key, "unknown-key", "'smets1-kms device show' lists the keys"},
    {Reasons::unknown_model, "unknown-model", "name the model under models in the configuration"},
    {Reasons::unknown_operation, "unknown-operation", ""},
    {Reasons::unknown_target, "unknown-target", "'smets1-kms status' lists the targets"},
    {Reasons::unsigned_file, "unsigned", "have the manufacturer sign the file"},
    {Reasons::withheld, "withheld",
     "record the receipts of its targets ('smets1-kms handover --received')"},
};
constexpr auto listed_reasons = [] {
  std::array<RefusalReason, std::size(rows)> all{};
  std::ranges::transform(rows, all.begin(), &Row::reason);
  return all;
}();
static_assert(rows[std::size(rows) - 1].reason == Reasons::withheld);
static_assert([] {  // a row for each reason, in the order of the enumeration
  for (std::size_t i = 0; i < std::size(rows); ++i)
    if (static_cast<std::size_t>(rows[i].reason) != i) return false;
  return true;
}());
const Row& row_of(RefusalReason reason) { return rows[static_cast<std::size_t>(reason)]; }

}  // namespace

std::string_view to_string(RefusalReason reason) { return row_of(reason).word; }
std::span<const RefusalReason> all_refusal_reasons() { return listed_reasons; }
std::string_view remedy(RefusalReason reason) { return row_of(reason).remedy; }

}  // namespace smets1kms
