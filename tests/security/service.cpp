// SPDX-License-Identifier: Apache-2.0
#include "service.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

extern char** environ;

namespace attack {
namespace {

using nlohmann::json;

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

class Commands final : public Service {
 public:
  explicit Commands(Place place) : place_(std::move(place)), devices_(fleet_devices(place_)) {}

  Answer rotate(const std::vector<std::string>& devices, const std::vector<std::string>& roles,
                const std::string& operation) override {
    last_ = place_.file("transfers-attack-" + std::to_string(++count_) + ".jsonl");
    std::vector<std::string> command{"rotate", "--reason", "operational", "--out", last_};
    for (const auto& device : devices) command.insert(command.end(), {"--device", device});
    for (const auto& role : roles) command.insert(command.end(), {"--role", role});
    if (!operation.empty()) command.insert(command.end(), {"--operation-id", operation});
    Answer answer{.transfers = {}, .said = kms(command, true)};
    std::ifstream in(last_);
    for (std::string line; std::getline(in, line);) {
      const auto transfer = json::parse(line);
      const Bytes request = unhex(transfer["action_request"].get<std::string>());
      answer.transfers.push_back(
          {transfer["device_id"], transfer["role"], Bytes(request.end() - 24, request.end())});
    }
    return answer;
  }

  std::pair<Bytes, std::string> prove(const std::string& device, const std::string& role,
                                      const Bytes& challenge) override {
    const auto in = place_.file("challenge.jsonl"),
               out = place_.file("proof-" + std::to_string(++count_) + ".jsonl");
    std::ofstream(in)
        << json{{"device_id", device}, {"role", role}, {"challenge", hex(challenge)}}.dump()
        << '\n';
    auto said = kms({"prove", "--challenges", in, "--out", out}, false);
    const auto text = content(out);
    return {text.empty() ? Bytes{} : unhex(json::parse(text)["proof"].get<std::string>()), said};
  }

  bool deliver() override {
    const auto replies = place_.file("replies-attack-" + std::to_string(count_) + ".jsonl");
    if (!run(place_.meter, {"--state", place_.file("meters.json"), "--transfers", last_,
                            "--replies", replies, "--associate", "all"})
             .empty())
      return false;
    if (!kms({"confirm", "--replies", replies}, false).empty()) return false;
    std::ifstream in(replies);
    for (std::string line; std::getline(in, line);)
      if (const auto reply = json::parse(line)["reply"];
          !reply.is_string() || unhex(reply.get<std::string>()) != unhex("c701c10000"))
        return false;
    return true;
  }

  Handle object(Session& session, const std::string& device, const std::string& role) override {
    return newest(session, device, role).handle;
  }

  void copy_blob(const std::string& from_device, const std::string& from_role, int from_generation,
                 const std::string& to_device, const std::string& to_role,
                 int to_generation) override {
    sql("UPDATE key SET wrapped=(SELECT wrapped FROM key WHERE " +
        row(from_device, from_role, from_generation) + ") WHERE " +
        row(to_device, to_role, to_generation));
  }
  void swap_ids(const std::string& device, const std::string& other,
                const std::string& role) override {
    const auto id = [&](const std::string& which) {
      return "(SELECT id FROM key WHERE " + row(which, role, 1) + ")";
    };
    sql("CREATE TEMP TABLE swap AS SELECT " + id(device) + " AS a, " + id(other) +
        " AS b; UPDATE key SET id=(SELECT b FROM swap) WHERE " + row(device, role, 1) +
        "; UPDATE key SET id=(SELECT a FROM swap) WHERE " + row(other, role, 1) +
        "; DROP TABLE swap");
  }

  std::string plant_and_enrol(const Bytes& blob) override {
    if (!place_.officer) return "plain mode: nothing waits";
    sql("UPDATE key SET awaiting=x'" + hex(blob) + "' WHERE awaiting IS NOT NULL");
    return kms({"enrol", "--so-pin-source", "file:" + (place_.directory / "so.pin").string()},
               true);
  }

  std::string swap_waiting_and_enrol(const std::string& device, const std::string& other) override {
    if (!place_.officer) return "plain mode: nothing waits";
    const auto blob = [&](const std::string& which) {
      return "(SELECT awaiting FROM key WHERE awaiting IS NOT NULL AND " + row(which, "kek", 2) +
             ")";
    };
    sql("CREATE TEMP TABLE swap AS SELECT " + blob(device) + " AS a, " + blob(other) +
        " AS b; UPDATE key SET awaiting=(SELECT b FROM swap) WHERE " + row(device, "kek", 2) +
        "; UPDATE key SET awaiting=(SELECT a FROM swap) WHERE " + row(other, "kek", 2) +
        "; DROP TABLE swap");
    return kms({"enrol", "--so-pin-source", "file:" + (place_.directory / "so.pin").string()},
               true);
  }

  std::pair<Bytes, std::string> import_modulus() override {
    const auto file = place_.file("import-" + std::to_string(++count_) + ".pem");
    std::vector<std::string> command{"init", "--public-key", file};
    if (place_.officer)
      command.insert(command.end(),
                     {"--so-pin-source", "file:" + (place_.directory / "so.pin").string()});
    const auto said = kms(command, true);
    if (!said.empty()) return {{}, said};
    return {modulus_of(content(file)), {}};
  }

  std::string import_own(const std::string& device, const Bytes& kek,
                         const Bytes& import_modulus) override {
    const Bytes transport = random_bytes(32),
                encrypted = rsa_encrypt(import_modulus, {1, 0, 1}, Padding::oaep_sha1, transport);
    const auto csv = place_.file("own.csv"), key = place_.file("own.key.bin");
    std::ofstream(key, std::ios::binary)
        .write(reinterpret_cast<const char*>(encrypted.data()),
               static_cast<std::streamsize>(encrypted.size()));
    std::ifstream fleet(place_.file("fleet.csv"));
    std::ofstream own(csv);
    std::string line, refusal;
    std::getline(fleet, line);
    own << line << '\n';
    while (std::getline(fleet, line))
      if (line.starts_with(device)) {
        const auto end = line.rfind(','), start = line.rfind(',', end - 1);
        own << line.substr(0, start + 1) << hex(wrap(aes_encrypt(transport), kek)) << ",own\n"
            << "FF-FF-00-00-00-00-00-01" << line.substr(device.size(), start + 1 - device.size())
            << hex(wrap(aes_encrypt(transport), kek)) << ",own\n";
      }
    own.close();
    for (const bool with_another_signature : {false, true}) {
      std::vector<std::string> command{"device", "import", csv, "--transport-key",
                                       "own=" + key.string()};
      if (place_.officer)
        command = {"enrol",           csv,
                   "--transport-key", "own=" + key.string(),
                   "--so-pin-source", "file:" + (place_.directory / "so.pin").string()};
      if (with_another_signature)
        command.insert(command.end(), {"--signature", place_.file("fleet.csv.p7s")});
      refusal = kms(command, true);
      if (refusal.empty()) return {};
    }
    return refusal;
  }

  [[nodiscard]] const std::vector<std::string>& devices() const override { return devices_; }

 private:
  static std::string row(const std::string& device, const std::string& role, int generation) {
    std::string digits;
    for (const char c : device)
      if (c != '-') digits += c;
    const int number = role == "guek" ? 0 : role == "gbek" ? 1 : role == "gak" ? 2 : 3;
    return "device=" + std::to_string(static_cast<std::int64_t>(std::stoull(digits, nullptr, 16))) +
           " AND role=" + std::to_string(number) + " AND generation=" + std::to_string(generation);
  }

  void sql(const std::string& text) {
    sqlite3* raw = nullptr;
    const int code =
        sqlite3_open_v2(place_.file("registry.db").c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr);
    const std::unique_ptr<sqlite3, int (*)(sqlite3*)> database(raw, sqlite3_close);
    if (code != SQLITE_OK ||
        sqlite3_exec(raw, text.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
      throw std::runtime_error("the attacker's SQL: " + std::string(sqlite3_errmsg(raw)));
  }

  std::string kms(std::vector<std::string> command, bool with_authority) {
    command.insert(command.begin(), {"--config", place_.file("kms.toml")});
    if (with_authority)
      command.insert(command.end(), {"--requested-by", "s1sp:thief", "--authorised-by", "dco:thief",
                                     "--reference", "ATTACK"});
    return run(place_.kms, command);
  }

  /// "" where it answered 0; else its first line of errors.
  std::string run(const std::string& program, const std::vector<std::string>& command) {
    std::vector<char*> arguments{const_cast<char*>(program.c_str())};
    for (const auto& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    const auto errors = place_.file("errors.txt");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    pid_t child = 0;
    const int spawned =
        posix_spawn(&child, program.c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (spawned != 0) throw std::runtime_error(program + " can't be run");
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    std::ifstream in(errors);
    std::string line, last;
    while (std::getline(in, line))
      if (line.starts_with("smets1-")) last = line;
    return last.empty() ? "exit " + std::to_string(status) : last;
  }

  Place place_;
  std::vector<std::string> devices_;
  std::filesystem::path last_;
  int count_ = 0;
};

/// One object a key, the newest under its label; rows as they stand; keys that stay extractable at
/// rest.
class NaiveService final : public Service {
 public:
  NaiveService(std::shared_ptr<pkcs11::Module> module, CK_SLOT_ID slot, Judge& judge)
      : session_(module, slot), judge_(judge) {
    for (std::size_t i = 0; i < 32; ++i) devices_.push_back("N" + std::to_string(i));
  }
  Answer rotate(const std::vector<std::string>& devices, const std::vector<std::string>& roles,
                const std::string& operation) override {
    Answer answer;
    for (const auto& device : devices) ensure(device);
    for (const auto& device : devices)
      for (const auto& role : roles) {
        auto& rows = rows_[{device, role}];
        if (operation.empty())
          rows.push_back(session_.wrap_key(Mechanism(CKM_AES_KEY_WRAP),
                                           find(session_, kek_label(device)),
                                           make(label(device, role))));
        answer.transfers.push_back({device, role, rows.back()});
      }
    return answer;
  }
  std::pair<Bytes, std::string> prove(const std::string& device, const std::string& role,
                                      const Bytes& challenge) override {
    ensure(device);
    const auto key = find(session_, label(device, role));
    if (role == "gak")
      return {session_.sign(Mechanism(CKM_AES_CMAC), key, proof_message(challenge)), {}};
    return {gcm_proof(session_, key, challenge), {}};
  }
  bool deliver() override { return true; }
  Handle object(Session& session, const std::string& device, const std::string& role) override {
    ensure(device);
    return find(session, label(device, role));
  }
  void copy_blob(const std::string& from_device, const std::string& from_role, int from_generation,
                 const std::string& to_device, const std::string& to_role,
                 int to_generation) override {
    ensure(from_device);
    rows_[{to_device, to_role}].at(static_cast<std::size_t>(to_generation - 1)) =
        rows_[{from_device, from_role}].at(static_cast<std::size_t>(from_generation - 1));
  }
  void swap_ids(const std::string& device, const std::string& other, const std::string&) override {
    ensure(device);
    ensure(other);
    kek_of_[device] = label(other, "kek");
    kek_of_[other] = label(device, "kek");
  }
  std::string plant_and_enrol(const Bytes&) override { return {}; }
  std::string swap_waiting_and_enrol(const std::string& device, const std::string& other) override {
    swap_ids(device, other, "kek");
    return {};
  }
  std::pair<Bytes, std::string> import_modulus() override {
    const auto found = session_.find_objects(Template().add(attr::object_class, CKO_PUBLIC_KEY));
    return {session_.need(*std::max_element(found.begin(), found.end()), attr::modulus), {}};
  }
  std::string import_own(const std::string& device, const Bytes& kek, const Bytes&) override {
    ensure(device);
    session_.create_object(Template()
                               .add(attr::object_class, CKO_SECRET_KEY)
                               .add(attr::key_type, CKK_AES)
                               .add(attr::label, label(device, "kek"))
                               .add(attr::value, kek)
                               .append(NaiveToken::ordinary()));
    return {};
  }
  [[nodiscard]] const std::vector<std::string>& devices() const override { return devices_; }

  static Bytes proof_message(const Bytes& challenge) {
    static constexpr std::string_view prefix = "smets1-kms key proof 1";
    Bytes message(prefix.begin(), prefix.end());
    message.insert(message.end(), challenge.begin(), challenge.end());
    return message;
  }

 private:
  /// A device's KEK, and two generations of its keys.
  void ensure(const std::string& device) {
    if (!known_.insert(device).second) return;
    const Bytes value = random_bytes(16);
    (void)import_own(device, value, {});
    judge_.know("kek", device, "kek", {}, value);
    for (int round = 0; round < 2; ++round)
      for (const std::string role : {"guek", "gak"}) (void)rotate({device}, {role}, {});
  }
  static std::string label(const std::string& device, const std::string& role) {
    return "naive/" + role + "/" + device;
  }
  std::string kek_label(const std::string& device) {
    return kek_of_.contains(device) ? kek_of_[device] : label(device, "kek");
  }
  static Handle find(Session& session, const std::string& label) {
    const auto found = session.find_objects(Template().add(attr::label, label));
    if (found.empty()) throw std::runtime_error("no " + label);
    return *std::max_element(found.begin(), found.end());
  }
  Handle make(const std::string& name) {
    return session_.generate_key(Mechanism(CKM_AES_KEY_GEN), Template()
                                                                 .add(attr::value_len, 16)
                                                                 .add(attr::id, random_bytes(16))
                                                                 .add(attr::label, name)
                                                                 .append(NaiveToken::ordinary()));
  }
  static Bytes gcm_proof(Session& session, Handle key, const Bytes& challenge) {
    const Bytes digest = sha256(proof_message(challenge));
    const Bytes sealed = session.encrypt(
        Mechanism::aes_gcm({digest.begin(), digest.begin() + 12}, {}), key, challenge);
    return {sealed.end() - 16, sealed.end()};
  }
  Session session_;
  Judge& judge_;
  std::vector<std::string> devices_;
  std::set<std::string> known_;
  std::map<std::pair<std::string, std::string>, std::vector<Bytes>> rows_;
  std::map<std::string, std::string> kek_of_;
};

}  // namespace

std::unique_ptr<Service> commands(const Place& place) { return std::make_unique<Commands>(place); }
std::unique_ptr<Service> naive_service(std::shared_ptr<pkcs11::Module> module, CK_SLOT_ID slot,
                                       Judge& judge) {
  return std::make_unique<NaiveService>(std::move(module), slot, judge);
}

}  // namespace attack
