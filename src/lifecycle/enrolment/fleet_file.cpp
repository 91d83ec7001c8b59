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

constexpr std::array<std::string_view, 10> header{
    "device_id",       "kind",        "model",         "system_title", "security_suite", "supports",
    "commissioned_at", "kek_wrapped", "kek_transport", "no_kek_reason"};
enum Column : std::size_t {
  device_id,
  kind,
  model,
  system_title,
  security_suite,
  supports,
  commissioned_at,
  kek_wrapped,
  kek_transport,
  no_kek_reason  ///< the only column that a file may leave out
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
  void need_cells(std::size_t count) const {
    if (const auto quote = std::ranges::find_if(
            cells_, [](const Cell& cell) { return cell.text.find('"') != std::string_view::npos; });
        quote != cells_.end())
      refuse(
          quote->column,
          "a quote: the fields of this file have no commas in them and are written without quotes");
    const auto have = std::to_string(cells_.size()), all = std::to_string(count);
    if (cells_.size() < count)
      refuse(length_ + 1,
             std::string(header[cells_.size()]) + " is missing: " + have + " fields of " + all);
    if (cells_.size() > count)
      refuse(cells_[count].column, "a field too many: " + have + " of " + all);
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

/// Reads a text that a record of the trail can hold as it is.
template <std::size_t most>
std::string parse_text(std::string_view text) {
  if (text.empty() || audit::printable(text, most) != text)
    throw BadInput("1 to " + std::to_string(most) +
                   " printable ASCII characters without quotes, backslashes or a blank at an end "
                   "are expected");
  return std::string(text);
}

Bytes parse_system_title(std::string_view text) {
  Bytes title = from_hex(text);
  if (title.size() != 8)
    throw BadInput("8 bytes (16 hex digits) are expected, not " + std::to_string(title.size()));
  return title;
}

/// Refuses a line unless it has either a KEK of its suite's length or the reason why there is none.
void check_kek(const Line& line, const FleetLine& read) {
  const auto wrapped = read.kek_wrapped.size(), expected = wrapped_length(read.device.suite);
  const bool has_reason = !read.device.no_kek_reason.empty();
  if (has_reason && wrapped != 0)
    line.refuse(line.cells()[no_kek_reason].column,
                "no_kek_reason: the line has a KEK, and a reason why it has none");
  if (!has_reason && wrapped != expected)
    line.refuse(read.kek_column, "kek_wrapped has " + std::to_string(wrapped) +
                                     " bytes; a KEK of security suite " +
                                     std::to_string(static_cast<int>(read.device.suite)) + " is " +
                                     std::to_string(expected) + " when wrapped" +
                                     (wrapped == 0 ? ", and a device without one needs a reason in "
                                                     "the column no_kek_reason"
                                                   : ""));
}

FleetLine read_line(const Line& line, const Config& config) {
  // The line is filled statement by statement: g++ 12 destroys members twice when an initializer of
  // an aggregate throws.
  const auto id = line.parsed(device_id, DeviceId::parse);
  const auto what = line.parsed(kind, parse_kind);
  auto model_name = line.parsed(model, parse_text<64>);
  auto title = line.parsed(system_title, parse_system_title);
  const auto suite = line.parsed(security_suite, parse_suite);
  auto roles = line.parsed(supports, parse_supports);
  std::optional<Time> since;  // empty: it is not in service yet
  if (!line.cells()[commissioned_at].text.empty()) since = line.parsed(commissioned_at, parse_time);
  auto wrapped = line.parsed(kek_wrapped, from_hex);
  std::string reason, transport;
  if (line.cells().size() > no_kek_reason && !line.cells()[no_kek_reason].text.empty())
    reason = line.parsed(no_kek_reason, parse_text<100>);
  if (!wrapped.empty() || !line.cells()[kek_transport].text.empty())
    transport = line.parsed(kek_transport, parse_text<64>);
  FleetLine result{
      .line = line.number(),
      .device = {.id = id,
                 .kind = what,
                 .model = std::move(model_name),
                 .system_title = std::move(title),
                 .suite = suite,
                 .supports = std::move(roles),
                 .commissioned_at = since,
                 .status = since ? DeviceStatus::commissioned : DeviceStatus::not_commissioned,
                 .no_kek_reason = std::move(reason)},
      .kek_wrapped = std::move(wrapped),
      .kek_transport = std::move(transport),
      .title_column = line.cells()[system_title].column,
      .kek_column = line.cells()[kek_wrapped].column,
      .since_column = line.cells()[commissioned_at].column};
  if (!config.models.contains(result.device.model))
    line.refuse(line.cells()[model].column,
                "model " + result.device.model +
                    " is not in the configuration: say under [models.\"" + result.device.model +
                    "\"] what its logical name is and when it begins to use a new key");
  check_kek(line, result);
  return result;
}

/// Lines by a value that no two of them may have.
template <class Value>
class Once {
 public:
  void add(const Line& line, const Value& value, std::size_t column, const std::string& what) {
    const auto [before, is_new] = lines_.emplace(value, line.number());
    if (!is_new)
      line.refuse(column, what + " stands in line " + std::to_string(before->second) + " already");
  }

 private:
  std::map<Value, std::size_t> lines_;
};

}  // namespace

std::string differing_facts(const Device& known, const Device& in_file) {
  const std::pair<const char*, bool> facts[] = {
      {"kind", known.kind == in_file.kind},
      {"model", known.model == in_file.model},
      {"system_title", known.system_title == in_file.system_title},
      {"security_suite", known.suite == in_file.suite},
      {"supports", known.supports == in_file.supports},
      {"commissioned_at",
       !in_file.commissioned_at || known.commissioned_at == in_file.commissioned_at}};
  std::string names;
  for (const auto& [name, same] : facts)
    if (!same) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

std::vector<FleetLine> read_fleet_file(const std::string& name, const std::string& content,
                                       const Config& config) {
  auto reader = TextReader::of_text(name, content);
  std::vector<FleetLine> lines;
  std::size_t columns = no_kek_reason;
  Once<DeviceId> devices;
  Once<Bytes> titles, keks;
  while (const auto text = reader.next()) {
    const auto number = reader.number();
    const Line line(name, number, *text);
    if (number == 1) {
      if (line.cells().size() > columns && line.cells()[columns].text == header[columns]) ++columns;
      for (std::size_t i = 0; i < columns; ++i)
        if (i >= line.cells().size() || line.cells()[i].text != header[i])
          line.refuse(i < line.cells().size() ? line.cells()[i].column : text->size() + 1,
                      "the header is not that of a fleet file: " + std::string(header[i]) +
                          " is expected here");
      line.need_cells(columns);
      continue;
    }
    if (text->empty()) line.refuse(1, "an empty line");
    line.need_cells(columns);
    const auto& read = lines.emplace_back(read_line(line, config));
    const auto& title = read.device.system_title;
    devices.add(line, read.device.id, 1, "device " + read.device.id.to_string());
    titles.add(line, title, read.title_column, "system_title " + to_hex(title));
    if (!read.kek_wrapped.empty())
      keks.add(line, read.kek_wrapped, read.kek_column, "this very kek_wrapped");
  }
  if (lines.empty()) throw BadFile(name, 1, 1, "no device in it");
  return lines;
}

}  // namespace smets1kms::lifecycle
