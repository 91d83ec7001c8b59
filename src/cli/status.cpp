// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cli/common.hpp"
#include "command_line/text.hpp"

namespace smets1kms::cli {
namespace {

struct Status {
  FleetSummary summary;
  std::vector<TargetInfo> targets;
  const Fleet& fleet;
};
struct DeviceStatusShown {
  Device device;
  std::vector<Key> keys;
  std::vector<WaitingItem> waiting;
};

/// Calls `give` with every waiting item, read page by page.
template <class Give>
void for_each_waiting(const Fleet& fleet, const Give& give) {
  constexpr std::size_t most = 1000;
  for (auto page = fleet.waiting({}, most);; page = fleet.waiting(page.next, most)) {
    for (const auto& item : page.items) give(item);
    if (page.next.empty()) return;
  }
}

const Fields<WaitingItem>& waiting_fields() {
  using Item = WaitingItem;
  const auto of_key = [](auto member) {
    return [member](const Item& item) {
      return item.key ? std::optional((*item.key).*member) : std::nullopt;
    };
  };
  static const Fields<Item> fields(
      {{"kind",
        "released, in-doubt, unproven-kek, awaits-enrolment, open-operation, receipt-missing, "
        "withheld or no-usable-kek",
        &Item::kind},
       {"device_id", "an EUI-64", &Item::device},
       {"role", "guek, gbek, gak or kek", of_key(&KeyRef::role)},
       {"generation", "of that role", of_key(&KeyRef::generation)},
       {"transfer_id", "the transfer that carries the key",
        [](const Item& item) {
          return item.key && item.transfer != 0
                     ? std::optional(transfer_id(item.key->device, item.transfer))
                     : std::nullopt;
        }},
       {"target", "the handover target whose receipt is missing",
        [](const Item& item) {
          return item.target.empty() ? std::nullopt : std::optional(item.target);
        }},
       {"operation_id", "the operation that made the key, or that is open",
        [](const Item& item) { return unless_empty(item.operation_id); }},
       {"since", "when the key was made or became in doubt, or the device was commissioned",
        &Item::since},
       {"ends_by", "what ends it", &Item::ends_by}});
  return fields;
}

const Fields<TargetInfo>& target_fields() {
  const auto of = [](auto member) {
    return [member](const TargetInfo& info) { return info.target.*member; };
  };
  static const Fields<TargetInfo> fields(
      {{"target", "its name", of(&HandoverTarget::name), "TARGET"},
       {"generation", "which of its certificates", of(&HandoverTarget::generation), "GEN"},
       {"roles", "the keys that it is handed", of(&HandoverTarget::roles), "ROLES"},
       {"before_transfer", "true: transfers wait for its receipts",
        of(&HandoverTarget::before_transfer), "BEFORE TRANSFER"},
       {"status", "admitted, replaced, retired or compromised", of(&HandoverTarget::status),
        "STATUS"},
       {"stored", "keys that are stored for it, and not received", &TargetInfo::stored, "STORED"},
       {"hash", "of RSA-OAEP", of(&HandoverTarget::hash)},
       {"fingerprint", "SHA-256 of its certificate, hex", of(&HandoverTarget::fingerprint)},
       {"admitted_at", "when", of(&HandoverTarget::admitted_at), "ADMITTED"}});
  return fields;
}

const Fields<Status> status_fields(
    "smets1-kms-status-1", "How many devices and keys are in which state, and what waits",
    {{"devices", "how many, by status",
      [](const Status& s) { return s.summary.devices_by_status; }},
     {"records", "how many the audit trail has", [](const Status& s) { return s.summary.records; }},
     {"open_operations", "how many are unfinished",
      [](const Status& s) { return s.summary.open_operations; }},
     {"awaiting_enrolment", "KEKs that wait for the security officer",
      [](const Status& s) { return s.summary.awaiting_enrolment; }},
     {"without_kek", "devices in service that came without a KEK",
      [](const Status& s) { return s.summary.without_kek; }},
     {"keys", "how many, by role and state", [](const Status& s) { return s.summary.keys; }},
     nested("targets", "handover targets", target_fields(), &Status::targets),
     nested("waiting", "what a person or the service has to see to", waiting_fields(),
            [](const Status& s) -> Each<WaitingItem> {
              return [&s](const auto& give) { for_each_waiting(s.fleet, give); };
            })});
const Fields<DeviceStatusShown> device_status_fields(
    "smets1-kms-status-device-1", "What of one device is in use, and what waits",
    {{"device_id", "its EUI-64", [](const DeviceStatusShown& s) { return s.device.id; }},
     {"status", "commissioned, suspended, decommissioned or not-commissioned",
      [](const DeviceStatusShown& s) { return s.device.status; }},
     nested("keys", "those that are active, or on their way", key_fields(),
            &DeviceStatusShown::keys),
     nested("waiting", "what a person or the service has to see to", waiting_fields(),
            &DeviceStatusShown::waiting)});
const Fields<BatchInfo> batch_fields(
    "smets1-kms-batch-1", "A named batch of rotations",
    {{"name", "give it to 'rotate --resume'", [](const BatchInfo& b) { return b.request.name; },
      "BATCH"},
     {"reason", "of its rotations; none: each duty's own",
      [](const BatchInfo& b) { return b.request.reason; }, "REASON"},
     {"devices", "how many its list had; 0: no list", &BatchInfo::devices, "DEVICES",
      [](const BatchInfo& b) { return b.devices == 0 ? "-" : std::to_string(b.devices); }},
     {"done", "rotations whose outcome is recorded", &BatchInfo::done, "DONE"},
     {"failed", "refused or failed in its last run", &BatchInfo::failed, "FAILED"},
     {"started", "when it was begun", &BatchInfo::started, "STARTED"},
     {"ended", "when it came to its end", &BatchInfo::ended, "ENDED"}});

std::string waiting_line(const WaitingItem& item) {
  const auto what = item.key ? item.key->device.to_string() + "  " +
                                   std::string(to_string(item.key->role)) + " " +
                                   std::to_string(item.key->generation)
                    : item.device ? item.device->to_string()
                                  : "operation " + item.operation_id;
  const auto of = item.target.empty() ? "" : " of " + item.target;
  return what + "  " + std::string(to_string(item.kind)) + of + "  (" + item.ends_by + ")";
}

void of_device(const Invocation& in, const Fleet& fleet) {
  const auto device = fleet.device(in.values.needed("device", DeviceId::parse));
  DeviceStatusShown shown{device, {}, fleet.waiting(device.id)};
  for (const auto& key : fleet.keys(device.id)) {
    const auto waits = [&](const WaitingItem& item) { return item.key == key.ref(); };
    if (key.state == KeyState::active || std::ranges::any_of(shown.waiting, waits))
      shown.keys.push_back(key);
  }
  show(in, device_status_fields, shown, [&](std::ostream& out) {
    out << device.id.to_string() << "  " << printable(device_status(device)) << "\n\n";
    print_table(out, key_fields(), shown.keys);
    for (const auto& item : shown.waiting) out << "\nwaits: " << printable(waiting_line(item));
    if (!shown.waiting.empty()) out << '\n';
  });
}

void batches(const Invocation& in, const Fleet& fleet) {
  Rows rows(in, batch_fields);
  for_each_page<std::string>(
      std::string(),
      [&](const auto& after, std::size_t most) { return fleet.batches(*after, most); },
      [](const BatchInfo& batch) { return batch.request.name; },
      [&](const BatchInfo& batch) { rows.add(batch); });
}

void print(std::ostream& out, const Status& status) {
  const auto& summary = status.summary;
  for (const auto& [state, count] : summary.devices_by_status)
    out << count << " devices " << state << '\n';
  out << summary.records << " records in the audit trail\n\n";
  Table table(out, {"ROLE", "STATE", "KEYS"});
  for (const auto& [role, states] : summary.keys)
    for (const auto& [state, count] : states)
      table.add(
          {std::string(to_string(role)), std::string(to_string(state)), std::to_string(count)});
  table.finish();
  if (!status.targets.empty()) {
    out << '\n';
    print_table(out, target_fields(), status.targets);
  }
  if (summary.open_operations != 0)
    out << '\n'
        << summary.open_operations
        << " unfinished operations: the next command that opens the token recovers them\n";
  if (summary.awaiting_enrolment != 0)
    out << '\n'
        << summary.awaiting_enrolment
        << " new KEKs wait for the security officer: smets1-kms enrol\n";
  if (summary.without_kek != 0)
    out << '\n'
        << summary.without_kek
        << " devices came without a KEK: nothing is rotated for them until a fleet file brings "
           "it\n";
  constexpr std::size_t shown = 20;
  std::size_t waiting = 0;
  for_each_waiting(status.fleet, [&](const WaitingItem& item) {
    if (waiting == 0) out << "\nwaiting for a person:\n";
    if (++waiting <= shown) out << "  " << printable(waiting_line(item)) << '\n';
  });
  if (waiting > shown) out << "  … and " << waiting - shown << " more (--json lists all)\n";
}

void run_status(const Invocation& in) {
  if (in.values.count({"device", "batches"}) > 1) throw Usage("either --device or --batches");
  const auto fleet = Fleet::open(config_of(in), callbacks_of(in));
  if (in.values.has("device")) return of_device(in, fleet);
  if (in.values.has("batches")) return batches(in, fleet);
  const Status status{fleet.summary(), fleet.targets(), fleet};
  show(in, status_fields, status, [&](std::ostream& out) { print(out, status); });
}

}  // namespace

Command status() {
  return {"status",
          "how many devices and keys are in which state, what waits for a person",
          "[--device ID | --batches]",
          R"(
Counts devices and keys by state, and lists what waits for a person: doubts, unproven KEKs,
unfinished operations, each with what ends it.
--device: what of one device is in use, and what waits ('device show' has its whole history).)",
          {text("device", "DEVICE", "EUI-64: of this device only"),
           flag("batches", "the named batches of rotations, and how far each is")},
          run_status,
          {status_fields, device_status_fields, batch_fields}};
}

}  // namespace smets1kms::cli
