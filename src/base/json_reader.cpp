// SPDX-License-Identifier: Apache-2.0
#include "base/json_reader.hpp"

#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "smets1kms/errors.hpp"

namespace smets1kms {
namespace {

/// Input of the parser that knows how far it was read.
struct Place {
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;
  const char* at;
  const char** furthest;
  reference operator*() const { return *at; }
  Place& operator++() {
    *furthest = ++at;
    return *this;
  }
  bool operator==(const Place& other) const { return at == other.at; }
};

}  // namespace

JsonObject::JsonObject(std::string_view text, std::string file, std::size_t line)
    : file_(std::move(file)), line_(line) {
  using nlohmann::json;
  const char* read = text.data();
  const auto column = [&] { return static_cast<std::size_t>(read - text.data()); };
  std::vector<std::set<std::string>> names;
  const auto check = [&](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) names.emplace_back();
    if (event == json::parse_event_t::object_end) names.pop_back();
    if (event == json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second)
      refuse("the member \"" + value.get<std::string>() + "\" stands here twice", column());
    return true;
  };
  json object;
  try {
    object = json::parse(Place{text.data(), &read}, Place{text.data() + text.size(), &read}, check);
  } catch (const json::out_of_range&) {
    refuse("a number that is out of range", column());
  } catch (const json::exception&) {
    refuse("not a JSON object on one line", column());
  }
  if (!object.is_object()) refuse("not a JSON object on one line");
  for (const auto& [name, value] : object.items()) {
    auto& member = members_[name];
    if (value.is_null()) member = nullptr;
    if (value.is_string()) member = value.get<std::string>();
    if (value.is_number_integer() &&
        !(value.is_number_unsigned() &&
          value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()))
      member = value.get<std::int64_t>();
  }
}

void JsonObject::refuse(const std::string& what, std::size_t column) const {
  throw BadFile(file_, line_, std::max<std::size_t>(column, 1), what);
}

bool JsonObject::is_null(const std::string& name) const {
  const auto found = members_.find(name);
  return found != members_.end() && std::holds_alternative<std::nullptr_t>(found->second);
}

const std::string& JsonObject::text(const std::string& name) const {
  const auto found = members_.find(name);
  if (found == members_.end() || !std::holds_alternative<std::string>(found->second))
    refuse("the member \"" + name + "\" is missing, or not a string");
  return std::get<std::string>(found->second);
}

std::int64_t JsonObject::integer(const std::string& name, std::int64_t least,
                                 std::int64_t most) const {
  const auto found = members_.find(name);
  const auto* value = found == members_.end() ? nullptr : std::get_if<std::int64_t>(&found->second);
  if (value == nullptr || *value < least || *value > most)
    refuse("the member \"" + name + "\" is not an integer from " + std::to_string(least) + " to " +
           std::to_string(most));
  return *value;
}

}  // namespace smets1kms
