// SPDX-License-Identifier: Apache-2.0
#include "cli/enrolment_options.hpp"

#include "command_line/files.hpp"

namespace smets1kms::cli {

Options fleet_file_options() {
  return {positional("file", "FLEET.csv", "the fleet file (CSV)"),
          text("signature", "FILE", "its manufacturer's detached CMS signature"),
          repeated("transport-key", "NAME=FILE",
                   "an encrypted transport key, by the name in kek_transport; may be repeated"),
          flag("move",
               "after a change of vault.keep: KEKs of the file that rest in the other vault are "
               "brought over"),
          so_pin_option()};
}

FleetFile fleet_file_of(const Invocation& in) {
  FleetFile file{.csv = in.values.needed("file"),
                 .signature = in.values.text("signature"),
                 .transport_keys = {},
                 .move = in.values.has("move")};
  for (const auto& each : in.values.list("transport-key")) {
    const auto equals = each.find('=');
    if (equals == std::string::npos || equals == 0)
      throw Usage("--transport-key takes NAME=FILE, not '" + each + "'");
    const auto bytes = read_file(each.substr(equals + 1));
    file.transport_keys.push_back(
        {.name = each.substr(0, equals), .encrypted = {bytes.begin(), bytes.end()}});
  }
  return file;
}

Option public_key_option() {
  return text("public-key", "FILE", "file for the import key's public half",
              "transport-import.pem");
}

Options target_options() {
  return {text("handover", "NAME", "admit a handover target, a party that uses keys, or renew it"),
          text("certificate", "FILE", "its X.509 certificate, RSA of 3072 bits or more"),
          text("fingerprint", "SHA256", "of the certificate, as the party gave it on another way"),
          text("roles", "ROLES", "the keys that it is handed: guek,gbek,gak or some of them"),
          flag("before-transfer",
               "a device's transfer is released only when the target has shown that it holds the "
               "keys"),
          text("retire-handover", "NAME", "retire a handover target")};
}

std::optional<TargetAdmission> target_of(const Invocation& in) {
  const auto& values = in.values;
  if (!values.has("handover")) {
    for (const char* name : {"certificate", "fingerprint", "roles", "before-transfer"})
      if (values.has(name)) throw Usage(std::string("--") + name + " goes with --handover NAME");
    return std::nullopt;
  }
  TargetAdmission admission{.name = values.text("handover"),
                            .certificate = {},
                            .fingerprint = values.needed("fingerprint"),
                            .roles = {},
                            .before_transfer = values.has("before-transfer")};
  std::string role;
  for (const char c : values.needed("roles") + ",") {
    if (c != ',' && c != '+') {
      role += c;
      continue;
    }
    admission.roles.push_back(parse_role(role));
    role.clear();
  }
  const auto bytes = read_file(values.needed("certificate"));
  admission.certificate.assign(bytes.begin(), bytes.end());
  return admission;
}

void change_targets(const Invocation& in, Enrolment& ceremony,
                    const std::optional<TargetAdmission>& admission) {
  if (in.values.has("retire-handover")) {
    const auto name = in.values.text("retire-handover");
    ceremony.retire_target(name);
    in.console.note("handover target " + name + " is retired: nothing is wrapped for it any more");
  }
  if (!admission) return;
  const auto target = ceremony.admit_target(*admission);
  std::string roles;
  for (const auto role : target.roles) (roles += roles.empty() ? "" : ", ") += to_string(role);
  in.console.note("handover target " + target.label() + " is admitted for " + roles +
                  (target.before_transfer ? ", before their transfers" : "") +
                  ", certificate SHA-256 " + target.fingerprint +
                  "; a key that was made without it can't be handed to it: 'rotate "
                  "--missing-handover " +
                  target.name + "' makes another");
}

Enrolment open_enrolment(const Invocation& in, const Config& config) {
  return {config, authority_of(in), in.values.text("so-pin-source"), callbacks_of(in)};
}

void write_public_key(const std::string& file, const std::string& pem) {
  if (!std::filesystem::exists(file)) return write_new_file(file, pem);
  if (read_file(file) != pem)
    throw BadInput(file +
                   " exists and holds something else than this public key; name another file");
}

bool write_audit_key(const Invocation& in, const Config& config) {
  const auto ours = audit_identity(config).public_key;
  if (!std::filesystem::exists("audit.pem"))
    write_new_file("audit.pem", ours);
  else if (read_file("audit.pem") != ours) {
    in.console.warn(
        "audit.pem is there and is not the public key that signs this audit trail now: 'export DIR "
        "--key FILE' writes that one");
    return false;
  }
  return true;
}

const Fields<ImportResult>& import_fields() {
  static const Fields<ImportResult> fields(
      "smets1-kms-import-1", "What the import of a fleet file did",
      {{"imported", "new devices with their KEKs", &ImportResult::imported},
       {"without_kek", "new devices without a KEK", &ImportResult::without_kek},
       {"keks_added", "known devices without a KEK that got one", &ImportResult::keks_added},
       {"replaced", "known devices that got another KEK", &ImportResult::replaced},
       {"moved", "KEKs brought over to the other vault", &ImportResult::moved},
       {"not_moved", "a line for each KEK that stays in the other vault", &ImportResult::not_moved},
       {"already_known", "devices that were known already", &ImportResult::already_known},
       {"signer", "subject and certificate fingerprint; empty: unsigned files are taken",
        &ImportResult::signer}});
  return fields;
}

void print_import(const Invocation& in, const ImportResult& result) {
  for (const auto& kek : result.not_moved) in.console.warn(kek);
  in.out << result.imported << " devices imported with their KEKs, " << result.already_known
         << " known already";
  for (const auto& [count, text] : {std::pair(result.without_kek, " listed without a KEK"),
                                    {result.keks_added, " given the KEK that was missing"},
                                    {result.moved, " KEKs brought over to the other vault"},
                                    {result.replaced, " given another KEK"}})
    if (count != 0) in.out << ", " << count << text;
  if (!result.signer.empty()) in.out << "; signed by " << result.signer;
  in.out << '\n';
}

}  // namespace smets1kms::cli
