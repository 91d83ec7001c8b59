#include <iostream>

#include "cli/commands.hpp"

namespace smets1kms::cli {
namespace {

constexpr const char* text =
    "Makes new keys in the token, wraps each under its device's KEK, records it, and only then releases the\n"
    "transfers: one line of JSON each (--out), with the ACTION request to send. What the device answers goes\n"
    "to 'confirm'. A role that waits for an answer or is in doubt is refused: no third key is made.\n"
    "Without --role: every one of guek, gbek and gak that the device supports. The KEK is rotated alone; the\n"
    "next GAK rotation proves it.";

constexpr std::size_t devices_at_once = 64;  // share their two transactions

std::vector<DeviceId> chosen_devices(const options::variables_map& values, const Fleet& fleet) {
  std::vector<DeviceId> devices;
  if (values.count("device") != 0)
    for (const auto& each : values["device"].as<std::vector<std::string>>()) devices.push_back(DeviceId::parse(each));
  if (values.count("all") != 0)
    fleet.each_device([&](const Device& device) {
      if (device.status == DeviceStatus::commissioned) devices.push_back(device.id);
    });
  if (devices.empty()) throw BadInput("there is no commissioned device in the registry; 'device import' brings devices");
  if (devices.size() > 1 && values.count("operation-id") != 0) throw Usage("--operation-id names one device's rotation; leave it out for several");
  return devices;
}

std::vector<KeyRole> chosen_roles(const options::variables_map& values) {
  std::vector<KeyRole> roles;
  if (values.count("role") != 0)
    for (const auto& each : values["role"].as<std::vector<std::string>>()) roles.push_back(parse_role(each));
  return roles;
}

std::string what_failed(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  }
}

/// Where released transfers go: a file of JSON lines, or standard output.
class Output {
 public:
  Output(const Invocation& invocation, const options::variables_map& values) {
    if (values.count("out") != 0)
      file_ = std::make_unique<JsonLines>(values["out"].as<std::string>());
    else if (invocation.json)
      file_ = std::make_unique<JsonLines>("-");
  }
  void release(const Rotation& rotation) {
    for (const auto& transfer : rotation.transfers()) {
      ++released_;
      Json json = to_json(transfer);
      json["operation_id"] = rotation.operation_id();
      if (file_)
        file_->write(json);
      else
        print(json);
    }
  }
  [[nodiscard]] std::size_t released() const { return released_; }

 private:
  static void print(const Json& json) {
    for (const char* member : {"transfer_id", "role", "generation", "key_id", "operation_id", "action_request"})
      std::cout << member << std::string(16 - std::string(member).size(), ' ')
                << (json[member].is_string() ? json[member].get<std::string>() : json[member].dump()) << '\n';
    if (json["released_before"].get<bool>())
      std::cout << "NOTE            handed out before under this operation id: send it only if it is certain that it was not sent\n";
    std::cout << '\n';
  }
  std::unique_ptr<JsonLines> file_;
  std::size_t released_ = 0;
};

}  // namespace

int rotate(const Invocation& invocation) {
  options::options_description own;
  own.add_options()("device", options::value<std::vector<std::string>>(), "EUI-64; may be repeated")("all", "every commissioned device")(
      "role", options::value<std::vector<std::string>>(), "guek, gbek, gak or kek; may be repeated")(
      "reason", options::value<std::string>(), "post-commissioning, periodic, suspected-compromise, recommissioning, operational")(
      "out", options::value<std::string>(), "new file for the transfers, a line of JSON each")(
      "together", "all keys of a device in one ACTION (some firmware takes one key only)")(
      "under-proven-kek", "wrap a GAK under the old KEK while a new one is unproven: its success shows that the device never took the new one");
  add_authority(own);
  add_operation_id(own);
  const auto values =
      parse(invocation, "rotate --device ID|--all --reason REASON --requested-by ID --authorised-by ID --reference REF [--role R] [--out FILE]", text, own);
  const auto reason = parse_reason(needed(values, "reason"));
  const auto who = authority(values);
  const auto roles = chosen_roles(values);
  if (values.count("device") == 0 && values.count("all") == 0) throw Usage("which device? --device EUI-64, more than once for several, or --all");
  ProgressLine line;
  auto kms = KeyManager::open(invocation.config(), surroundings(line));
  const auto devices = chosen_devices(values, kms.fleet());
  Output output(invocation, values);
  std::size_t done = 0, failed = 0;
  for (std::size_t start = 0; start < devices.size(); start += devices_at_once) {
    std::vector<RotationRequest> batch;
    for (std::size_t i = start; i < std::min(devices.size(), start + devices_at_once); ++i)
      batch.push_back({.device = devices[i],
                       .roles = roles,
                       .reason = reason,
                       .authority = who,
                       .operation_id = operation_id(values),
                       .together = values.count("together") != 0,
                       .wrap_under = values.count("under-proven-kek") != 0 ? WrapUnder::proven : WrapUnder::automatic});
    kms.rotate(batch, [&](RotationResult result) {
      line.show({.what = "devices rotated", .done = ++done, .total = devices.size()});
      if (result.rotation) {
        output.release(*result.rotation);
        return;
      }
      ++failed;
      if (devices.size() == 1) std::rethrow_exception(result.failure);
      remark(result.device.to_string() + ": " + what_failed(result.failure));
    });
  }
  if (invocation.json && values.count("out") != 0)
    std::cout << Json{{"devices", devices.size() - failed}, {"released", output.released()}, {"failed", failed}}.dump() << '\n';
  else if (!invocation.json && (devices.size() > 1 || values.count("out") != 0))
    std::cout << devices.size() - failed << " devices: " << output.released() << " transfers released; " << failed << " refused or failed\n";
  return failed == 0 ? 0 : 1;
}

}  // namespace smets1kms::cli
