#include <algorithm>
#include <functional>
#include <iostream>

#include "cli/commands.hpp"
#include "lifecycle/clock.hpp"
#include "lifecycle/due.hpp"

namespace smets1kms::cli {
namespace {

constexpr const char* text =
    "Makes new keys in the token, wraps each under its device's KEK, records it, and only then releases the\n"
    "transfers: one line of JSON each (--out), with the ACTION request to send. What the device answers goes\n"
    "to 'confirm'. A role that waits for an answer or is in doubt is refused: no third key is made.\n"
    "Without --role: every one of guek, gbek and gak that the device supports. The KEK is rotated alone; the\n"
    "next GAK rotation proves it.\n"
    "--due does what 'due' lists, each for its duty's own reason. Since SEC Appendix AT nothing is periodic: that reason\n"
    "then needs a --justification, for the record.";

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

/// Gives `visit` what the duties of the fleet ask for, as `due` lists it, of `roles` (empty: of all).
void each_due(const Config& config, const Fleet& fleet, const options::variables_map& values, const std::vector<KeyRole>& roles,
              const std::function<void(RotationRequest)>& visit) {
  const auto policy = lifecycle::policy_of(config);
  const Time now = lifecycle::Clock().now().utc;
  if (const auto last = lifecycle::clock_behind(fleet, now))
    throw BadInput("the clock says " + format_time(now) + ", and the audit trail's last record is of " + format_time(*last) +
                   ": mend it before anything is called due");
  const auto within = values.count("within") != 0 ? std::optional(duration(values["within"].as<std::string>())) : std::nullopt;
  std::size_t without_kek = 0;
  lifecycle::each_duties(fleet, policy, now, [&](const lifecycle::DeviceDuties& device) {
    const auto asked = [&](const policy::Duty& duty) { return lifecycle::is_due(duty, now, within); };
    if (!lifecycle::has_usable_kek(device.device) && std::ranges::any_of(device.duties, asked)) ++without_kek;
    for (auto& request : lifecycle::rotations_due(device, now, within)) {
      if (!roles.empty()) std::erase_if(request.roles, [&](KeyRole role) { return std::ranges::find(roles, role) == roles.end(); });
      if (!request.roles.empty()) visit(std::move(request));
    }
  });
  if (without_kek != 0)
    remark(std::to_string(without_kek) + " devices have no usable KEK: their manufacturer must provide another, and the import of its fleet file brings it");
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
      "due", "every device and role for which a duty of the policy is due, for that duty's reason")(
      "within", options::value<std::string>(), "with --due: only what is due in so much time, late ones too: 3d, 36h, 90m")(
      "justification", options::value<std::string>(), "why it is periodic, where the policy has no such rule: a sentence for the record")(
      "out", options::value<std::string>(), "new file for the transfers, a line of JSON each")(
      "together", "all keys of a device in one ACTION (some firmware takes one key only)")(
      "under-proven-kek", "wrap a GAK under the old KEK while a new one is unproven: its success shows that the device never took the new one");
  add_authority(own);
  add_operation_id(own);
  const auto values =
      parse(invocation,
            "rotate --device ID|--all --reason REASON, or rotate --due, with --requested-by ID --authorised-by ID --reference REF [--role R] [--out FILE]",
            text, own);
  const bool due = values.count("due") != 0;
  if (due && (values.count("reason") != 0 || values.count("operation-id") != 0)) throw Usage("--due gives each rotation its own reason and operation id");
  const auto reason = due ? Reason::operational : parse_reason(needed(values, "reason"));
  const auto who = authority(values);
  const auto roles = chosen_roles(values);
  if ((values.count("device") != 0 || values.count("all") != 0) == due)
    throw Usage("which device? --device EUI-64, more than once for several, --all, or --due");
  ProgressLine line;
  const auto config = invocation.config();
  auto kms = KeyManager::open(config, surroundings(line));
  const auto devices = due ? std::vector<DeviceId>() : chosen_devices(values, kms.fleet());
  Output output(invocation, values);
  std::size_t done = 0, failed = 0;
  std::vector<RotationRequest> batch;
  const auto rotate_batch = [&] {
    kms.rotate(batch, [&](RotationResult result) {
      line.show({.what = "devices rotated", .done = ++done, .total = std::max(done, devices.size())});
      if (result.rotation) {
        output.release(*result.rotation);
        return;
      }
      ++failed;
      if (devices.size() == 1) std::rethrow_exception(result.failure);
      remark(result.device.to_string() + ": " + what_failed(result.failure));
    });
    batch.clear();
  };
  const auto add = [&](RotationRequest request) {
    request.authority = who;
    request.operation_id = operation_id(values);
    request.together = values.count("together") != 0;
    request.wrap_under = values.count("under-proven-kek") != 0 ? WrapUnder::proven : WrapUnder::automatic;
    if (values.count("justification") != 0) request.justification = values["justification"].as<std::string>();
    batch.push_back(std::move(request));
    if (batch.size() == devices_at_once) rotate_batch();
  };
  if (due) each_due(config, kms.fleet(), values, roles, add);
  for (const auto& device : devices) add({.device = device, .roles = roles, .reason = reason, .authority = {}});
  rotate_batch();
  if (invocation.json && values.count("out") != 0)
    std::cout << Json{{"devices", done - failed}, {"released", output.released()}, {"failed", failed}}.dump() << '\n';
  else if (!invocation.json && (due || devices.size() > 1 || values.count("out") != 0))
    std::cout << done - failed << (due ? " rotations: " : " devices: ") << output.released() << " transfers released; " << failed << " refused or failed\n";
  return failed == 0 ? 0 : 1;
}

}  // namespace smets1kms::cli
