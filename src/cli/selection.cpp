// SPDX-License-Identifier: Apache-2.0
#include "cli/selection.hpp"

#include <algorithm>
#include <csignal>

#include "command_line/input.hpp"

namespace smets1kms::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

}  // namespace

Option list_option(const char* help) { return text("file", "LIST", help); }

std::vector<DeviceId> read_devices(const std::string& file) {
  std::vector<std::pair<DeviceId, std::size_t>> lines;
  for_each_line(file, [&](std::string_view line, std::size_t number) {
    line = line.substr(0, line.find('#'));
    const auto first = line.find_first_not_of(" \t");
    if (first == std::string_view::npos) return;
    try {
      lines.emplace_back(
          DeviceId::parse(line.substr(first, line.find_last_not_of(" \t") - first + 1)), number);
    } catch (const BadInput& error) {
      throw BadFile(file, number, first + 1, error.what());
    }
  });
  if (lines.empty()) throw BadInput(file + ": names no device");
  std::vector<DeviceId> devices;
  for (const auto& [device, number] : lines) devices.push_back(device);
  std::ranges::sort(lines);
  const auto twice =
      std::ranges::adjacent_find(lines, {}, [](const auto& line) { return line.first; });
  if (twice != lines.end())
    throw BadFile(file, std::next(twice)->second, 1,
                  "device " + twice->first.to_string() + " stands in line " +
                      std::to_string(twice->second) + " already");
  return devices;
}

std::vector<Selection> key_selections(
    const Invocation& in, const char* what,
    std::initializer_list<std::pair<const char*, Selection::Kind>> flags) {
  std::vector<Selection> selections;
  std::string names = "--file LIST";
  for (const auto& [name, kind] : flags) {
    names += std::string(", --") + name;
    if (in.values.has(name)) selections.push_back({.kind = kind});
  }
  const bool is_list = in.values.has("file");
  if (is_list && !selections.empty()) throw Usage("one of " + names);
  const auto one = key_unless(in, is_list || !selections.empty(), names);
  if (!one && in.values.has("operation-id"))
    throw Usage(std::string("--operation-id names the ") + what + " of one key");
  if (one) selections.push_back({.kind = Selection::Kind::keys, .keys = {*one}});
  if (is_list)
    selections.push_back(
        {.kind = Selection::Kind::devices, .devices = read_devices(in.values.text("file"))});
  return selections;
}

void end_of_selection(const Invocation& in, const SelectionSummary& summary) {
  if (!summary.stopped) return;
  const std::string text =
      "interrupted: what the token was working on is finished and recorded. The same command again "
      "goes on with the others";
  in.console.warn(text);
  throw Unsuccessful(Exit::failed, "interrupted", text);
}

std::function<bool()> stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  return [] { return interrupted != 0; };
}

}  // namespace smets1kms::cli
