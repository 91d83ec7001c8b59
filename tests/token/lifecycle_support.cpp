#include "token/lifecycle_support.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "support/test_token.hpp"

namespace test {
namespace {

using namespace smets1kms;
namespace fs = std::filesystem;

constexpr const char* token_label = "fleet";

Surroundings surroundings(std::vector<std::string>& log) {
  Surroundings result;
  result.clock = [] { return Service::now; };
  result.log = [&log](const std::string& message) { log.push_back(message); };
  return result;
}

/// Made once: token, configuration, registry, import key, manufacturer. No PKCS#11 in it when main has returned.
struct Ground {
  Ground() : directory(TestToken::current().directory + "/kms") {
    auto& token = TestToken::current();
    token.add_token(token_label);
    fs::create_directory(directory);
    std::ofstream(directory + "/kms.toml") << "version = 1\n[token]\nmodule = \"" << TestToken::module_path << "\"\nuri = \"" << token.uri_with_pin(token_label)
                                           << "\"\n[registry]\ndatabase = \"registry.db\"\n"
                                              "[models.NOW]\n[models.LATER]\nlogical_name = \"0.0.43.0.3.255\"\nactivation = \"next-association\"\n";
    config = Config::load(directory + "/kms.toml");
    std::vector<std::string> log;
    pem = KeyManager::init(config, both, surroundings(log));
    manufacturer.emplace(pem);
  }
  std::string directory, pem;
  Config config;
  std::optional<Manufacturer> manufacturer;
};

Ground& ground() {
  static Ground the_ground;
  return the_ground;
}

}  // namespace

Time Service::now = smets1kms::parse_time("2026-11-22T18:00:00.000Z");

Service::Service() : kms(KeyManager::open(config(), surroundings(log))) {}

const Config& Service::config() { return ground().config; }
const std::string& Service::import_key_pem() { return ground().pem; }
Manufacturer& Service::manufacturer() { return *ground().manufacturer; }

std::vector<Meter> Service::commission_fleet(const std::vector<Order>& orders) {
  const auto file = ground().directory + "/fleet.csv";
  std::ofstream out(file);
  out << Manufacturer::header;
  std::vector<Meter> meters;
  for (const auto& order : orders) {
    auto [line, meter] = manufacturer().make(order);
    out << line;
    meters.push_back(std::move(meter));
  }
  out.close();
  const auto result = kms.import_fleet(file, std::span(&manufacturer().transport_key(), 1), both);
  REQUIRE(result.imported == orders.size());
  return meters;
}

std::vector<audit::Record> Service::trail(DeviceId device) const {
  std::vector<audit::Record> records;
  for (const auto& entry : kms.fleet().trail(device)) {
    REQUIRE(audit::to_hex(audit::leaf_hash(entry.bytes)) == entry.leaf_hash);
    records.push_back(audit::Record::decode(entry.bytes));
  }
  return records;
}

Key Service::key(DeviceId device, KeyRole role, std::uint32_t generation) const {
  for (const auto& each : kms.fleet().keys(device))
    if (each.role == role && each.generation == generation) return each;
  throw std::runtime_error("no such key in the registry");
}

std::string Service::standing(DeviceId device, KeyRole role, std::uint32_t generation) const {
  const auto each = key(device, role, generation);
  return std::string(to_string(each.state)) + " " + std::string(to_string(each.delivery));
}

std::size_t Service::count(DeviceId device, KeyRole role) const {
  const auto keys = kms.fleet().keys(device);
  return static_cast<std::size_t>(std::ranges::count_if(keys, [&](const Key& each) { return each.role == role; }));
}

bool Service::same_key(const Meter& meter, KeyRole role, std::uint32_t generation) {
  const auto challenge = random_bytes(32);
  return kms.prove({.device = meter.id(), .role = role, .generation = generation}, challenge) == meter.prove(role, challenge);
}

KeyTransfer Service::release_one(const Meter& meter, KeyRole role) {
  const auto rotation = kms.rotate(request(meter, {role}));
  REQUIRE(rotation.transfers().size() == 1);
  return rotation.transfers().front();
}

KeyTransfer Service::rotate_one(Meter& meter, KeyRole role) {
  auto transfer = release_one(meter, role);
  const auto answer = meter.receive(transfer.action_request());
  REQUIRE(answer == success);
  kms.record_reply(transfer, answer);
  return transfer;
}

std::unique_ptr<pkcs11::Pool> Service::pool() { return TestToken::current().pool(token_label); }

std::size_t Service::objects(const KeyId& id) {
  return pool()->run([&](pkcs11::Session& session) { return session.find_objects(pkcs11::Template().add(pkcs11::attr::id, {id.raw().begin(), id.raw().end()})).size(); });
}

bool Service::registry_holds(const Bytes& bytes) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    std::ifstream in(config().database.string() + suffix, std::ios::binary);
    const Bytes content{std::istreambuf_iterator<char>(in), {}};
    if (std::search(content.begin(), content.end(), std::boyer_moore_horspool_searcher(bytes.begin(), bytes.end())) != content.end()) return true;
  }
  return false;
}

RotationRequest request(const Meter& meter, std::vector<KeyRole> roles, std::string operation_id) {
  return {.device = meter.id(), .roles = std::move(roles), .reason = Reason::operational, .authority = both, .operation_id = std::move(operation_id)};
}

Bytes wrapped_in(const KeyTransfer& transfer) {
  const auto& bytes = transfer.parameter();
  REQUIRE(transfer.keys().size() == 1);
  return {bytes.begin() + 8, bytes.end()};
}

}  // namespace test
