// SPDX-License-Identifier: Apache-2.0
#include <sys/prctl.h>
#include <sys/resource.h>

#include "cli/common.hpp"

namespace smets1kms::cli {

// The commands, in the order of --help: a function of each name returns it.
#define SMETS1_KMS_COMMANDS(command)                                                               \
  command(init) command(enrol) command(doctor) command(check) command(device_import)               \
      command(device_list) command(device_show) command(device_commission) command(device_suspend) \
          command(device_resume) command(device_decommission) command(device_recommission)         \
              command(due) command(rotate) command(transfer) command(handover) command(confirm)    \
                  command(resolve) command(retire) command(destroy) command(compromise)            \
                      command(status) command(prove) command(vault_status) command(vault_renew)    \
                          command(vault_reseal) command(checkpoint) command(export_trail)

#define DECLARE(name) Command name();
#define CALL(name) name(),
SMETS1_KMS_COMMANDS(DECLARE)

namespace {

constexpr const char* epilogue = R"(
A first rotation: enrol, enrol FLEET.csv (under plain enrolment init, device import), enrol
--handover for the head end (init --handover), rotate, handover --received, confirm.
Exit: 0 done; 1 refused or failed; 2 wrong usage; 3 token unavailable; 4 the audit trail is not verified, or
contradicted ('check'); 6 the registry can't be used,
or another writer took over; 7 what --fail-on names applies ('due').)";

}  // namespace
}  // namespace smets1kms::cli

int main(int count, char** arguments) {
  using namespace smets1kms::cli;
  // No core file holds a PIN, and no other process of this user attaches to read one.
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::prctl(PR_SET_DUMPABLE, 0);
  return run({.name = "smets1-kms",
              .summary = "the keys of SMETS1 DLMS devices, made and kept in a PKCS#11 token",
              .epilogue = epilogue,
              .has_config = true,
              .commands = {SMETS1_KMS_COMMANDS(CALL)}},
             count, arguments);
}
