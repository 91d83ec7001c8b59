// SPDX-License-Identifier: Apache-2.0
#include "cli/common.hpp"

#include "command_line/secret_prompt.hpp"

namespace smets1kms::cli {

Options authority_options() {
  return {
      text("requested-by", "ID", "who asks for the change (for DCC the S1SP), like s1sp:ops-1"),
      text("authorised-by", "ID", "who authorises it, another identity (the DCO), like dco:ops-7"),
      text("reference", "REF", "the change or incident it was decided under, like CHG-1234")};
}

Options change_options() {
  auto options = authority_options();
  options.push_back(
      text("operation-id", "ID",
           "a name of your own for this operation; the same again gives the same result"));
  return options;
}

Authority authority_of(const Invocation& in) {
  return {.requested_by = in.values.needed("requested-by"),
          .authorised_by = in.values.needed("authorised-by"),
          .reference = in.values.needed("reference")};
}

Option device_option(const char* help) { return text("device", "DEVICE", help); }

Options key_options() {
  return {
      device_option(), text("role", "ROLE", "guek, gbek, gak or kek"),
      number("generation", "N", "which key of that role; 'device show' lists them", 1, UINT32_MAX)};
}

KeyRef key_of(const Invocation& in) {
  const auto device = in.values.needed("device", DeviceId::parse);
  const auto role = in.values.needed("role", parse_role);
  (void)in.values.needed("generation");
  return {.device = device,
          .role = role,
          .generation = static_cast<std::uint32_t>(*in.values.number("generation"))};
}

KeyRef key_of(const JsonObject& line) {
  const auto device = line.text("device_id", DeviceId::parse);
  const auto role = line.text("role", parse_role);
  return {.device = device,
          .role = role,
          .generation = static_cast<std::uint32_t>(line.number("generation", 1, UINT32_MAX))};
}

std::optional<KeyRef> key_unless(const Invocation& in, bool many,
                                 const std::string& options_for_many) {
  if (many == in.values.has("device"))
    throw Usage("either --device, --role and --generation, or " + options_for_many);
  if (many && in.values.count({"role", "generation"}) != 0)
    throw Usage("--role and --generation go with --device; " + options_for_many +
                " takes every such key, of every role");
  return many ? std::nullopt : std::optional(key_of(in));
}

Option so_pin_option() {
  return text("so-pin-source", "SOURCE",
              "where the security officer's PIN comes from: file:PATH or fd:N");
}

Config config_of(const Invocation& in) { return Config::load(in.config_file()); }

Callbacks callbacks_of(const Invocation& in) {
  auto& console = in.console;
  return {.clock = {},
          .pin_prompt = ask_secret,
          .log =
              [&console](const LogEvent& event) {
                event.level == LogLevel::warning ? console.warn(event.text)
                                                 : console.note(event.text);
              },
          .progress =
              [&console](const Progress& now) { console.progress(now.what, now.done, now.total); }};
}

KeyManager open_key_manager(const Invocation& in) {
  return KeyManager::open(config_of(in), callbacks_of(in));
}

std::string transfer_id(DeviceId device, std::uint32_t number) {
  return device.to_string() + "/" + std::to_string(number);
}

std::pair<DeviceId, std::uint32_t> parse_transfer_id(const std::string& id) try {
  const auto slash = std::min(id.find('/'), id.size());
  return {DeviceId::parse(id.substr(0, slash)),
          static_cast<std::uint32_t>(parse_number(
              std::string_view(id).substr(std::min(slash + 1, id.size())), 0, UINT32_MAX))};
} catch (const BadInput&) {
  throw BadInput("'" + id +
                 "' is not a transfer id: 'rotate' gives it, like 00-DB-12-34-56-78-90-A0/1");
}

std::string device_status(const Device& device) {
  return std::string(to_string(device.status)) +
         (device.no_kek_reason.empty() ? "" : ", no usable KEK: " + device.no_kek_reason);
}

const Fields<Device>& device_fields() {
  static const Fields<Device> fields(
      "smets1-kms-device-1", "A device of the registry",
      {{"device_id", "its EUI-64", &Device::id, "DEVICE"},
       {"kind", "ESME, GSME, CHF, GPF or PPMID", &Device::kind, "KIND"},
       {"model", "as the configuration names it", &Device::model, "MODEL"},
       {"system_title", "hex", &Device::system_title},
       {"security_suite", "of DLMS: 0, 1 or 2",
        [](const Device& d) { return static_cast<unsigned>(d.suite); }, "SUITE"},
       {"supports", "the keys that it can be given", &Device::supports, "SUPPORTS"},
       {"commissioned_at", "when it was", &Device::commissioned_at, "COMMISSIONED"},
       {"status", "commissioned, suspended, decommissioned or not-commissioned", &Device::status,
        "STATUS", device_status},
       {"no_kek_reason", "why it has no KEK",
        [](const Device& d) { return unless_empty(d.no_kek_reason); }}});
  return fields;
}

const Fields<Key>& key_fields() {
  const auto transfer = [](const Key& key) {
    return key.transfer == 0 ? std::nullopt : std::optional(transfer_id(key.device, key.transfer));
  };
  const auto rests = [](const Key& key) -> std::string {
    if (key.state == KeyState::none || key.state == KeyState::destroyed ||
        key.state == KeyState::destroyed_compromised)
      return "-";
    return key.awaits_enrolment ? "awaits-officer" : key.is_sealed ? "sealed" : "token";
  };
  const auto created = [](const Key& key) {
    return key.state == KeyState::none ? std::nullopt : std::optional(key.created_at);
  };
  static const Fields<Key> fields(
      {{"device_id", "the device that it is for", &Key::device},
       {"role", "guek, gbek, gak or kek", &Key::role, "ROLE"},
       {"generation", "counts the keys of one role of one device", &Key::generation, "GEN"},
       {"key_id", "its CKA_ID, hex", &Key::id, "KEY ID"},
       {"state", "of NIST SP 800-57", &Key::state, "STATE"},
       {"delivery", "its way to the device", &Key::delivery, "DELIVERY"},
       {"predecessor", "id of the key that was active when it was made", &Key::predecessor},
       {"kek_id", "id of the KEK it was wrapped under", &Key::kek},
       {"rests", "token, sealed, or awaits-officer: wrapped under the enrolment key", rests,
        "RESTS"},
       {"transfer_id", "the transfer that carries it", transfer, "TRANSFER",
        [](const Key& key) { return key.transfer == 0 ? "-" : std::to_string(key.transfer); }},
       {"operation_id", "the operation that made it", &Key::operation},
       {"created_at", "when the token had made it", created, "MADE"},
       {"in_doubt_at", "when its device was first in doubt about it", &Key::in_doubt_at},
       {"confirmed_at", "when its device confirmed it", &Key::confirmed_at},
       {"not_held_at", "when its device was shown not to hold it", &Key::not_held_at},
       {"compromised_at", "when it was suspected", &Key::compromised_at}});
  return fields;
}

const Fields<KeyRef>& key_ref_fields() {
  static const Fields<KeyRef> fields({{"device_id", "an EUI-64", &KeyRef::device, "DEVICE"},
                                      {"role", "guek, gbek, gak or kek", &KeyRef::role, "ROLE"},
                                      {"generation", "of that role", &KeyRef::generation, "GEN"}});
  return fields;
}

}  // namespace smets1kms::cli
