// SPDX-License-Identifier: Apache-2.0
// Makes a registry large for scripts/bench growth, faster than devices can be imported: behind each
// device that has no neighbour come others, with its facts, the row of its KEK and its records,
// each under an id and a key id of their own. The records are real ones, chained and hashed as any
// (smets1-audit verifies them); the KEKs are not: none of these can be rotated. usage:
// fill_registry KMS_TOML TOTAL      ids must be far enough apart for what goes between them
#include <iostream>

#include "lifecycle/context.hpp"
#include "lifecycle/startup.hpp"

namespace {

using namespace smets1kms;

constexpr std::size_t devices_at_once = 5000;

class Filler {
 public:
  explicit Filler(lifecycle::Context& context) : context_(context) {
    context_.registry.database().execute("CREATE TEMP TABLE pattern AS SELECT * FROM key LIMIT 0");
  }
  /// `count` devices with the ids behind this one's.
  void behind(const Device& original, std::size_t count) {
    auto& database = context_.registry.database();
    const auto id = static_cast<std::int64_t>(original.id.number());
    database.query("DELETE FROM pattern").run();
    database.query("INSERT INTO pattern SELECT * FROM key WHERE device=? AND role=3")
        .bind(id)
        .run();
    std::vector<audit::Record> records;
    for (const auto& entry : context_.registry.trail(original.id))
      records.push_back(audit::Record::decode(entry.bytes));
    for (std::size_t i = 1; i <= count; ++i) {
      Device device = original;
      device.id = DeviceId::from_number(original.id.number() + i);
      device.system_title =
          from_hex(audit::to_hex(audit::sha256(device.id.to_string())).substr(0, 16));
      const auto key = KeyId::random();
      const auto sent_as = audit::sha256(key.to_string());
      context_.registry.add_imported_kek(device.id, sent_as);
      std::int64_t last = 0;
      const auto moment = context_.trail.moment();
      for (auto& record : records) {
        if (record.get(audit::Field::key_id)) record.set(audit::Field::key_id, key.to_string());
        if (record.get(audit::Field::wrapped_sha256))
          record.set(audit::Field::wrapped_sha256, audit::to_hex(sent_as));
        last = context_.trail.append(record, device.id, moment);
        if (record.text(audit::Field::op) == audit::op::device_register)
          device.registered = device.record = static_cast<std::uint64_t>(last);
      }
      context_.registry.add_device(device);
      if (device.commissioned_at)
        context_.registry.add_event(device.id,
                                    {DeviceChange::commissioned,
                                     {.at = *device.commissioned_at, .record = device.registered}});
      database
          .query(
              "UPDATE pattern SET device=?,id=?,made=?3,record=?3,sealed_record=?3,created_at=?4,"
              "confirmed_at=?4")
          .bind(id + static_cast<std::int64_t>(i))
          .bind(std::span<const std::uint8_t>(key.raw()))
          .bind(last)
          .bind(moment.utc.time_since_epoch().count())
          .run();
      database.query("INSERT INTO key SELECT * FROM pattern").run();
    }
  }

 private:
  lifecycle::Context& context_;
};

void fill(const char* configuration, std::size_t total) {
  const auto config = Config::load(configuration);
  lifecycle::Context context(config, {}, vault::pins_of(config),
                             registry::Registry::open(config.database, sqlite::Mode::read_write));
  lifecycle::connect(context, vault::load_module(config));  // which signs what is filled in
  auto originals = context.registry.devices_after(std::nullopt, SIZE_MAX);
  const auto all = originals.size();
  for (std::size_t i = 0; i + 1 < originals.size();)
    if (originals[i + 1].id.number() == originals[i].id.number() + 1)
      originals.erase(originals.begin() + static_cast<std::ptrdiff_t>(i));
    else
      ++i;
  if (all == 0 || (total - all) % originals.size() != 0)
    throw BadInput("as many must come behind each");
  const std::size_t each = (total - all) / originals.size();
  for (std::size_t at = 0; at < originals.size();) {
    context.transact([&] {
      Filler filler(context);
      for (std::size_t made = 0; at < originals.size() && made <= devices_at_once; made += each + 1)
        filler.behind(originals[at++], each);
      context.registry.database().execute("DROP TABLE pattern");
    });
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 3) throw std::invalid_argument("usage: fill_registry KMS_TOML TOTAL");
    fill(argv[1], std::stoul(argv[2]));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "fill_registry: " << error.what() << '\n';
    return 1;
  }
}
