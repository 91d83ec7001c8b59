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
                const std::string& operation, bool together) override {
    last_ = place_.file("transfers-attack-" + std::to_string(++count_) + ".jsonl");
    const auto handed = place_.file("handovers-" + std::to_string(count_) + ".jsonl");
    std::vector<std::string> command{"rotate", "--reason",       "operational", "--out",
                                     last_,    "--handover-out", handed};
    for (const auto& device : devices) command.insert(command.end(), {"--device", device});
    for (const auto& role : roles) command.insert(command.end(), {"--role", role});
    if (!operation.empty()) command.insert(command.end(), {"--operation-id", operation});
    if (together) command.emplace_back("--together");
    const auto said = kms(command, true);
    return {transfers(last_), handovers(handed), said};
  }

  std::pair<Bytes, std::string> prove(const std::string& device, const std::string& role,
                                      const Bytes& challenge, std::uint32_t generation) override {
    const auto in = place_.file("challenge.jsonl"),
               out = place_.file("proof-" + std::to_string(++count_) + ".jsonl");
    json line{{"device_id", device}, {"role", role}, {"challenge", hex(challenge)}};
    if (generation != 0) line["generation"] = generation;
    std::ofstream(in) << line.dump() << '\n';
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
        row_of(from_device, from_role, from_generation) + ") WHERE " +
        row_of(to_device, to_role, to_generation));
  }
  void swap_ids(const std::string& device, const std::string& other,
                const std::string& role) override {
    const auto id = [&](const std::string& which) {
      return "(SELECT id FROM key WHERE " + row_of(which, role, 1) + ")";
    };
    sql("CREATE TEMP TABLE swap AS SELECT " + id(device) + " AS a, " + id(other) +
        " AS b; UPDATE key SET id=(SELECT b FROM swap) WHERE " + row_of(device, role, 1) +
        "; UPDATE key SET id=(SELECT a FROM swap) WHERE " + row_of(other, role, 1) +
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
      return "(SELECT awaiting FROM key WHERE awaiting IS NOT NULL AND " + row_of(which, "kek", 2) +
             ")";
    };
    sql("CREATE TEMP TABLE swap AS SELECT " + blob(device) + " AS a, " + blob(other) +
        " AS b; UPDATE key SET awaiting=(SELECT b FROM swap) WHERE " + row_of(device, "kek", 2) +
        "; UPDATE key SET awaiting=(SELECT a FROM swap) WHERE " + row_of(other, "kek", 2) +
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

  Handle target_object(Session& session) override {
    const auto found = session.find_objects(Template()
                                                .add(attr::object_class, CKO_PUBLIC_KEY)
                                                .add(attr::id, unhex(value(target("hex(id)")))));
    return found.size() == 1 ? found.front() : Handle::none;
  }
  std::pair<Bytes, std::string> former_target() override {
    return {unhex(value("SELECT hex(id) FROM target WHERE name='former'")),
            "smets1-kms/target/former/1"};
  }
  Answer hand_out(const std::string& device) override {
    const auto out = place_.file("handovers-" + std::to_string(++count_) + ".jsonl");
    const auto said =
        kms({"handover", "--target", "headend", "--device", device, "--handover-out", out}, false);
    return {{}, handovers(out), said};
  }
  Answer receive(const std::vector<Receipt>& receipts) override {
    const auto in = place_.file("receipts.jsonl");
    last_ = place_.file("transfers-attack-" + std::to_string(++count_) + ".jsonl");
    std::ofstream lines(in);
    for (const auto& [device, role, generation, target, proof] : receipts)
      lines << json{{"device_id", device},
                    {"role", role},
                    {"generation", generation},
                    {"target", target},
                    {"proof", hex(proof)}}
                   .dump()
            << '\n';
    lines.close();
    const auto said = kms({"handover", "--received", in, "--out", last_}, false);
    return {transfers(last_), {}, said};
  }
  std::string admit(bool before_transfer) override {
    std::vector<std::string> command{place_.officer ? "enrol" : "init",
                                     "--handover",
                                     "headend",
                                     "--certificate",
                                     place_.file("headend.pem"),
                                     "--fingerprint",
                                     hex(sha256(read_bytes(place_.file("headend.cert.der")))),
                                     "--roles",
                                     "guek,gak"};
    if (before_transfer) command.emplace_back("--before-transfer");
    if (place_.officer)
      command.insert(command.end(),
                     {"--so-pin-source", "file:" + (place_.directory / "so.pin").string()});
    else
      command.insert(command.end(), {"--public-key", place_.file("transport-import.pem")});
    return kms(command, true);
  }
  void swap_handovers(const std::string& device, const std::string& other) override {
    const auto row = [](const std::string& of) { return row_of(of, "gak", 2); };
    const auto mine = value("SELECT hex(wrapped) FROM handover WHERE " + row(device)),
               its = value("SELECT hex(wrapped) FROM handover WHERE " + row(other));
    sql("UPDATE handover SET wrapped=x'" + its + "' WHERE " + row(device) +
        "; UPDATE handover SET wrapped=x'" + mine + "' WHERE " + row(other));
  }
  void forge_target(Forgery what, const Bytes& id) override {
    const std::string to = " WHERE status=0 AND name='headend'";
    const auto certificate = read_bytes(place_.file("thief.cert.der"));
    const auto own =
        "UPDATE target SET id=x'" + hex(id) + "',certificate=x'" + hex(certificate) + "'" + to;
    if (what == Forgery::more_roles) {
      undo_ = "UPDATE target SET roles=" + value(target("roles")) + to;
      return sql("UPDATE target SET roles=15" + to);
    }
    if (what == Forgery::no_waiting) {
      undo_ = "UPDATE target SET before_transfer=" + value(target("before_transfer")) + to;
      return sql("UPDATE target SET before_transfer=0" + to);
    }
    if (what == Forgery::revived) {
      undo_ = "UPDATE target SET status=2 WHERE name='former'";
      return sql("UPDATE target SET status=0 WHERE name='former'");
    }
    const auto old_id = value(target("lower(hex(id))")), record = value(target("record"));
    undo_ = "UPDATE target SET id=x'" + old_id + "',certificate=x'" +
            value(target("hex(certificate)")) + "'" + to;
    if (what == Forgery::own_admission) {
      const auto bytes = value("SELECT bytes FROM record WHERE idx=" + record);
      const auto digest = [&](const char* file) {
        return hex(sha256(read_bytes(place_.file(file))));
      };
      sql("UPDATE record SET bytes=replace(replace(replace(bytes,'" + old_id + "','" + hex(id) +
          "'),'" + digest("headend.cert.der") + "','" + digest("thief.cert.der") + "'),'" +
          digest("headend.spki.pem") + "','" + digest("thief.spki.pem") + "') WHERE idx=" + record);
      undo_ += "; UPDATE record SET bytes='" + bytes + "' WHERE idx=" + record;
    }
    sql(own);
  }
  void restore() override { sql(std::exchange(undo_, {})); }
  void forge_received(const std::string& device, const std::string& role) override {
    const auto row =
        of_device(device) + " AND role=" + std::to_string(role_number(role)) + " AND generation=2";
    undo_ = "UPDATE handover SET received_at=NULL,wrapped=x'" +
            value("SELECT hex(wrapped) FROM handover WHERE " + row) + "' WHERE " + row;
    sql("UPDATE handover SET wrapped=NULL,received_at=1 WHERE " + row);
  }
  void forge_released(const std::string& device) override {
    const auto row = of_device(device) + " AND generation=2";
    undo_ = "UPDATE key SET delivery=6 WHERE " + row;
    sql("UPDATE key SET delivery=1 WHERE " + row);
  }
  std::string verdict() override {
    const auto trail = place_.file("trail"), to = place_.file("verdict");
    if (auto refusal = kms({"export", trail}, false); !refusal.empty()) return refusal;
    (void)run(place_.audit, {"verify", trail, "--key", place_.file("audit.pem")}, to);
    std::ifstream in(to);
    std::string line;
    std::getline(in, line);
    return line;
  }

 private:
  static std::vector<Released> transfers(const std::filesystem::path& file) {
    std::vector<Released> all;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
      const auto transfer = json::parse(line);
      const Bytes request = unhex(transfer["action_request"].get<std::string>());
      all.push_back({transfer["device_id"], transfer["role"],
                     Bytes(request.end() - 24, request.end()), transfer["generation"]});
    }
    return all;
  }
  static std::vector<Released> handovers(const std::filesystem::path& file) {
    std::vector<Released> all;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);)
      if (const auto handed = json::parse(line); handed.contains("wrapped"))
        all.push_back({handed["device_id"], handed["role"],
                       unhex(handed["wrapped"].get<std::string>()), handed["generation"],
                       unhex(handed["challenge"].get<std::string>())});
    return all;
  }
  static std::string target(const std::string& column) {
    return "SELECT " + column + " FROM target WHERE status=0 AND name='headend'";
  }
  static std::string of_device(const std::string& device) {
    std::string digits;
    for (const char c : device)
      if (c != '-') digits += c;
    return "device=" + std::to_string(static_cast<std::int64_t>(std::stoull(digits, nullptr, 16)));
  }
  static int role_number(const std::string& role) {
    return role == "guek" ? 0 : role == "gbek" ? 1 : role == "gak" ? 2 : 3;
  }
  static std::string row_of(const std::string& device, const std::string& role, int generation) {
    return of_device(device) + " AND role=" + std::to_string(role_number(role)) +
           " AND generation=" + std::to_string(generation);
  }

  /// The first column of a query's first row.
  std::string value(const std::string& query) {
    std::string text;
    const auto keep = [](void* to, int, char** columns, char**) {
      *static_cast<std::string*>(to) = columns[0] == nullptr ? "" : columns[0];
      return 1;  // no more
    };
    sqlite3* raw = nullptr;
    sqlite3_open_v2(place_.file("registry.db").c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
    const std::unique_ptr<sqlite3, int (*)(sqlite3*)> database(raw, sqlite3_close);
    const int code = sqlite3_exec(raw, query.c_str(), keep, &text, nullptr);
    if (code != SQLITE_ABORT)
      throw std::runtime_error("the attacker's SQL finds nothing: " + query);
    return text;
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
  std::string run(const std::string& program, const std::vector<std::string>& command,
                  const std::string& output = "/dev/null") {
    std::vector<char*> arguments{const_cast<char*>(program.c_str())};
    for (const auto& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    const auto errors = place_.file("errors.txt");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
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
  std::string undo_;  ///< what restores the target's row
  int count_ = 0;
};

}  // namespace

std::unique_ptr<Service> commands(const Place& place) { return std::make_unique<Commands>(place); }

}  // namespace attack
