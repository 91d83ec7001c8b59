// SPDX-License-Identifier: Apache-2.0
#include <openssl/sha.h>

#include <array>
#include <cstdio>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "token_check.hpp"

using nlohmann::json;

int findings = 0;

void finding(const std::string& text) {
  ++findings;
  std::cerr << "token_check: " << text << '\n';
}

std::string hex(const void* bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    std::array<char, 3> digits{};
    std::snprintf(digits.data(), digits.size(), "%02x",
                  static_cast<const unsigned char*>(bytes)[i]);
    text += digits.data();
  }
  return text;
}

std::string digest_of(const std::string& bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  return hex(digest.data(), digest.size());
}

void check_handovers(Database& database) {
  std::map<std::string, std::string> wrapped;  // "key id target": SHA-256, or "-" once it is gone
  std::set<std::string> received, withheld;
  for (const auto& row :
       database.rows("SELECT lower(hex(id))||' '||target||'/'||target_generation,handover.wrapped,"
                     "received_at IS NOT NULL,lower(hex(handover.wrapped)) FROM handover JOIN key "
                     "USING(device,role,generation)")) {
    std::string bytes;
    for (std::size_t i = 0; row[1] != "-" && i < row[3].size(); i += 2)
      bytes += static_cast<char>(std::stoi(row[3].substr(i, 2), nullptr, 16));
    wrapped[row[0]] = row[1] == "-" ? "-" : digest_of(bytes);
    if (row[2] == "1") received.insert(row[0]);
    if (row[2] == "1" && row[1] != "-")
      finding("handover " + row[0] + ": received, and still stored");
  }
  std::map<std::string, std::vector<std::string>>
      waits;  // key id: whose receipts its transfer needs
  std::set<std::string> recorded, receipts;
  for (const auto& row : database.rows("SELECT idx,bytes FROM record ORDER BY idx")) {
    const json record = json::parse(row[1]);
    const auto text = [&](const char* field) { return record.value(field, std::string()); };
    const std::string where = "record " + row[0], id = text("key_id");
    std::istringstream entries(text("handovers"));
    for (std::string entry; std::getline(entries, entry, ',');) {
      const auto name = id + " " + entry.substr(0, entry.find(':'));
      const auto digest = entry.substr(entry.find(':', entry.find(':') + 1) + 1);
      recorded.insert(name);
      if (entry.ends_with(":before-transfer")) waits[id].push_back(name);
      if (!wrapped.contains(name))
        finding(where + ": the registry has no handover " + name);
      else if (wrapped[name] != "-" && wrapped[name] != digest.substr(0, 64))
        finding(where + ": the registry has other bytes for " + name);
    }
    if (text("op") == "key.generate" && text("result") == "withheld") withheld.insert(id);
    if (text("op") == "handover.receive" && text("result") == "received" &&
        !receipts.insert(id + " " + text("target")).second)
      finding(where + ": a second receipt");
    if (text("op") != "transfer.release" || text("result") != "released") continue;
    if (withheld.erase(id) == 0) finding(where + ": released, and was not withheld");
    for (const auto& name : waits[id])
      if (!receipts.contains(name)) finding(where + ": released before the receipt of " + name);
  }
  for (const auto& [name, digest] : wrapped)
    if (!recorded.contains(name)) finding("handover " + name + " has no record");
  if (received != receipts) finding("the registry's receipts are not those of the trail");
  for (const auto& row : database.rows("SELECT lower(hex(id)),delivery FROM key"))
    if (withheld.contains(row[0]) != (row[1] == "6"))
      finding("key " + row[0] + ": its transfer is " + (row[1] == "6" ? "" : "not ") +
              "withheld, and the trail says otherwise");
}
