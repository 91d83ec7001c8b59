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
                   const std::function<void(std::string_view line, std::size_t number)>& visit) {
  TextReader reader(file == "-" ? "/dev/stdin" : file);
  while (const auto line = reader.next()) visit(*line, reader.number());
}

/// Takes the members of an object while it is parsed.
class JsonMembers : public nlohmann::json_sax<Json> {
 public:
  JsonMembers(JsonObject& object, std::istringstream& in, std::string_view text)
      : object_(object), in_(in), text_(text) {}

  bool null() override { return take({JsonObject::Kind::null, "null"}); }
  bool boolean(bool value) override {
    return take({JsonObject::Kind::other, value ? "true" : "false"});
  }
  bool number_integer(number_integer_t value) override {
    return take({JsonObject::Kind::number, std::to_string(value)});
  }
  bool number_unsigned(number_unsigned_t value) override {
    return take({JsonObject::Kind::number, std::to_string(value)});
  }
  bool number_float(number_float_t, const string_t& text) override {
    return take({JsonObject::Kind::number, text});
  }
  bool string(string_t& text) override { return take({JsonObject::Kind::text, text}); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return begin("{…}"); }
  bool start_array(std::size_t) override { return begin("[…]"); }
  bool key(string_t& name) override {
    // The parser has just read the quotation mark behind the name.
    column_ = text_.rfind('"', position() - 2) + 1;
    if (!names_.back().insert(name).second)
      throw BadFile(object_.file_, object_.line_, column_,
                    "the member \"" + name + "\" is there a second time");
    if (names_.size() == 1) name_ = name;
    return true;
  }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool parse_error(std::size_t position, const std::string& token,
                   const Json::exception& error) override {
    constexpr int number_out_of_range = 406;
    throw BadFile(object_.file_, object_.line_, std::max<std::size_t>(position, 1),
                  error.id == number_out_of_range ? "the number " + token + " is out of range"
                                                  : "not a JSON object on one line");
  }

 private:
  [[nodiscard]] std::size_t position() const {
    return static_cast<std::size_t>(in_.rdbuf()->pubseekoff(0, std::ios::cur, std::ios::in));
  }
  bool take(JsonObject::Member member) {
    if (names_.empty())
      throw BadFile(object_.file_, object_.line_, 1, "not a JSON object on one line");
    member.column = column_;
    if (names_.size() == 1) object_.members_[name_] = std::move(member);
    return true;
  }
  bool begin(const char* shown) {
    if (!names_.empty() || *shown == '[') take({JsonObject::Kind::other, shown});
    names_.emplace_back();
    return true;
  }
  bool end() {
    names_.pop_back();
    return true;
  }
  JsonObject& object_;
  std::istringstream& in_;
  std::string_view text_;
  std::size_t column_ = 1;
  std::string name_;
  std::vector<std::set<std::string>> names_;  ///< of each object that is open
};

JsonObject::JsonObject(std::string_view text, std::string file, std::size_t line)
    : file_(std::move(file)), line_(line) {
  std::istringstream in{std::string(text)};
  JsonMembers members(*this, in, text);
  (void)Json::sax_parse(in, &members);
}

void JsonObject::refuse(const std::string& member, const std::string& why) const {
  const auto found = members_.find(member);
  throw BadFile(file_, line_, found == members_.end() ? 1 : found->second.column,
                "the member \"" + member + "\" " + why);
}

bool JsonObject::is_null(const std::string& name) const {
  const auto found = members_.find(name);
  return found != members_.end() && found->second.kind == Kind::null;
}

const std::string& JsonObject::text(const std::string& name) const {
  const auto found = members_.find(name);
  if (found == members_.end() || found->second.kind != Kind::text)
    refuse(name, "is missing, or not a string");
  return found->second.text;
}

std::uint64_t JsonObject::number(const std::string& name, std::uint64_t least,
                                 std::uint64_t most) const {
  const auto found = members_.find(name);
  if (found == members_.end() || found->second.kind != Kind::number)
    refuse(name, "is missing, or not a number");
  try {
    return parse_number(found->second.text, least, most);
  } catch (const BadInput& error) {
    refuse(name, error.what());
  }
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
