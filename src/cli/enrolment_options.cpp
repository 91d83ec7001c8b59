// SPDX-License-Identifier: Apache-2.0
#include "cli/enrolment_options.hpp"

#include <fstream>
#include <iostream>
#include <sstream>

namespace smets1kms::cli {
namespace {

std::string content_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw BadInput(file + ": can't be read");
  std::stringstream content;
  content << in.rdbuf();
  return content.str();
}

}  // namespace

void add_fleet_file(options::options_description& own) {
  own.add_options()("file", options::value<std::string>(), "the fleet file (CSV)")(
      "signature", options::value<std::string>(), "its manufacturer's detached CMS signature")(
      "transport-key", options::value<std::vector<std::string>>()->default_value({}, ""),
      "NAME=FILE: an encrypted transport key, by the name in kek_transport; may be repeated")(
      "move",
      "after a change of vault.keep: KEKs of the file that rest in the other vault are brought "
      "over")("so-pin-source", options::value<std::string>(),
              "where the security officer's PIN comes from: file:PATH or fd:N");
}

options::positional_options_description fleet_file_position() {
  options::positional_options_description positional;
  positional.add("file", 1);
  return positional;
}

FleetFile fleet_file(const options::variables_map& values) {
  FleetFile file{.csv = needed(values, "file"),
                 .signature = values.count("signature") != 0 ? values["signature"].as<std::string>()
                                                             : std::string(),
                 .transport_keys = {},
                 .move = values.count("move") != 0};
  for (const auto& each : values["transport-key"].as<std::vector<std::string>>()) {
    const auto equals = each.find('=');
    if (equals == std::string::npos || equals == 0)
      throw Usage("--transport-key takes NAME=FILE, not '" + each + "'");
    const auto bytes = content_of(each.substr(equals + 1));
    file.transport_keys.push_back(
        {.name = each.substr(0, equals), .encrypted = {bytes.begin(), bytes.end()}});
  }
  return file;
}

std::string so_pin_source(const options::variables_map& values) {
  return values.count("so-pin-source") != 0 ? values["so-pin-source"].as<std::string>()
                                            : std::string();
}

void write_public_key(const std::string& file, const std::string& pem) {
  if (std::ifstream(file)) {
    if (content_of(file) != pem)
      throw BadInput(file +
                     " exists and holds something else than this public key; name another file");
    return;
  }
  std::ofstream out(file);
  out << pem;
  if (!out.flush())
    throw BadInput(
        file +
        " can't be written; name another file (running the command again changes nothing else)");
}

void write_audit_key(const Config& config) {
  const auto ours = audit_identity(config).public_key;
  if (!std::ifstream("audit.pem"))
    write_public_key("audit.pem", ours);
  else if (content_of("audit.pem") != ours)
    remark(
        "audit.pem is there and is not the public key that signs this audit trail now: 'export DIR "
        "--key FILE' writes that one");
}

void print_import(const ImportResult& result) {
  for (const auto& kek : result.not_moved) remark(kek);
  std::cout << result.imported << " devices imported with their KEKs, " << result.already_known
            << " known already";
  if (result.moved != 0)
    std::cout << ", " << result.moved << " KEKs brought over to the other vault";
  if (result.replaced != 0) std::cout << ", " << result.replaced << " given another KEK";
  if (!result.signer.empty()) std::cout << "; signed by " << result.signer;
  std::cout << '\n';
}

}  // namespace smets1kms::cli
