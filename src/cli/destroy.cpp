// SPDX-License-Identifier: Apache-2.0
#include "cli/selection.hpp"

namespace smets1kms::cli {
namespace {

const Fields<SelectionSummary> destroy_fields(
    "smets1-kms-destroy-1", "What 'destroy' did",
    {{"destroyed", "keys that are gone, their absence checked", &SelectionSummary::done},
     {"in_use", "keys left out, because their devices may still use them",
      &SelectionSummary::in_use},
     {"being_destroyed", "keys left out, because another destruction of them is not at its end",
      &SelectionSummary::being_destroyed},
     {"interrupted", "true if it was stopped before its end", &SelectionSummary::stopped}});

void run_destroy(const Invocation& in) {
  const auto selections = key_selections(
      in, "destruction",
      {{"deactivated", Selection::Kind::deactivated}, {"not-held", Selection::Kind::not_held}});
  const auto who = authority_of(in);
  auto kms = open_key_manager(in);
  const auto stop = stop_on_signals();
  SelectionSummary summary;
  for (const auto& selection : selections) {
    if (!selection.keys.empty()) {
      kms.destroy(selection.keys, who, in.values.text("operation-id"));
      summary.done += selection.keys.size();
      continue;
    }
    const auto part = kms.destroy(selection, who, stop);
    summary.done += part.done;
    summary.in_use += part.in_use;
    summary.being_destroyed += part.being_destroyed;
    if ((summary.stopped = part.stopped)) break;
  }
  if (summary.in_use != 0)
    in.console.note(std::to_string(summary.in_use) +
                    " deactivated keys may still be in use by their devices, and stay until newer "
                    "ones are confirmed");
  if (summary.being_destroyed != 0)
    in.console.note(std::to_string(summary.being_destroyed) +
                    " keys are being destroyed by an operation that is not at its end: the next "
                    "command that opens the token settles it");
  show(in, destroy_fields, summary, [&](std::ostream& out) {
    out << summary.done << " keys destroyed, their absence checked\n";
  });
  end_of_selection(in, summary);
}

}  // namespace

Command destroy() {
  return {"destroy",
          "destroy keys in the token and the registry",
          "--device ID --role R --generation N|--deactivated|--not-held|--file LIST --requested-by "
          "ID --authorised-by ID --reference REF",
          R"(
Destroys keys for good: the object in the token and the wrapped copy in the registry. Its absence is
checked and recorded; the record of the key stays. Refused for every key that its device may still
use (but for a suspected KEK, which wraps nothing); of many such a key is left out and counted.
Backups of the token or the registry made before are not reached: they end by their own retention.
Of a sealed key every blob in the registry is deleted; a backup of the registry can be opened for as
long as the token has the storage key: 'vault renew' and 'vault reseal' end that for all backups at
once.)",
          joined({key_options(),
                  {flag("deactivated", "every deactivated key of the fleet"),
                   flag("not-held", "every key of the fleet that its device was shown not to hold"),
                   list_option("the deactivated keys of these devices only")},
                  change_options()}),
          run_destroy,
          {destroy_fields}};
}

}  // namespace smets1kms::cli
