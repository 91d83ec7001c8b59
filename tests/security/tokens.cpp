// SPDX-License-Identifier: Apache-2.0
#include "tokens.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace attack {
namespace {

constexpr std::size_t device_imported = 0, device_other = 1, device_with_fresh_kek = 5;

std::vector<std::vector<std::string>> read_csv(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::vector<std::vector<std::string>> rows;
  std::string line;
  for (std::getline(in, line); std::getline(in, line);) {
    std::stringstream cells(line);
    auto& row = rows.emplace_back();
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(cell);
  }
  if (rows.empty()) throw std::runtime_error(file.string() + " has no lines");
  return rows;
}

struct Transfer {
  std::string device, role;
  std::uint32_t generation;
  Bytes blob;
};

/// One wrapped key in each ACTION, at its end: 24 bytes, or 40 of suite 2 (an octet string and its
/// length).
std::vector<Transfer> released(const Place& place) {
  std::vector<Transfer> all;
  for (const auto& entry : std::filesystem::directory_iterator(place.directory)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with("transfers") || !name.ends_with(".jsonl")) continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      const auto json = nlohmann::json::parse(line);
      const Bytes request = unhex(json["action_request"].get<std::string>());
      const std::size_t length =
          request.size() > 41 && request[request.size() - 41] == 40 ? 40 : 24;
      all.push_back({json["device_id"], json["role"], json["generation"].get<std::uint32_t>(),
                     Bytes(request.end() - static_cast<std::ptrdiff_t>(length), request.end())});
    }
  }
  return all;
}

std::vector<Bytes> waiting_blobs(const Place& place) {
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(place.file("registry.db").c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> database(raw, sqlite3_close);
  sqlite3_stmt* statement = nullptr;
  std::vector<Bytes> blobs;
  if (code != SQLITE_OK ||
      sqlite3_prepare_v2(raw, "SELECT awaiting FROM key WHERE awaiting IS NOT NULL", -1, &statement,
                         nullptr) != SQLITE_OK)
    return blobs;
  while (sqlite3_step(statement) == SQLITE_ROW) {
    const auto* at = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement, 0));
    blobs.emplace_back(at, at + sqlite3_column_bytes(statement, 0));
  }
  sqlite3_finalize(statement);
  return blobs;
}

struct SealedRow {
  std::string device, role;
  std::int64_t generation;
  Bytes id, blob;
};

std::vector<SealedRow> sealed_rows(const Place& place) {
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(place.file("registry.db").c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> database(raw, sqlite3_close);
  sqlite3_stmt* row = nullptr;
  if (code != SQLITE_OK ||
      sqlite3_prepare_v2(raw,
                         "SELECT printf('%016X',device),role,generation,id,sealed FROM key WHERE "
                         "sealed IS NOT NULL",
                         -1, &row, nullptr) != SQLITE_OK)
    throw std::runtime_error("the registry's sealed keys can't be read");
  const auto blob = [&](int column) {
    const auto* at = static_cast<const std::uint8_t*>(sqlite3_column_blob(row, column));
    return Bytes(at, at + sqlite3_column_bytes(row, column));
  };
  static constexpr const char* roles[] = {"guek", "gbek", "gak", "kek"};
  std::vector<SealedRow> all;
  while (sqlite3_step(row) == SQLITE_ROW) {
    std::string device;
    const std::string digits(reinterpret_cast<const char*>(sqlite3_column_text(row, 0)));
    for (std::size_t i = 0; i < digits.size(); i += 2)
      device += (i == 0 ? "" : "-") + digits.substr(i, 2);
    all.push_back({device, roles[sqlite3_column_int(row, 1)], sqlite3_column_int64(row, 2), blob(3),
                   blob(4)});
  }
  sqlite3_finalize(row);
  return all;
}

Handle the_one(Session& session, const Template& match, const std::string& what) {
  const auto found = session.find_objects(match);
  if (found.size() != 1)
    throw std::runtime_error(what + ": " + std::to_string(found.size()) + " objects in the token");
  return found.front();
}

}  // namespace

Bytes read_bytes(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Victim victim(Session& session, const std::string& device, const std::string& role, Handle handle,
              Bytes blob, std::size_t kek) {
  return {.device = device,
          .role = role,
          .handle = handle,
          .id = session.get(handle, attr::id).value_or(Bytes{}),
          .blob = std::move(blob),
          .kek = kek};
}

std::vector<std::string> fleet_devices(const Place& place) {
  std::vector<std::string> devices;
  for (const auto& row : read_csv(place.file("fleet.csv"))) devices.push_back(row.front());
  return devices;
}

Found newest(Session& session, const std::string& device, const std::string& role) {
  Found found;
  const std::string prefix = "smets1-kms/" + role + "/" + device + "/";
  for (std::uint32_t generation = 1; generation < 12; ++generation)
    for (const auto handle :
         session.find_objects(Template().add(attr::label, prefix + std::to_string(generation))))
      found = {handle, generation};
  if (found.generation == 0)
    throw std::runtime_error("no " + role + " of " + device + " in the token");
  return found;
}

CK_SLOT_ID slot_of(pkcs11::Module& module, const std::string& label) {
  for (const auto& token : module.tokens())
    if (token.label == label) return token.slot;
  throw std::runtime_error("no token " + label);
}

std::filesystem::path token_directory(pkcs11::Module& module, const Place& place,
                                      const std::string& label) {
  for (const auto& entry : std::filesystem::directory_iterator(place.file("tokens"))) {
    auto name = entry.path().filename().string();
    std::erase(name, '-');
    for (const auto& token : module.tokens())
      if (token.label == label && name.ends_with(token.serial)) return entry.path();
  }
  throw std::runtime_error("no directory of token " + label);
}

Template opened_form(const std::string& role) {
  const bool kek = role == "kek", gak = role == "gak", encrypts = !kek && !gak;
  Template form;
  form.add(attr::object_class, CKO_SECRET_KEY).add(attr::key_type, CKK_AES);
  form.add(attr::allowed_mechanisms, {kek ? CKM_AES_KEY_WRAP : gak ? CKM_AES_CMAC : CKM_AES_GCM});
  if (kek)
    form.add(attr::wrap_template, Template()
                                      .add(attr::local, true)
                                      .add(attr::sensitive, true)
                                      .add(attr::always_sensitive, true)
                                      .add(attr::wrap, false)
                                      .add(attr::unwrap, false)
                                      .add(attr::derive, false)
                                      .add(attr::value_len, 16));
  return form.add(attr::token, false)
      .add(attr::private_, true)
      .add(attr::sensitive, true)
      .add(attr::extractable, false)
      .add(attr::encrypt, encrypts)
      .add(attr::decrypt, encrypts)
      .add(attr::sign, gak)
      .add(attr::verify, gak)
      .add(attr::wrap, kek)
      .add(attr::unwrap, false)
      .add(attr::derive, false)
      .add(attr::wrap_with_trusted, true)
      .add(attr::copyable, false)
      .add(attr::modifiable, false);
}

constexpr const char* storage_labels[] = {"smets1-kms/storage/kek", "smets1-kms/storage/encryption",
                                          "smets1-kms/storage/authentication"};

void open_sealed(Session& session, const Place& place) {
  std::array<Handle, 3> storage{};
  for (std::size_t i = 0; i < storage.size(); ++i)
    storage[i] =
        the_one(session, Template().add(attr::label, storage_labels[i]), storage_labels[i]);
  for (const auto& row : sealed_rows(place)) {
    const auto label =
        "smets1-kms/" + row.role + "/" + row.device + "/" + std::to_string(row.generation);
    (void)session.unwrap_key(
        Mechanism(CKM_AES_KEY_WRAP), storage[store_of(row.role)], row.blob,
        Template().add(attr::id, row.id).add(attr::label, label).append(opened_form(row.role)));
  }
}

Target provisioned_target(std::shared_ptr<pkcs11::Module> module, const Place& place) {
  Target target{.module = module,
                .slot = slot_of(*module, provisioned_label),
                .keks = {},
                .keys = {},
                .waiting = {},
                .overheard = {},
                .transport_encrypted = {},
                .import_modulus = {}};
  Session session(module, target.slot);
  const auto fleet = read_csv(place.file("fleet.csv"));
  const auto transfers = released(place);
  for (const auto index : {device_imported, device_other, device_with_fresh_kek}) {
    const auto& device = fleet.at(index).front();
    target.keks.push_back(victim(session, device, "kek", newest(session, device, "kek").handle,
                                 unhex(fleet.at(index).at(7)), 0));
    for (const std::string role : {"guek", "gak"}) {
      const auto found = newest(session, device, role);
      for (const auto& transfer : transfers)
        if (transfer.device == device && transfer.role == role &&
            transfer.generation == found.generation)
          target.keys.push_back(
              victim(session, device, role, found.handle, transfer.blob, target.keks.size() - 1));
    }
  }
  if (target.keys.size() != 6)
    throw std::runtime_error(std::to_string(target.keys.size()) + " released transfers of 6 keys");
  const auto public_key = [&](const std::string& label) {
    return the_one(
        session, Template().add(attr::object_class, CKO_PUBLIC_KEY).add(attr::label, label), label);
  };
  target.import_public = public_key("smets1-kms/import");
  target.handover = public_key("smets1-kms/target/headend/1");
  target.handover_private = read_bytes(place.file("headend.key.der"));
  target.former_private = read_bytes(place.file("former.key.der"));
  target.thief_private = read_bytes(place.file("thief.key.der"));
  target.import_private = the_one(
      session, Template().add(attr::object_class, CKO_PRIVATE_KEY).add(attr::key_type, CKK_RSA),
      "import key");
  target.import_modulus = session.need(target.import_public, attr::modulus);
  if (place.officer) {
    target.enrolment =
        the_one(session, Template().add(attr::label, "smets1-kms/enrolment"), "enrolment key");
    target.waiting = waiting_blobs(place);
  }
  target.transport_encrypted = read_bytes(place.file("transport.key.bin"));
  if (place.sealed) {
    for (std::size_t i = 0; i < target.storage.size(); ++i)
      target.storage[i] =
          the_one(session, Template().add(attr::label, storage_labels[i]), storage_labels[i]);
    target.mac = the_one(session, Template().add(attr::label, "smets1-kms/storage/mac"), "MAC key");
    const auto rows = sealed_rows(place);
    for (auto* all : {&target.keks, &target.keys})
      for (auto& each : *all)
        for (const auto& row : rows)
          if (row.id == each.id) each.sealed = row.blob;
  }
  return target;
}

Judge provisioned_judge(Session& session, const Place& place) {
  Judge judge;
  std::map<std::string, Bytes> ids;  // one pass: SoftHSM's search by label is linear
  for (const auto object : session.find_objects(Template().add(attr::object_class, CKO_SECRET_KEY)))
    ids.emplace(session.get(object, attr::label).value_or(""),
                session.get(object, attr::id).value_or(Bytes{}));
  const auto id_of = [&](const std::string& label) {
    return ids.contains(label) ? ids.at(label) : Bytes{};
  };
  for (const auto& row : read_csv(place.file("meters.csv")))
    judge.know("kek", row[0], "kek", id_of("smets1-kms/kek/" + row[0] + "/1"), unhex(row[1]));
  // A key under a KEK that itself travelled: as often as KEKs can be under one another.
  const auto transfers = released(place);
  for (int round = 0; round < 3; ++round)
    for (const auto& transfer : transfers)
      if (const auto value = judge.open(transfer.device, transfer.blob)) {
        const auto label = "smets1-kms/" + transfer.role + "/" + transfer.device + "/" +
                           std::to_string(transfer.generation);
        judge.know(label, transfer.device, transfer.role, id_of(label), *value);
      }
  return judge;
}

std::string describe(Session& session, Handle object) {
  static constexpr pkcs11::Attribute<bool> shown[] = {attr::token,
                                                      attr::private_,
                                                      attr::sensitive,
                                                      attr::extractable,
                                                      attr::modifiable,
                                                      attr::copyable,
                                                      attr::encrypt,
                                                      attr::decrypt,
                                                      attr::sign,
                                                      attr::verify,
                                                      attr::wrap,
                                                      attr::unwrap,
                                                      attr::derive,
                                                      attr::trusted,
                                                      attr::wrap_with_trusted,
                                                      attr::local,
                                                      attr::always_sensitive};
  std::string text;
  try {
    for (const auto& each : shown) text += session.get(object, each).value_or(false) ? 'T' : 'F';
    text += " " + hex(session.get(object, attr::id).value_or(Bytes{})) + " " +
            session.get(object, attr::label).value_or("");
    if (const auto allowed = session.get(object, attr::allowed_mechanisms))
      for (const auto each : *allowed) text += " " + pkcs11::mechanism_name(each);
    for (const auto& each : {attr::wrap_template, attr::unwrap_template})
      if (const auto value = session.get(object, each)) text += " {" + value->to_string() + "}";
  } catch (const pkcs11::Error& error) {
    text += error.rv_name();
  }
  return text;
}

}  // namespace attack
