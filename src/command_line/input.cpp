// SPDX-License-Identifier: Apache-2.0
#include "command_line/input.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <vector>

#include "base/text_reader.hpp"
#include "command_line/options.hpp"

namespace smets1kms::command_line {

using Json = nlohmann::json;

void for_each_line(const std::string& file,
                   const std::function<void(std::string_view line, std::size_t number)>& visit,
                   FileKind kind) {
  TextReader reader(file == "-" ? "/dev/stdin" : file, "", {}, kind);
  while (const auto line = reader.next()) visit(*line, reader.number());
}

JsonObject::JsonObject(std::string_view text, std::string file, std::size_t line)
    : text_(text), file_(std::move(file)), line_(line) {
  std::istringstream in{text_};
  const auto refuse_here = [&](const std::string& why) {
    const auto read = in.rdbuf()->pubseekoff(0, std::ios::cur, std::ios::in);
    throw BadFile(file_, line_, std::max<std::size_t>(static_cast<std::size_t>(read), 1), why);
  };
  std::vector<std::set<std::string>> names;  // the members of each open object
  constexpr int deepest = 16;
  const auto check = [&](int depth, Json::parse_event_t event, const Json& value) {
    if (depth > deepest) refuse_here("nested more than 16 deep");
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second)
      refuse_here("the member \"" + value.get<std::string>() + "\" is there a second time");
    return true;
  };
  Json object;
  try {
    object = Json::parse(in, check);
  } catch (const Json::out_of_range&) {
    refuse_here("a number is out of range");
  } catch (const Json::exception&) {
    refuse_here("not a JSON object on one line");
  }
  if (!object.is_object()) refuse_here("not a JSON object on one line");
  for (const auto& [name, value] : object.items())
    members_[name] = {value.is_string()   ? Kind::text
                      : value.is_number() ? Kind::number
                      : value.is_null()   ? Kind::null
                                          : Kind::other,
                      value.is_string() ? value.get<std::string>() : value.dump()};
}

const JsonObject::Member* JsonObject::find(const std::string& name, Kind kind) const {
  const auto found = members_.find(name);
  return found == members_.end() || found->second.kind != kind ? nullptr : &found->second;
}

void JsonObject::refuse(const std::string& member, const std::string& why) const {
  const auto column = text_.find("\"" + member + "\"") + 1;  // 0: it is not there
  throw BadFile(file_, line_, std::max<std::size_t>(column, 1),
                "the member \"" + member + "\" " + why);
}

const std::string& JsonObject::text(const std::string& name) const {
  const auto* member = find(name, Kind::text);
  if (member == nullptr) refuse(name, "is missing, or not a string");
  return member->text;
}

std::uint64_t JsonObject::number(const std::string& name, std::uint64_t least,
                                 std::uint64_t most) const {
  const auto found = members_.find(name);
  if (found == members_.end()) refuse(name, "is missing");
  const auto& [kind, text] = found->second;
  if (kind == Kind::number) try {
      return parse_number(text, least, most);
    } catch (const BadInput&) {
    }
  refuse(name, "is " + (kind == Kind::text ? '"' + text + '"' : text) + ": a whole number from " +
                   std::to_string(least) + " to " + std::to_string(most) + " is expected");
}

std::string JsonObject::shown(const std::string& name) const {
  const auto found = members_.find(name);
  return found == members_.end() ? "-" : found->second.text;
}

void for_each_json_line(const std::string& file,
                        const std::function<void(const JsonObject& object)>& visit) {
  for_each_line(file, [&](std::string_view line, std::size_t number) {
    if (line.find_first_not_of(" \t") == std::string_view::npos) return;
    try {
      visit(JsonObject(line, file, number));
    } catch (const BadFile&) {
      throw;
    } catch (const BadInput& error) {
      throw BadFile(file, number, 1, error.what());
    }
  });
}

}  // namespace smets1kms::command_line
