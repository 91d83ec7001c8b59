// SPDX-License-Identifier: Apache-2.0
#include "cli/enrolment_options.hpp"

namespace smets1kms::cli {
namespace {

struct Enrolled {
  std::string public_key_file;
  ImportResult imported;
  EnrolmentResult keks;
};
const Fields<Enrolled> enrol_fields(
    "smets1-kms-enrol-1", "What the security officer's ceremony did",
    {{"public_key_file", "the file of the import key", &Enrolled::public_key_file},
     spread(import_fields(), &Enrolled::imported),
     {"admitted", "KEKs that may wrap from now on",
      [](const Enrolled& e) { return e.keks.admitted; }},
     {"failed", "KEKs that could not be admitted",
      [](const Enrolled& e) { return e.keks.failures.size(); }},
     {"passed_over", "KEKs that are compromised, or that their device does not hold",
      [](const Enrolled& e) { return e.keks.passed_over.size(); }}});

void run_enrol(const Invocation& in) {
  const auto& values = in.values;
  (void)authority_of(in);
  for (const char* name : {"signature", "transport-key", "move", "operation-id"})
    if (!values.has("file") && values.has(name))
      throw Usage(std::string("--") + name + " goes with a fleet file: enrol FLEET.csv");
  const auto admission = target_of(in);
  const auto file = values.has("file") ? std::optional(fleet_file_of(in)) : std::nullopt;
  const auto config = config_of(in);
  if (config.token.enrolment == EnrolmentMode::plain)
    throw BadInput(
        "this configuration has enrolment = \"plain\": there is no officer's ceremony; use 'init' "
        "and 'device import'");
  auto ceremony = open_enrolment(in, config);
  Enrolled done{values.text("public-key"), {}, {}};
  write_public_key(done.public_key_file, ceremony.make_keys());
  (void)write_audit_key(in, config);
  change_targets(in, ceremony, admission);
  if (file) done.imported = ceremony.import_fleet(*file, values.text("operation-id"));
  done.keks = ceremony.admit_waiting();
  for (const auto* lines : {&done.keks.failures, &done.keks.passed_over})
    for (const auto& line : *lines) in.console.warn(line);
  show(in, enrol_fields, done, [&](std::ostream& out) {
    out << "import key  " << done.public_key_file
        << "  (the manufacturer encrypts transport keys to it)\n";
    if (file) print_import(in, done.imported);
    out << done.keks.admitted << " new KEKs admitted\n";
  });
  if (!done.keks.failures.empty())
    throw Unsuccessful(Exit::failed, "not-admitted",
                       std::to_string(done.keks.failures.size()) + " KEKs could not be admitted");
}

}  // namespace

Command enrol() {
  return {"enrol",
          "the security officer's ceremony: its keys, KEKs, handover targets",
          "[FLEET.csv --signature FILE --transport-key NAME=FILE … [--move]] [--handover NAME "
          "--certificate FILE --fingerprint SHA256 --roles R,R [--before-transfer]] "
          "[--retire-handover NAME] --requested-by ID "
          "--authorised-by ID --reference REF [--so-pin-source SOURCE]",
          R"(
The security officer's ceremony, apart from the service that rotates keys (which never has his PIN).
It
  - makes, the first time, the RSA key under which manufacturers send transport keys (its public
    half goes to --public-key) and the key under which new KEKs wait for him;
  - with a fleet file, imports its devices: each KEK is unwrapped in the token and marked trusted; a
    device without a KEK is listed with its no_kek_reason ('device import --help' has the columns);
  - admits a handover target (--handover): from then on each new key of its roles is wrapped for it,
    too, and it can learn every such key. Its certificate must have the fingerprint that it gave on
    another way (openssl x509 -in FILE -noout -fingerprint -sha256). Its next certificate, or other
    roles, under the same name take the place of the ones before. --retire-handover ends it:
    nothing more is wrapped for it, and what it has not received is deleted;
  - admits every KEK that a rotation has made since (as trusted; until then it wraps nothing).
With --move, after a change of vault.keep, a fleet file brings the KEKs of known devices over to the
other vault. Fresh device keys can be wrapped under trusted KEKs only, and a thief of the service's
PIN can't make one.
The officer's PIN: --so-pin-source file:PATH (mode 0600) or fd:N; without it, a prompt.)",
          joined({fleet_file_options(), {public_key_option()}, target_options(), change_options()}),
          run_enrol,
          {enrol_fields}};
}

}  // namespace smets1kms::cli
