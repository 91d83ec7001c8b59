// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>

#include "command_line/command.hpp"
#include "command_line/input.hpp"
#include "smets1kms/key_manager.hpp"

/// The operator's command: parses, calls the library, prints.
namespace smets1kms::cli {

using namespace command_line;  // NOLINT: each file of this folder is a command of that shell

/// Returns the options --requested-by, --authorised-by, --reference: dual control.
[[nodiscard]] Options authority_options();
/// Returns these options and --operation-id.
[[nodiscard]] Options change_options();
[[nodiscard]] Authority authority_of(const Invocation& in);
/// Returns the options --device, --role, --generation: one key.
[[nodiscard]] Options key_options();
[[nodiscard]] KeyRef key_of(const Invocation& in);
/// Reads the members device_id, role and generation of a line. Throws BadFile.
[[nodiscard]] KeyRef key_of(const JsonObject& line);
/// Returns the key, unless the options for `many` were given in its place: nullopt then. Throws
/// Usage for both, neither, and half of a key.
[[nodiscard]] std::optional<KeyRef> key_unless(const Invocation& in, bool many,
                                               const std::string& options_for_many);
[[nodiscard]] Option device_option(const char* help = "EUI-64, like 00-DB-12-34-56-78-90-A0");
[[nodiscard]] Option so_pin_option();

[[nodiscard]] Config config_of(const Invocation& in);
/// Returns callbacks that log and show progress on standard error, and ask for the PIN on the
/// terminal.
[[nodiscard]] Callbacks callbacks_of(const Invocation& in);
[[nodiscard]] KeyManager open_key_manager(const Invocation& in);

/// Returns a device's status for people, and why it has no KEK.
[[nodiscard]] std::string device_status(const Device& device);
[[nodiscard]] const Fields<Device>& device_fields();
[[nodiscard]] const Fields<Key>& key_fields();
[[nodiscard]] const Fields<KeyRef>& key_ref_fields();
/// Returns "00-DB-12-34-56-78-90-A0/1".
[[nodiscard]] std::string transfer_id(DeviceId device, std::uint32_t number);
/// Reads the id of a transfer. Throws BadInput.
[[nodiscard]] std::pair<DeviceId, std::uint32_t> parse_transfer_id(const std::string& id);

/// Visits the items that `read(after, most)` returns, page by page; `name` gives an item's place.
template <class After, class Read, class Name, class Visit>
void for_each_page(std::optional<After> after, Read read, Name name, Visit visit) {
  constexpr std::size_t most = 1000;
  for (auto page = read(after, most); !page.empty(); page = read(after, most)) {
    for (const auto& item : page) visit(item);
    after = std::invoke(name, page.back());
  }
}

}  // namespace smets1kms::cli
