// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/doctor.hpp"

#include "cli/common.hpp"

namespace smets1kms::cli {
namespace {

const Fields<Check> check_fields(
    {{"verdict", "ok, warning or failure", &Check::verdict, "CHECK"},
     {"subject", "what was looked at", &Check::subject, "WHAT"},
     {"finding", "what was found", &Check::finding, "FOUND",
      [](const Check& c) { return c.finding + (c.remedy.empty() ? "" : "  -> " + c.remedy); }},
     {"remedy", "what to do; empty: nothing", &Check::remedy}});
const Fields<Diagnosis> doctor_fields(
    "smets1-kms-doctor-1", "What 'doctor' found",
    {{"ok", "false if a check failed", [](const Diagnosis& d) { return !d.failed(); }},
     nested("checks", "each look, in order", check_fields, &Diagnosis::checks),
     {"next", "the command to run now", &Diagnosis::next}});

void run_doctor(const Invocation& in) {
  const auto diagnosis = diagnose(config_of(in), callbacks_of(in));
  show(in, doctor_fields, diagnosis, [&](std::ostream& out) {
    print_table(out, check_fields, diagnosis.checks);
    out << "\nnext: " << diagnosis.next << '\n';
  });
  if (diagnosis.failed()) throw Unsuccessful(Exit::failed, "check-failed", "a check failed");
}

}  // namespace

Command doctor() {
  return {"doctor",
          "check configuration, token, PIN source, registry; run it first when something is wrong",
          "",
          R"(
Checks configuration, PIN source, module, p11-kit, profile, token, login, mechanisms, protections,
registry, disk and clock, and says what to do about what it finds. Changes nothing; tries the PIN
once, and holds the registry's lock for a moment, as a writer does.)",
          {},
          run_doctor,
          {doctor_fields}};
}

}  // namespace smets1kms::cli
