// SPDX-License-Identifier: Apache-2.0
#include "token/lifecycle_support.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "lifecycle/startup.hpp"
#include "support/test_token.hpp"

namespace test {
namespace {

using namespace smets1kms;
namespace fs = std::filesystem;

/// Made once for each way of enrolment: token, configuration, registry, import key, manufacturer.
/// Values only, so that nothing of PKCS#11 is left when main has returned.
struct Ground {
  Ground(EnrolmentMode mode, VaultKind keep)
      : label(std::string("fleet") + (keep == VaultKind::sealed ? "-sealed" : "") +
              (mode == EnrolmentMode::officer ? "-officer" : "")),
        directory(TestToken::current().directory + "/" + label) {
    auto& token = TestToken::current();
    token.add_token(label);
    fs::create_directory(directory);
    std::ofstream(directory + "/kms.toml")
        << "version = 1\n[token]\nmodule = \"" << TestToken::module_path << "\"\nuri = \""
        << token.uri_with_pin(label) << "\"\nenrolment = \""
        << (mode == EnrolmentMode::plain ? "plain" : "officer") << "\"\n"
        << token.settings() << (keep == VaultKind::sealed ? "[vault]\nkeep = \"sealed\"\n" : "")
        << "[import]\nunsigned_files = \"taken-for-testing\"\n[registry]\ndatabase = "
           "\"registry.db\"\n"
           "[models.NOW]\n[models.LATER]\nlogical_name = \"0.0.43.0.3.255\"\nactivation = "
           "\"next-association\"\n";
    config = Config::load(directory + "/kms.toml");
    manufacturer.emplace(
        Enrolment(config, both, TestToken::current().directory + "/so.pin", clocked()).make_keys());
  }
  static Callbacks clocked() {
    Callbacks result;
    result.clock = [] { return Service::now; };
    return result;
  }
  std::string label, directory;
  Config config;
  std::optional<Manufacturer> manufacturer;
};

Ground& ground(EnrolmentMode mode, VaultKind keep) {
  static const bool pin_written = [] {
    const auto file = TestToken::current().directory + "/so.pin";
    std::ofstream(file) << TestToken::so_pin;
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
    return true;
  }();
  REQUIRE(pin_written);
  static std::map<std::pair<EnrolmentMode, VaultKind>, Ground> grounds;
  const auto found = grounds.find({mode, keep});
  return found != grounds.end() ? found->second
                                : grounds.try_emplace({mode, keep}, mode, keep).first->second;
}

}  // namespace

Time Service::now = parse_time("2026-11-22T18:00:00.000Z");

Service::Service(EnrolmentMode chosen, VaultKind keep)
    : mode(chosen), kept_(keep), config_(ground(chosen, keep).config) {
  open();
}

void Service::keep_in(VaultKind keep) {
  kms.reset();
  config_.keep = keep;
  open();
}

Callbacks Service::callbacks() {
  auto result = Ground::clocked();
  result.log = [this](const LogEvent& event) { log.push_back(event.text); };
  return result;
}

Manufacturer& Service::manufacturer() const { return *ground(mode, kept_).manufacturer; }

Enrolment Service::enrolment(const Authority& authority) const {
  return {config(), authority, TestToken::current().directory + "/so.pin", Ground::clocked()};
}

std::vector<Meter> Service::commission_fleet(const std::vector<Order>& orders) {
  const auto file = ground(mode, kept_).directory + "/fleet.csv";
  std::ofstream out(file);
  out << Manufacturer::header;
  std::vector<Meter> meters;
  for (const auto& order : orders) {
    auto [line, meter] = manufacturer().make(order);
    out << line;
    meters.push_back(std::move(meter));
  }
  out.close();
  kms.reset();
  const auto result = enrolment(both).import_fleet(
      {.csv = file, .signature = {}, .transport_keys = {manufacturer().transport_key()}});
  REQUIRE(result.imported == orders.size());
  open();
  return meters;
}

std::size_t Service::admit_waiting() {
  kms.reset();
  const auto result = enrolment(both).admit_waiting();
  CHECK(result.failures.empty());
  open();
  return result.admitted;
}

std::vector<audit::Record> Service::trail(DeviceId device) const {
  std::vector<audit::Record> records;
  // Whether the key manager is open or not.
  for (const auto& entry : Fleet::open(config()).trail(device, {}, 10'000)) {
    REQUIRE(audit::to_hex(audit::leaf_hash(entry.bytes)) == entry.leaf_hash);
    records.push_back(audit::Record::decode(entry.bytes));
  }
  return records;
}

std::vector<TrailEntry> Service::records() const {
  std::vector<TrailEntry> all;
  for (auto page = kms->fleet().records(0, 1000); !page.empty();
       page = kms->fleet().records(all.size(), 1000))
    all.insert(all.end(), page.begin(), page.end());
  return all;
}

Key Service::key(DeviceId device, KeyRole role, std::uint32_t generation) const {
  for (const auto& each : kms->fleet().keys(device))
    if (each.role == role && each.generation == generation) return each;
  throw std::runtime_error("no such key in the registry");
}

std::string Service::standing(DeviceId device, KeyRole role, std::uint32_t generation) const {
  const auto each = key(device, role, generation);
  return std::string(to_string(each.state)) + " " + std::string(to_string(each.delivery));
}

std::size_t Service::count(DeviceId device, KeyRole role) const {
  const auto keys = kms->fleet().keys(device);
  return static_cast<std::size_t>(
      std::ranges::count_if(keys, [&](const Key& each) { return each.role == role; }));
}

bool Service::same_key(const Meter& meter, KeyRole role, std::uint32_t generation) {
  const auto challenge = random_bytes(32);
  return kms->prove({.device = meter.id(), .role = role, .generation = generation}, challenge) ==
         meter.prove(role, challenge);
}

KeyTransfer Service::release_one(const Meter& meter, KeyRole role) {
  const auto rotation = kms->rotate(request(meter, {role}));
  REQUIRE(rotation.transfers().size() == 1);
  return rotation.transfers().front();
}

KeyTransfer Service::rotate_one(Meter& meter, KeyRole role) {
  auto transfer = release_one(meter, role);
  const auto answer = meter.receive(transfer.action_request());
  REQUIRE(answer == success);
  kms->record_reply(transfer, answer);
  return transfer;
}

std::unique_ptr<pkcs11::Pool> Service::pool(EnrolmentMode mode, VaultKind keep) {
  return TestToken::current().pool(ground(mode, keep).label);
}

std::size_t Service::objects(const KeyId& id) const {
  return pool(mode, kept_)->run([&](pkcs11::Session& session) {
    return session
        .find_objects(pkcs11::Template().add(pkcs11::attr::id, {id.raw().begin(), id.raw().end()}))
        .size();
  });
}

bool Service::registry_holds(const Bytes& bytes) const {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    std::ifstream in(config().database.string() + suffix, std::ios::binary);
    const Bytes content{std::istreambuf_iterator<char>(in), {}};
    if (std::search(content.begin(), content.end(),
                    std::boyer_moore_horspool_searcher(bytes.begin(), bytes.end())) !=
        content.end())
      return true;
  }
  return false;
}

std::vector<EnrolmentMode> modes() {
  if (TestToken::is_softokn) return {EnrolmentMode::plain};
  return {EnrolmentMode::plain, EnrolmentMode::officer};
}

vault::TokenProfile token_profile(EnrolmentMode mode) {
  auto& module = *TestToken::current().module;
  return {mode, vault::choose_profile({}, {}, module.info(),
                                      module.find_token(pkcs11::Uri::parse(TestToken::uri())))};
}

RotationRequest request(const Meter& meter, std::vector<KeyRole> roles, std::string operation_id) {
  return {.device = meter.id(),
          .roles = std::move(roles),
          .reason = Reason::operational,
          .authority = both,
          .operation_id = std::move(operation_id)};
}

Bytes wrapped_in(const KeyTransfer& transfer) {
  const auto& bytes = transfer.parameter();
  REQUIRE(transfer.keys().size() == 1);
  return {bytes.begin() + 8, bytes.end()};
}

void as_one_that_died(const Config& config, const Callbacks& callbacks,
                      const std::function<void(lifecycle::Context&)>& work) {
  lifecycle::Context context(config, callbacks, vault::pins_of(config),
                             registry::Registry::open(config.database, sqlite::Mode::read_write));
  lifecycle::connect(context, vault::load_module(config));
  context.transact([&] { work(context); });
}

}  // namespace test
