// SPDX-License-Identifier: Apache-2.0
#include "cli/enrolment_options.hpp"

namespace smets1kms::cli {
namespace {

struct Made {
  std::string registry, public_key_file, public_key;
};
const Fields<Made> init_fields(
    "smets1-kms-init-1", "What 'init' made, or found made",
    {{"registry", "the database", &Made::registry},
     {"public_key_file", "the file of the import key", &Made::public_key_file},
     {"public_key", "the import key's public half, PEM", &Made::public_key}});

void run_init(const Invocation& in) {
  (void)authority_of(in);
  const auto admission = target_of(in);
  const auto config = config_of(in);
  auto enrolment = open_enrolment(in, config);
  const Made made{config.database, in.values.text("public-key"), enrolment.make_keys()};
  change_targets(in, enrolment, admission);
  write_public_key(made.public_key_file, made.public_key);
  const bool has_key = write_audit_key(in, config);
  show(in, init_fields, made, [&](std::ostream& out) {
    out << "registry    " << made.registry << "\nimport key  " << made.public_key_file
        << "  (send it to the manufacturer)\n";
    if (has_key)
      out << "audit key   audit.pem  (give it to your assessors: they verify the audit trail with "
             "it)\n";
    out << "next        smets1-kms "
        << (config.token.enrolment == EnrolmentMode::plain ? "device import" : "enrol")
        << " FLEET.csv --signature FILE --transport-key NAME=FILE …\n";
  });
}

}  // namespace

Command init() {
  return {"init",
          "make the registry and the token's import key; run it once",
          "--requested-by ID --authorised-by ID --reference REF [--public-key FILE] "
          "[--handover NAME --certificate FILE --fingerprint SHA256 --roles R,R "
          "[--before-transfer]] [--retire-handover NAME] [--so-pin-source SOURCE]",
          R"(
Makes the registry (the database that the configuration names) and, in the token, the RSA key pair
under which manufacturers send their transport keys. The public half is written as PEM: give it to
the manufacturer. A second pair signs the audit trail; its public half, audit.pem, is for assessors.
The private halves never leave the token. Run again, it changes nothing; files that are there stay.
The token must be initialised already (its label, its PINs): that is its vendor's tool.
With enrolment = "officer" this is the security officer's (--so-pin-source, or a prompt); 'enrol'
does it too.
--handover admits a party that uses keys ('help enrol' says what that is).)",
          joined({authority_options(), {public_key_option(), so_pin_option()}, target_options()}),
          run_init,
          {init_fields}};
}

}  // namespace smets1kms::cli
