// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <initializer_list>
#include <utility>

#include "cli/common.hpp"
#include "command_line/text.hpp"

namespace smets1kms::cli {

/// Returns the option --file LIST.
[[nodiscard]] Option list_option(const char* help);
/// Reads the devices of a list: an EUI-64 a line; text behind '#' is a remark. Throws BadFile for a
/// line that is no device's id, or repeats one, and BadInput for an empty list.
[[nodiscard]] std::vector<DeviceId> read_devices(const std::string& file);

/// Returns the selections of retire and destroy: one key (`keys`), the devices of a list, or what
/// flags select. Throws Usage unless one of them is given, and for an operation id of several keys;
/// `what` is the operation.
[[nodiscard]] std::vector<Selection> key_selections(
    const Invocation& in, const char* what,
    std::initializer_list<std::pair<const char*, Selection::Kind>> flags);
/// Ends the command where it was interrupted.
void end_of_selection(const Invocation& in, const SelectionSummary& summary);

/// Returns a function that returns true from the first SIGINT or SIGTERM on; the second one ends
/// the process.
[[nodiscard]] std::function<bool()> stop_on_signals();

}  // namespace smets1kms::cli
