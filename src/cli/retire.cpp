// SPDX-License-Identifier: Apache-2.0
#include "cli/selection.hpp"

namespace smets1kms::cli {
namespace {

const Fields<SelectionSummary> retire_fields(
    "smets1-kms-retire-1", "What 'retire' did",
    {{"retired", "keys that are deactivated now", &SelectionSummary::done},
     {"in_use", "keys left out, because their devices may still use them",
      &SelectionSummary::in_use},
     {"interrupted", "true if it was stopped before its end", &SelectionSummary::stopped}});

void run_retire(const Invocation& in) {
  const auto selections =
      key_selections(in, "retirement", {{"superseded", Selection::Kind::superseded}});
  const auto who = authority_of(in);
  auto kms = open_key_manager(in);
  SelectionSummary summary;
  if (const auto& keys = selections.front().keys; !keys.empty()) {
    kms.retire(keys.front(), who, in.values.text("operation-id"));
    summary.done = 1;
  } else {
    summary = kms.retire(selections.front(), who, stop_on_signals());
  }
  show(in, retire_fields, summary,
       [&](std::ostream& out) { out << summary.done << " keys retired\n"; });
  end_of_selection(in, summary);
}

}  // namespace

Command retire() {
  return {"retire",
          "deactivate keys that devices no longer use",
          "--device ID --role R --generation N|--superseded|--file LIST --requested-by ID "
          "--authorised-by ID --reference REF",
          R"(
Deactivates keys that devices no longer use. Needed for models that go on with the old key until
their next association: their old keys stay active until this says that the switch was seen. The key
a device uses is never retired.)",
          joined({key_options(),
                  {flag("superseded", "every key that a newer active one of its role has replaced"),
                   list_option("the same of these devices only")},
                  change_options()}),
          run_retire,
          {retire_fields}};
}

}  // namespace smets1kms::cli
