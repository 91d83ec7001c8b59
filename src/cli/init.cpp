#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <sstream>

#include "cli/commands.hpp"

namespace smets1kms::cli {
namespace {

constexpr const char* text =
    "Makes the registry (the database that the configuration names) and, in the token, the RSA key pair\n"
    "under which manufacturers send their transport keys. The public half is written as PEM: give it to\n"
    "the manufacturer. The private half never leaves the token. Run again, it changes nothing and writes\n"
    "the same PEM. The token must be initialised already (its label, its PINs): that is its vendor's tool.";

void write_or_compare(const std::string& file, const std::string& pem) {
  std::ifstream present(file);
  if (present) {
    std::stringstream content;
    content << present.rdbuf();
    if (content.str() != pem) throw BadInput(file + " exists and is not this token's import key; name another file with --public-key");
    return;
  }
  std::ofstream out(file);
  out << pem;
  if (!out.flush()) throw BadInput(file + " can't be written; name another file with --public-key (running init again changes nothing else)");
}

}  // namespace

int init(const Invocation& invocation) {
  options::options_description own;
  add_authority(own);
  own.add_options()("public-key", options::value<std::string>()->default_value("transport-import.pem"), "file for the import key's public half");
  const auto values = parse(invocation, "init --requested-by ID --authorised-by ID --reference REF [--public-key FILE]", text, own);
  ProgressLine line;
  const auto config = invocation.config();
  const auto pem = KeyManager::init(config, authority(values), surroundings(line));
  const auto file = values["public-key"].as<std::string>();
  write_or_compare(file, pem);
  if (invocation.json) std::cout << Json{{"registry", config.database.string()}, {"public_key_file", file}, {"public_key", pem}}.dump() << '\n';
  else
    std::cout << "registry    " << config.database.string() << "\nimport key  " << file << "  (send it to the manufacturer)\n"
              << "next        smets1-kms device import FLEET.csv --transport-key NAME=FILE …\n";
  return 0;
}

}  // namespace smets1kms::cli
