// SPDX-License-Identifier: Apache-2.0
#include "sim_meter/fleet.hpp"

#include <charconv>
#include <set>
#include <utility>

#include "common/device_id.hpp"
#include "common/files.hpp"

namespace sim_meter {

using support::InputError;

namespace {

constexpr std::string_view clear_header = "device_id,kek";
constexpr std::string_view header_with_keys =
    "device_id,kek,system_title,security_suite,guek,gak,gbek";

FirstKeys first_keys_of(const std::filesystem::path& file, std::size_t line,
                        const std::vector<std::string>& fields) {
  const std::optional<support::Bytes> title = support::bytes_of_hex(fields[2]);
  if (!title || title->size() != 8)
    throw InputError(file, line, "the system title is not 8 bytes of hex");
  const std::string& suite = fields[3];
  if (suite != "0" && suite != "1" && suite != "2")
    throw InputError(file, line, "the security suite is not 0, 1 or 2");
  const auto key_of = [&](std::size_t field, const char* name) {
    std::optional<support::Secret> key = support::aes_key_of_hex(fields[field]);
    const std::size_t length = suite == "2" ? 32 : 16;
    if (!key || key->size() != length)
      throw InputError(file, line,
                       std::string("the ") + name + " is not " + std::to_string(length) +
                           " bytes of hex, as security suite " + suite + " has it");
    return std::move(*key);
  };
  FirstKeys keys{*title, static_cast<std::uint8_t>(suite[0] - '0'), key_of(4, "GUEK"),
                 key_of(5, "GAK"), std::nullopt};
  if (!fields[6].empty()) keys.gbek = key_of(6, "GBEK");
  return keys;
}

}  // namespace

Fleet::Fleet(std::vector<Meter> meters) : meters_(std::move(meters)) {
  for (std::size_t i = 0; i < meters_.size(); ++i) index_[meters_[i].device_id] = i;
}

void Fleet::install(const std::filesystem::path& meters_csv) {
  const std::vector<support::Line> lines = support::read_lines(meters_csv);
  const std::string header = lines.empty() ? "" : lines.front().text;
  if (header != clear_header && header != header_with_keys) {
    throw InputError(meters_csv, 1,
                     "the first line must be the header " + std::string(clear_header) +
                         ", or with first keys " + std::string(header_with_keys));
  }
  const std::size_t columns = support::split(header, ',').size();
  std::set<std::string> seen;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto& [number, text] = lines[i];
    const std::vector<std::string> fields = support::split(text, ',');
    if (fields.size() != columns)
      throw InputError(meters_csv, number,
                       "expected " + std::to_string(columns) + " fields, " + header);
    const std::optional<std::string> device_id = support::canonical_device_id(fields[0]);
    if (!device_id)
      throw InputError(meters_csv, number, "'" + fields[0] + "' is no device id (16 hex digits)");
    std::optional<support::Secret> kek = support::aes_key_of_hex(fields[1]);
    if (!kek) throw InputError(meters_csv, number, "the KEK is not 16 or 32 bytes of hex");
    if (!seen.insert(*device_id).second)
      throw InputError(meters_csv, number, *device_id + " is listed twice");
    std::optional<FirstKeys> first_keys;
    if (header == header_with_keys) first_keys = first_keys_of(meters_csv, number, fields);
    if (const Meter* known = find(*device_id)) {
      if (known->installed_kek != fingerprint(kek->reveal())) {
        throw InputError(
            meters_csv, number,
            *device_id + " is in the state file with another factory KEK: is it another fleet's?");
      }
      continue;
    }
    index_[*device_id] = meters_.size();
    meters_.push_back(Meter::install(*device_id, std::move(*kek), std::move(first_keys)));
  }
}

void Fleet::cipher(support::ByteView client_title) {
  for (Meter& meter : meters_) meter.cipher(client_title);
}

support::Bytes Fleet::client_title() const {
  return meters_.empty() ? support::Bytes{} : meters_.front().client_title;
}

Meter* Fleet::find(std::string_view device_id) {
  const std::optional<std::string> canonical = support::canonical_device_id(device_id);
  if (!canonical) return nullptr;
  const auto found = index_.find(*canonical);
  return found == index_.end() ? nullptr : &meters_[found->second];
}

std::vector<Meter*> Fleet::select(std::string_view selector) {
  std::size_t step = 0;
  if (selector == "all") {
    step = 1;
  } else if (selector.starts_with('#')) {
    const char* end = selector.data() + selector.size();
    const auto [stop, error] = std::from_chars(selector.data() + 1, end, step);
    if (error != std::errc{} || stop != end || step == 0) {
      throw support::UsageError("'" + std::string(selector) + "': expected #N with N from 1");
    }
  } else {
    Meter* meter = find(selector);
    if (meter == nullptr)
      throw support::UsageError("no meter '" + std::string(selector) + "' in this fleet");
    return {meter};
  }
  std::vector<Meter*> selected;
  for (std::size_t i = step - 1; i < meters_.size(); i += step) selected.push_back(&meters_[i]);
  if (selected.empty())
    throw support::UsageError("'" + std::string(selector) + "' names no meter of this fleet");
  return selected;
}

}  // namespace sim_meter
