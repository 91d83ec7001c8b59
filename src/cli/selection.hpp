#pragma once
#include <fstream>
#include <functional>
#include <optional>

#include "cli/commands.hpp"

namespace smets1kms::cli {

/// Which devices a batch is for, one after the other: memory does not grow with their number.
struct Selection {
  std::function<std::optional<DeviceId>()> next;
  std::size_t total;  ///< for the progress shown
};

/// --device, --all, --file
void add_selection(options::options_description& own);
/// Throws Usage unless exactly one of them is given, BadFile for a line of the file that is no device's id, before anything is begun.
[[nodiscard]] Selection selection(const options::variables_map& values, const Fleet& fleet);

}  // namespace smets1kms::cli
