#include "cli/selection.hpp"

#include <deque>
#include <memory>

namespace smets1kms::cli {
namespace {

Selection of_list(const std::vector<std::string>& texts) {
  auto ids = std::make_shared<std::deque<DeviceId>>();
  for (const auto& text : texts) ids->push_back(DeviceId::parse(text));
  return {.next = [ids]() -> std::optional<DeviceId> {
            if (ids->empty()) return std::nullopt;
            const auto id = ids->front();
            ids->pop_front();
            return id;
          },
          .total = ids->size()};
}

/// A page at a time: a reader that stays in the registry would keep the writer's log from being folded into it.
Selection of_fleet(const Fleet& fleet) {
  struct Place {
    std::deque<Device> page;
    std::optional<DeviceId> last;
  };
  auto place = std::make_shared<Place>();
  const auto next = [place, &fleet]() -> std::optional<DeviceId> {
    for (;;) {
      if (place->page.empty()) {
        for (auto& device : fleet.devices_after(place->last, 1000)) place->page.push_back(std::move(device));
        if (place->page.empty()) return std::nullopt;
      }
      const Device device = std::move(place->page.front());
      place->page.pop_front();
      place->last = device.id;
      if (device.status == DeviceStatus::commissioned) return device.id;
    }
  };
  const auto total = fleet.device_count(DeviceStatus::commissioned);
  if (total == 0) throw BadInput("there is no commissioned device in the registry; 'enrol' or 'device import' brings devices");
  return {.next = next, .total = total};
}

/// One id a line; empty lines and what follows '#' are passed over.
std::optional<DeviceId> next_line(std::ifstream& in, const std::string& file, std::size_t& line) {
  for (std::string text; std::getline(in, text);) {
    ++line;
    text.erase(std::min(text.find('#'), text.size()));
    const auto first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
    if (first == std::string::npos) continue;
    try {
      return DeviceId::parse(text.substr(first, last - first + 1));
    } catch (const BadInput& error) {
      throw BadFile(file, line, first + 1, error.what());
    }
  }
  return std::nullopt;
}

Selection of_file(const std::string& file) {
  const auto open = [&file] {
    auto in = std::make_shared<std::ifstream>(file);
    if (!*in) throw BadInput(file + ": can't be read; it is a list of devices, an EUI-64 a line");
    return in;
  };
  std::size_t total = 0;  // a bad line is found before anything is begun
  const auto in = open();
  for (std::size_t line = 0; next_line(*in, file, line);) ++total;
  if (total == 0) throw BadInput(file + ": names no device");
  return {.next = [again = open(), file, line = std::size_t{0}]() mutable { return next_line(*again, file, line); }, .total = total};
}

}  // namespace

void add_selection(options::options_description& own) {
  own.add_options()("device", options::value<std::vector<std::string>>(), "EUI-64; may be repeated")("all", "every commissioned device")(
      "file", options::value<std::string>(), "a list of devices: an EUI-64 a line, '#' begins a remark");
}

Selection selection(const options::variables_map& values, const Fleet& fleet) {
  if (values.count("device") + values.count("all") + values.count("file") != 1)
    throw Usage("which devices? --device EUI-64 (more than once for several), --file LIST or --all: one of them");
  if (values.count("device") != 0) return of_list(values["device"].as<std::vector<std::string>>());
  return values.count("all") != 0 ? of_fleet(fleet) : of_file(values["file"].as<std::string>());
}

}  // namespace smets1kms::cli
