// SPDX-License-Identifier: Apache-2.0
#include "base/fields.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

namespace smets1kms::output {
namespace {

using Json = nlohmann::ordered_json;
template <class... Each>
struct Overloaded : Each... {
  using Each::operator()...;
};

Json schema_of_fields(const std::vector<FieldInfo>& fields, const std::string& name);

Json schema_of_type(const Type& type) {
  using Kind = Type::Kind;
  switch (type.kind) {
    case Kind::text: return {{"type", "string"}};
    case Kind::time: return {{"type", "string"}, {"format", "date-time"}};
    case Kind::integer: return {{"type", "integer"}};
    case Kind::natural: return {{"type", "integer"}, {"minimum", 0}};
    case Kind::flag: return {{"type", "boolean"}};
    case Kind::list: return {{"type", "array"}, {"items", schema_of_type(type.of.at(0))}};
    case Kind::map:
      return {{"type", "object"}, {"additionalProperties", schema_of_type(type.of.at(0))}};
    case Kind::object: return schema_of_fields(type.members, "");
    case Kind::json: return {{"type", "object"}};
  }
  return {};
}

Json schema_of_fields(const std::vector<FieldInfo>& fields, const std::string& name) {
  Json properties = Json::object(), required = Json::array();
  if (!name.empty()) {
    properties["schema"] = {{"const", name}};
    required.push_back("schema");
  }
  for (const auto& field : fields) {
    if (field.name.empty()) continue;
    properties[field.name] = schema_of_type(field.type);
    if (!field.description.empty()) properties[field.name]["description"] = field.description;
    if (!field.type.is_optional) required.push_back(field.name);
  }
  return {{"type", "object"}, {"properties", properties}, {"required", required}};
}

/// Writes in ASCII. Every string of an output is written here, with U+FFFD for what is not UTF-8.
void write(std::ostream& out, const Json& json) {
  out << json.dump(-1, ' ', true, Json::error_handler_t::replace);
}
void write_string(std::ostream& out, const std::string& text) {
  const auto is_plain = [](char c) { return c >= ' ' && c < '\x7F' && c != '"' && c != '\\'; };
  if (std::ranges::all_of(text, is_plain))
    out << '"' << text << '"';
  else
    write(out, Json(text));
}

}  // namespace

std::string schema_of(const Shape& shape) {
  Json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
              {"$id", shape.name + ".json"},
              {"title", shape.name},
              {"description", shape.description}};
  schema.update(schema_of_fields(shape.fields, shape.name));
  return schema.dump(2) + "\n";
}

void write_json(std::ostream& out, const Value& value) {
  const auto list = [&out](const auto& visit) {
    const char* before = "[";
    visit([&](const Value& each) {
      out << std::exchange(before, ",");
      write_json(out, each);
    });
    out << (*before == '[' ? "[]" : "]");
  };
  std::visit(Overloaded{
                 [&](std::monostate) { out << "null"; },
                 [&](bool flag) { out << (flag ? "true" : "false"); },
                 [&](std::int64_t number) { out << number; },
                 [&](std::uint64_t number) { out << number; },
                 [&](const std::string& text) { write_string(out, text); },
                 [&](const Value::List& items) {
                   list([&](const auto& give) {
                     for (const auto& each : items) give(each);
                   });
                 },
                 [&](const Value::Object& members) {
                   const char* before = "{";
                   for (const auto& [name, each] : members) {
                     out << std::exchange(before, ",");
                     write_string(out, name);
                     out << ':';
                     write_json(out, each);
                   }
                   out << (members.empty() ? "{}" : "}");
                 },
                 [&](const Value::Stream& stream) { list(stream); },
                 [&](const Value::Json& json) {
                   const auto parsed = Json::parse(json.text, nullptr, false);
                   parsed.is_discarded() ? write_string(out, json.text) : write(out, parsed);
                 },
             },
             value.is);
}

std::string text_of(const Value& value) {
  return std::visit(Overloaded{
                        [](std::monostate) { return std::string("-"); },
                        [](bool flag) { return std::string(flag ? "yes" : "no"); },
                        [](const std::string& text) { return text; },
                        [](const Value::Json& json) { return json.text; },
                        [](const Value::List& items) {
                          std::string text;
                          for (const auto& each : items)
                            text += (text.empty() ? "" : ", ") + text_of(each);
                          return text.empty() ? "-" : text;
                        },
                        [](const Value::Object& members) {
                          std::string text;
                          for (const auto& [name, each] : members)
                            text += (text.empty() ? "" : ", ") + name + " " + text_of(each);
                          return text.empty() ? "-" : text;
                        },
                        [](const Value::Stream&) { return std::string("…"); },
                        [](auto number) { return std::to_string(number); },
                    },
                    value.is);
}

}  // namespace smets1kms::output
