// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/enrolment/fleet_file.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "audit/record.hpp"
#include "base/text_reader.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::lifecycle {
namespace {

constexpr std::array<std::string_view, 9> header{
    "device_id",       "kind",        "model",        "system_title", "security_suite", "supports",
    "commissioned_at", "kek_wrapped", "kek_transport"};
enum Column : std::size_t {
  device_id,
  kind,
  model,
  system_title,
  security_suite,
  supports,
  commissioned_at,
  kek_wrapped,
  kek_transport
};

struct Cell {
  std::string_view text;
  std::size_t column;  ///< of its first character, from 1
};

class Line {
 public:
  Line(const std::string& file, std::size_t number, std::string_view text)
      : file_(file), number_(number), length_(text.size()) {
    for (const auto part : split(text, ','))
      cells_.push_back({part, static_cast<std::size_t>(part.data() - text.data()) + 1});
  }
  [[noreturn]] void refuse(std::size_t column, const std::string& what) const {
    throw BadFile(file_, number_, column, what);
  }
  [[nodiscard]] const std::vector<Cell>& cells() const { return cells_; }
  void need_all_cells() const {
    if (const auto quote = std::ranges::find_if(
            cells_, [](const Cell& cell) { return cell.text.find('"') != std::string_view::npos; });
        quote != cells_.end())
      refuse(
          quote->column,
          "a quote: the fields of this file have no commas in them and are written without quotes");
    if (cells_.size() < header.size())
      refuse(length_ + 1, std::string(header[cells_.size()]) +
                              " is missing: " + std::to_string(cells_.size()) + " fields of 9");
    if (cells_.size() > header.size())
      refuse(cells_[header.size()].column,
             "a field too many: " + std::to_string(cells_.size()) + " of 9");
  }
  /// Returns what `parse` makes of a field; its BadInput gains the place.
  template <class Parse>
  auto parsed(Column which, Parse&& parse) const {
    const auto& cell = cells_[which];
    try {
      return parse(cell.text);
    } catch (const BadInput& error) {
      refuse(cell.column, std::string(header[which]) + ": " + error.what());
    }
  }
  [[nodiscard]] std::size_t number() const { return number_; }

 private:
  const std::string& file_;
  std::size_t number_, length_;
  std::vector<Cell> cells_;
};

std::vector<KeyRole> parse_supports(std::string_view text) {
  std::vector<KeyRole> roles;
  for (const auto part : split(text, '+')) {
    const auto role = parse_role(part);
    if (std::ranges::find(roles, role) != roles.end())
      throw BadInput(std::string(to_string(role)) + " twice");
    roles.push_back(role);
  }
  std::ranges::sort(roles);
  return roles;
}

std::string parse_name(std::string_view text) {
  if (text.empty() || text.size() > 64 || audit::printable(text, 64) != text)
    throw BadInput("1 to 64 printable ASCII characters are expected");
  return std::string(text);
}

Bytes parse_system_title(std::string_view text) {
  Bytes title = from_hex(text);
  if (title.size() != 8)
    throw BadInput("8 bytes (16 hex digits) are expected, not " + std::to_string(title.size()));
  return title;
}

FleetLine read_line(const Line& line, const Config& config) {
  line.need_all_cells();
  // The line is filled statement by statement: g++ 12 destroys members twice when an initializer of
  // an aggregate throws.
  const auto id = line.parsed(device_id, DeviceId::parse);
  const auto what = line.parsed(kind, parse_kind);
  auto model_name = line.parsed(model, parse_name);
  auto title = line.parsed(system_title, parse_system_title);
  const auto suite = line.parsed(security_suite, parse_suite);
  auto roles = line.parsed(supports, parse_supports);
  const auto since = line.parsed(commissioned_at, parse_time);
  auto wrapped = line.parsed(kek_wrapped, from_hex);
  auto transport = line.parsed(kek_transport, parse_name);
  FleetLine result{.line = line.number(),
                   .device = {.id = id,
                              .kind = what,
                              .model = std::move(model_name),
                              .system_title = std::move(title),
                              .suite = suite,
                              .supports = std::move(roles),
                              .commissioned_at = since,
                              .status = DeviceStatus::commissioned},
                   .kek_wrapped = std::move(wrapped),
                   .kek_transport = std::move(transport),
                   .kek_column = line.cells()[kek_wrapped].column};
  if (!config.models.contains(result.device.model))
    line.refuse(line.cells()[model].column,
                "model " + result.device.model +
                    " is not in the configuration: say under [models.\"" + result.device.model +
                    "\"] what its logical name is and when it begins to use a new key");
  if (result.kek_wrapped.size() != wrapped_length(result.device.suite))
    line.refuse(result.kek_column,
                "kek_wrapped has " + std::to_string(result.kek_wrapped.size()) +
                    " bytes; a KEK of security suite " +
                    std::to_string(static_cast<int>(result.device.suite)) + " is " +
                    std::to_string(wrapped_length(result.device.suite)) + " when wrapped");
  return result;
}

}  // namespace

std::vector<FleetLine> read_fleet_file(const std::string& name, const std::string& content,
                                       const Config& config) {
  auto reader = TextReader::of_text(name, content);
  std::vector<FleetLine> lines;
  std::map<DeviceId, std::size_t> seen;
  while (const auto text = reader.next()) {
    const auto number = reader.number();
    const Line line(name, number, *text);
    if (number == 1) {
      for (std::size_t i = 0; i < header.size(); ++i)
        if (i >= line.cells().size() || line.cells()[i].text != header[i])
          line.refuse(i < line.cells().size() ? line.cells()[i].column : text->size() + 1,
                      "the header is not that of a fleet file: " + std::string(header[i]) +
                          " is expected here");
      line.need_all_cells();
      continue;
    }
    if (text->empty()) line.refuse(1, "an empty line");
    lines.push_back(read_line(line, config));
    const auto [before, is_new] = seen.emplace(lines.back().device.id, number);
    if (!is_new)
      line.refuse(1, "device " + lines.back().device.id.to_string() + " stands in line " +
                         std::to_string(before->second) + " already");
  }
  if (lines.empty()) throw BadFile(name, 1, 1, "no device in it");
  return lines;
}

}  // namespace smets1kms::lifecycle
