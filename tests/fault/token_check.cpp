// SPDX-License-Identifier: Apache-2.0
// Compares what is in the token with what the registry and its audit trail say, whatever was killed
// before.
//
//   token_check --at-rest TOKEN-URI PIN-FILE             no extractable, readable or nameless key
//   in the token token_check TOKEN-URI PIN-FILE REGISTRY [--list]     that, and token = registry =
//   trail, nothing left unfinished
//
// Reads the database as it stands and knows nothing of src/: a mistake there can't hide in its own
// mirror. Each finding is a line on standard error, exit code 1.

#include "token_check.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pkcs11/pool.hpp"

namespace {

using nlohmann::json;

// ---- the token ----

struct Object {
  CK_ULONG object_class;
  std::string id, label;
};

// What the officer has to see is public: he sees no other object. Device keys are private.
bool is_device_key(const std::string& label) {
  const auto has = [&](const char* role) { return label.find(role) != std::string::npos; };
  return has("/kek/") || has("/guek/") || has("/gbek/") || has("/gak/");
}

std::vector<Object> token_objects(const std::string& uri, const std::string& pin_file, bool list) {
  const char* module_path = std::getenv("REAL_MODULE");
  auto module = pkcs11::Module::load(
      {module_path != nullptr ? module_path : "/usr/lib/softhsm/libsofthsm2.so", {}});
  std::vector<Object> objects;
  {
    pkcs11::Pool pool(module, pkcs11::Uri::parse(uri), pkcs11::PinSource::parse(pin_file, ""), {});
    auto session = pool.lease();
    namespace attr = pkcs11::attr;
    for (const auto handle : session->find_objects({})) {
      const auto id = session->get(handle, attr::id).value_or(pkcs11::Bytes{});
      const Object object{session->need(handle, attr::object_class), hex(id.data(), id.size()),
                          session->get(handle, attr::label).value_or("")};
      const std::string name = "object " + object.id + " " + object.label;
      if (list) std::cout << object.object_class << ' ' << object.id << ' ' << object.label << '\n';
      if (object.object_class == CKO_SECRET_KEY || object.object_class == CKO_PRIVATE_KEY) {
        if (session->get(handle, attr::extractable).value_or(true))
          finding(name + " is EXTRACTABLE");
        if (!session->get(handle, attr::sensitive).value_or(false))
          finding(name + " is not SENSITIVE");
        if (is_device_key(object.label) && !session->get(handle, attr::private_).value_or(false))
          finding(name + " is not PRIVATE");
        if (session->get(handle, attr::modifiable).value_or(true)) finding(name + " is MODIFIABLE");
        const auto check_value = session->get(handle, attr::check_value);
        if (check_value && !check_value->empty() && object.label.find("/kek/") == std::string::npos)
          finding(name + " has a CHECK_VALUE: 24 bits of a GHASH key");
      }
      if (object.object_class != CKO_DATA && object.id.size() != 32)
        finding(name + " has no id of 16 bytes");
      objects.push_back(object);
    }
  }
  module->finalize();
  return objects;
}

// ---- the registry ----

constexpr std::array states{"none",        "pre-active",  "active",    "suspended",
                            "deactivated", "compromised", "destroyed", "destroyed-compromised"};
constexpr std::array roles{"guek", "gbek", "gak", "kek"};
bool lives(int state) { return state >= 1 && state <= 5; }

struct KeyRow {
  std::string device, role, generation, id;
  int state;
  bool has_blob, imported, awaits_officer, is_sealed;
  [[nodiscard]] std::string name() const {
    return "key " + id + " (" + role + " " + generation + " of " + device + ", " +
           states.at(static_cast<std::size_t>(state)) + ")";
  }
};

std::string eui(const std::string& number) {
  const auto value = static_cast<unsigned long long>(std::stoll(number));
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%016llX", value);
  std::string result;
  for (std::size_t i = 0; i < 16; i += 2)
    result += (i == 0 ? "" : "-") + std::string(text.data() + i, 2);
  return result;
}

std::vector<KeyRow> key_rows(Database& database) {
  std::vector<KeyRow> keys;
  for (const auto& row : database.rows("SELECT device,role,generation,lower(hex(id)),state,wrapped "
                                       "IS NOT NULL,transfer,awaiting IS NOT NULL,sealed IS NOT "
                                       "NULL AND mac IS NOT NULL FROM key"))
    keys.push_back({.device = eui(row[0]),
                    .role = roles.at(std::stoul(row[1])),
                    .generation = row[2],
                    .id = row[3],
                    .state = std::stoi(row[4]),
                    .has_blob = row[5] == "1",
                    .imported = row[6] == "0",
                    .awaits_officer = row[7] == "1",
                    .is_sealed = row[8] == "1"});
  return keys;
}

// ---- comparisons ----

void compare_keys(const std::vector<Object>& objects, const std::vector<KeyRow>& keys,
                  const std::set<std::string>& own_keys) {
  std::map<std::string, int> in_token;
  for (const auto& object : objects) {
    if (object.object_class != CKO_SECRET_KEY || own_keys.contains(object.id)) continue;
    ++in_token[object.id];
    const auto row = std::find_if(keys.begin(), keys.end(),
                                  [&](const KeyRow& key) { return key.id == object.id; });
    if (row == keys.end())
      finding("ORPHAN: " + object.id + " " + object.label +
              " is in the token and not in the registry");
    else if (!lives(row->state))
      finding(row->name() + " is in the token");
    else if (object.label != "smets1-kms/" + row->role + "/" + row->device + "/" + row->generation)
      finding(row->name() + " is labelled " + object.label);
  }
  for (const auto& key : keys) {
    const int expected = lives(key.state) && !key.awaits_officer && !key.is_sealed
                             ? 1
                             : 0;  // a KEK that waits for the officer is a blob only he can admit
    if (in_token[key.id] != expected)
      finding("LOST: " + key.name() + " has " + std::to_string(in_token[key.id]) +
              " objects in the token");
    if (key.awaits_officer && !(lives(key.state) && key.role == "kek"))
      finding(key.name() + " keeps the blob that waits for the officer");
    if (key.is_sealed && !lives(key.state)) finding(key.name() + " keeps its sealed blob");
    if (key.state == 0) finding(key.name() + " was planned and never settled");
    if (key.has_blob != (lives(key.state) && !key.imported))
      finding(key.name() + (key.has_blob ? " keeps its wrapped blob" : " lost its wrapped blob"));
  }
}

/// The pair for imports, the pair that signs the trail, the last head that it signed, and the
/// public keys of handover targets that are admitted.
void compare_pairs(const std::vector<Object>& objects, Database& database) {
  std::map<std::string, int> pairs, targets;
  for (const auto& row :
       database.rows("SELECT lower(hex(id))||' smets1-kms/target/'||name||'/'||generation FROM "
                     "target WHERE status=0"))
    targets[row.front()] = 0;
  for (const auto& row :
       database.rows("SELECT value FROM setting WHERE name IN ('import_key','audit_key')"))
    pairs[row.front()] = 0;
  const auto origin = database.rows("SELECT value FROM setting WHERE name='audit.origin'");
  int anchors = 0;
  for (const auto& object : objects) {
    if (object.object_class == CKO_SECRET_KEY) continue;
    if (object.object_class == CKO_DATA && !origin.empty() &&
        object.label == origin.front().front())
      ++anchors;
    else if (const auto pair = pairs.find(object.id); pair != pairs.end())
      ++pair->second;
    else if (const auto target = targets.find(object.id + " " + object.label);
             target != targets.end() && object.object_class == CKO_PUBLIC_KEY)
      ++target->second;
    else
      finding("ORPHAN: object " + object.id + " " + object.label + " of class " +
              std::to_string(object.object_class));
  }
  for (const auto& [id, in_pair] : pairs)
    if (in_pair != 2)
      finding("the pair " + id + " has " + std::to_string(in_pair) + " objects in the token");
  for (const auto& [name, count] : targets)
    if (count != 1)
      finding("target " + name + " has " + std::to_string(count) + " objects in the token");
  // The new one is there before the old one goes: a process that died in between leaves two.
  if (anchors > 2) finding(std::to_string(anchors) + " heads of the trail are kept in the token");
}

struct Head {
  std::uint64_t sequence = 0;
  std::string leaf = std::string(64, '0'), record = "-";
};

// RFC 6962 section 2.1
std::string leaf_of(const std::string& bytes) { return digest_of(std::string(1, '\0') + bytes); }

void check_trail(Database& database, const std::vector<KeyRow>& keys) {
  std::map<std::string, Head> heads;
  std::map<std::pair<std::string, std::string>, int>
      open;  // (operation id, key id): intents without an outcome
  std::map<std::string, std::string> last_state;
  std::uint64_t index = 0;
  for (const auto& row :
       database.rows("SELECT idx,bytes,lower(hex(leaf)),previous FROM record ORDER BY idx")) {
    const std::string where = "record " + row[0];
    if (row[0] != std::to_string(index++)) finding(where + ": a gap before it");
    if (row[2] != leaf_of(row[1])) finding(where + ": its leaf is not the hash of its bytes");
    const json record = json::parse(row[1]);
    if (record.dump() != row[1]) finding(where + ": not in the strict encoding");
    const auto text = [&](const char* field) { return record.value(field, std::string()); };

    if (record.contains("device")) {
      auto& head = heads[text("device")];
      if (record.value("device_seq", std::uint64_t{0}) != ++head.sequence)
        finding(where + ": device_seq " + record.value("device_seq", json()).dump() +
                ", expected " + std::to_string(head.sequence));
      if (text("device_prev") != head.leaf)
        finding(where + ": device_prev is not the leaf of the device's previous record");
      if (row[3] != head.record)
        finding(where + ": previous is " + row[3] + ", expected " + head.record);
      head.leaf = row[2];
      head.record = row[0];
    }
    const std::string phase = text("phase");
    auto& pending = open[{text("op_id"), text("key_id")}];
    if (phase == "intent") {
      if (++pending != 1)
        finding(where + ": a second intent for the same key before the first has an outcome");
      if (text("requested_by").empty() || text("authorised_by").empty() ||
          text("requested_by") == text("authorised_by"))
        finding(where + ": an intent without two identities");
    } else if (phase == "outcome" && --pending != 0) {
      finding(where + ": an outcome without an intent");
      pending = 0;
    }
    if (!text("state_to").empty() && phase != "intent")
      last_state[text("key_id")] = text("state_to");
  }
  for (const auto& [what, count] : open)
    if (count != 0)
      finding("operation " + what.first + ", key " + what.second +
              ": an intent without an outcome");
  for (const auto& key : keys)
    if (last_state[key.id] != states.at(static_cast<std::size_t>(key.state)))
      finding(key.name() + ": the trail says last " + last_state[key.id]);
  for (const auto& row :
       database.rows("SELECT device,sequence,lower(hex(leaf)),record FROM device_head")) {
    const auto& head = heads[eui(row[0])];
    if (row[1] != std::to_string(head.sequence) || row[2] != head.leaf || row[3] != head.record)
      finding("device_head of " + eui(row[0]) + " is not its last record");
  }
}

void compare_all(const std::vector<Object>& objects, const std::string& file) {
  Database database(file);
  const auto keys = key_rows(database);
  std::set<std::string> own_keys;
  for (const auto& row : database.rows("SELECT name,value FROM setting WHERE name='enrolment_key' "
                                       "OR name LIKE 'storage_key.%'")) {
    own_keys.insert(row[1]);
    if (std::count_if(objects.begin(), objects.end(),
                      [&](const Object& object) { return object.id == row[1]; }) != 1)
      finding(row[0] + " is not one object");
  }
  compare_keys(objects, keys, own_keys);
  compare_pairs(objects, database);
  check_trail(database, keys);
  check_handovers(database);
  for (const auto& row : database.rows("SELECT id,kind FROM operation WHERE state=0"))
    finding("operation " + row[0] + " (" + row[1] + ") is still open");
  for (const auto& row : database.rows("SELECT device FROM key EXCEPT SELECT id FROM device"))
    finding("keys of " + eui(row[0]) + ", which is no device of the registry");
  if (database.rows("PRAGMA integrity_check").front().front() != "ok")
    finding("SQLite says that the registry is damaged");
}

/// Deletes every object with an id, as a thief of the PIN could. False: there is none.
bool delete_objects(const std::string& uri, const std::string& pin_file, const std::string& id) {
  auto module = pkcs11::Module::load({"/usr/lib/softhsm/libsofthsm2.so", {}});
  std::size_t deleted = 0;
  {
    pkcs11::Pool pool(module, pkcs11::Uri::parse(uri), pkcs11::PinSource::parse(pin_file, ""), {});
    auto session = pool.lease();
    for (const auto handle : session->find_objects({})) {
      const auto is = session->get(handle, pkcs11::attr::id).value_or(pkcs11::Bytes{});
      if (hex(is.data(), is.size()) != id) continue;
      session->destroy_object(handle);
      ++deleted;
    }
  }
  module->finalize();
  return deleted != 0;
}

}  // namespace

int main(int count, char** given) {
  std::vector<std::string> arguments(given + 1, given + count);
  const auto take = [&](const char* flag) { return std::erase(arguments, flag) != 0; };
  const bool at_rest = take("--at-rest"), list = take("--list"), deletes = take("--delete");
  if (arguments.size() != (at_rest ? 2U : 3U)) {
    std::cerr << "usage: token_check --at-rest TOKEN-URI PIN-FILE | token_check TOKEN-URI PIN-FILE "
                 "REGISTRY [--list] | token_check --delete TOKEN-URI PIN-FILE ID\n";
    return 2;
  }
  try {
    if (deletes) return delete_objects(arguments[0], arguments[1], arguments[2]) ? 0 : 1;
    const auto objects = token_objects(arguments[0], arguments[1], list);
    if (!at_rest) compare_all(objects, arguments[2]);
  } catch (const std::exception& error) {
    finding(error.what());
  }
  return findings == 0 ? 0 : 1;
}
