// SPDX-License-Identifier: Apache-2.0
/// @file
/// The outputs of the commands. One table of fields (name, description, how to read it; the type
/// follows from that) writes an output's JSON object, its row for people and its JSON Schema.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "smets1kms/types.hpp"

namespace smets1kms::output {

/// A value of an output.
struct Value {
  using List = std::vector<Value>;
  using Object = std::vector<std::pair<std::string, Value>>;
  /// A list that is written as it is read: calls its argument with each item.
  using Stream = std::function<void(const std::function<void(const Value&)>&)>;
  /// JSON from elsewhere, written as it is; written as a string where it is not JSON.
  struct Json {
    std::string text;
  };
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, std::string, List, Object, Stream,
               Json>
      is;
};

struct FieldInfo;
/// The type of a field, as its schema shows it.
struct Type {
  enum class Kind : std::uint8_t { text, time, integer, natural, flag, list, map, object, json };
  Kind kind = Kind::text;
  bool is_optional = false;          ///< left out where there is nothing to say
  std::vector<Type> of{};            ///< one: of a list's items, or of a map's values
  std::vector<FieldInfo> members{};  ///< for an object
};
struct FieldInfo {
  std::string name;  ///< in the JSON object; empty: shown to people only
  std::string description;
  Type type;
  std::string heading;  ///< of its column; empty: not shown to people
};

/// An output without its values.
struct Shape {
  std::string name;  ///< "smets1-kms-status-1", with the version; empty: part of others only
  std::string description;
  std::vector<FieldInfo> fields{};
};

/// Returns the JSON Schema (2020-12) of an output.
[[nodiscard]] std::string schema_of(const Shape& shape);
/// Writes JSON on one line, in ASCII: valid whatever the strings hold. Bytes that are not UTF-8
/// become U+FFFD.
void write_json(std::ostream& out, const Value& value);
/// Returns a value as people read it: "-" for none, "yes", items joined by ", ".
[[nodiscard]] std::string text_of(const Value& value);

/// Conversion of a C++ type: its JSON type and its value.
template <class V>
struct ValueOf {
  static Type type() {
    using Kind = Type::Kind;
    return {.kind = std::is_same_v<V, bool>          ? Kind::flag
                    : std::is_same_v<V, Time>        ? Kind::time
                    : std::is_same_v<V, Value::Json> ? Kind::json
                    : std::is_unsigned_v<V>          ? Kind::natural
                    : std::is_integral_v<V>          ? Kind::integer
                                                     : Kind::text};
  }
  static Value value(const V& v) {
    if constexpr (std::is_same_v<V, bool> || std::is_same_v<V, Value::Json>)
      return {v};
    else if constexpr (std::is_unsigned_v<V>)
      return {std::uint64_t{v}};
    else if constexpr (std::is_integral_v<V>)
      return {std::int64_t{v}};
    else if constexpr (std::is_same_v<V, Time>)
      return {format_time(v)};
    else if constexpr (std::is_same_v<V, Bytes>)
      return {to_hex(v)};
    else if constexpr (std::is_enum_v<V>)
      return {std::string(to_string(v))};
    else if constexpr (requires { v.to_string(); })
      return {v.to_string()};
    else if constexpr (requires { v.string(); })
      return {v.string()};
    else
      return {std::string(v)};
  }
};
template <class V>
struct ValueOf<std::optional<V>> {
  static Type type() {
    auto type = ValueOf<V>::type();
    type.is_optional = true;
    return type;
  }
  static Value value(const std::optional<V>& v) { return v ? ValueOf<V>::value(*v) : Value{}; }
};
template <class L, class V = typename L::value_type>
concept VectorOrSet = !std::is_same_v<V, std::uint8_t> &&
                      (std::is_same_v<L, std::vector<V>> || std::is_same_v<L, std::set<V>>);
template <VectorOrSet L>
struct ValueOf<L> {
  using V = typename L::value_type;
  static Type type() { return {.kind = Type::Kind::list, .of = {ValueOf<V>::type()}}; }
  static Value value(const L& v) {
    Value::List list;
    for (const V& each : v) list.push_back(ValueOf<V>::value(each));
    return {std::move(list)};
  }
};
template <class K, class V, class Less>
struct ValueOf<std::map<K, V, Less>> {
  static Type type() { return {.kind = Type::Kind::map, .of = {ValueOf<V>::type()}}; }
  static Value value(const std::map<K, V, Less>& v) {
    Value::Object object;
    for (const auto& [key, each] : v)
      object.emplace_back(text_of(ValueOf<K>::value(key)), ValueOf<V>::value(each));
    return {std::move(object)};
  }
};

/// Returns nullopt, which leaves the field out, for an empty text.
[[nodiscard]] inline std::optional<std::string> unless_empty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

/// A field of the outputs about a T.
template <class T>
struct Field : FieldInfo {
  std::function<Value(const T&)> value;
  std::function<std::string(const T&)> cell;  ///< for people; empty: the value's text

  Field(FieldInfo info, std::function<Value(const T&)> read)
      : FieldInfo(std::move(info)), value(std::move(read)) {}
  /// Makes a field. `get` is a pointer to a member or a function of a T. An empty optional is left
  /// out.
  template <class Get>
  Field(const char* its_name, const char* its_description, Get get, const char* its_heading = "",
        std::function<std::string(const T&)> shown = {})
      : FieldInfo{its_name, its_description, ValueOf<Read<Get>>::type(), its_heading},
        value([get](const T& of) { return ValueOf<Read<Get>>::value(std::invoke(get, of)); }),
        cell(std::move(shown)) {}

 private:
  template <class Get>
  using Read = std::remove_cvref_t<std::invoke_result_t<Get, const T&>>;
};

template <class T>
class Fields;

/// Items of a list that may be as long as the fleet: each is read while the list is written.
template <class U>
using Each = std::function<void(const std::function<void(const U&)>& give)>;

/// Conversion of an R that is a U, or made of Us: an optional one, a list, a map from texts, an
/// Each.
template <class U, class R>
struct NestedValue {
  static constexpr bool is_one = std::is_convertible_v<const R&, const U&>;
  static constexpr bool is_optional = requires(const R& r) { r.has_value(); };
  static constexpr bool is_map = requires { typename R::mapped_type; };

  static Type type(const Fields<U>& fields) {
    Type type{.kind = Type::Kind::object, .members = fields.fields};
    if constexpr (is_optional) {
      type = NestedValue<U, typename R::value_type>::type(fields);
      type.is_optional = true;
    } else if constexpr (!is_one) {
      type = {.kind = is_map ? Type::Kind::map : Type::Kind::list, .of = {type}};
    }
    return type;
  }
  static Value value(const Fields<U>& fields, const R& r) {
    if constexpr (is_one) {
      return fields.object(r, true);
    } else if constexpr (is_optional) {
      return r ? NestedValue<U, typename R::value_type>::value(fields, *r) : Value{};
    } else if constexpr (std::is_same_v<R, Each<U>>) {
      return {Value::Stream([&fields, r](const std::function<void(const Value&)>& give) {
        r([&](const U& each) { give(fields.object(each, true)); });
      })};
    } else if constexpr (is_map) {
      Value::Object map;
      for (const auto& [key, each] : r) map.emplace_back(key, fields.object(each, true));
      return {std::move(map)};
    } else {
      Value::List list;
      for (const auto& each : r) list.push_back(fields.object(each, true));
      return {std::move(list)};
    }
  }
};

/// A field made of objects with a table of their own, which outlives it. `get` returns what
/// NestedValue accepts.
template <class U, class Get>
struct Nested {
  const char *name, *description;
  const Fields<U>& fields;
  Get get;
  const char* heading;
};
template <class U, class Get>
Nested<U, Get> nested(const char* name, const char* description, const Fields<U>& fields, Get get,
                      const char* heading = "") {
  return {name, description, fields, get, heading};
}

/// Fields of a U, which `get` returns, as fields of the object that has it.
template <class U, class Get>
struct Spread {
  const Fields<U>& fields;
  Get get;
};
template <class U, class Get>
Spread<U, Get> spread(const Fields<U>& fields, Get get) {
  return {fields, get};
}

/// The table of the fields of one output.
template <class T>
class Fields : public Shape {
 public:
  /// A field, a nested one, or those of another table.
  struct Part : std::vector<Field<T>> {
    template <class... Arguments>
    requires std::is_constructible_v<Field<T>, Arguments...> Part(
        Arguments&&... arguments) {  // NOLINT: so that a table is a list of fields
      this->emplace_back(std::forward<Arguments>(arguments)...);
    }
    template <class U, class Get>
    Part(Nested<U, Get> part) {  // NOLINT
      using R = NestedValue<U, std::remove_cvref_t<std::invoke_result_t<Get, const T&>>>;
      this->emplace_back(
          FieldInfo{part.name, part.description, R::type(part.fields), part.heading},
          [part](const T& of) { return R::value(part.fields, std::invoke(part.get, of)); });
    }
    template <class U, class Get>
    Part(Spread<U, Get> part) {  // NOLINT
      for (const auto& field : part.fields.readers()) {
        this->emplace_back(field, [&field, get = part.get](const T& of) {
          return field.value(std::invoke(get, of));
        });
        if (field.cell)
          this->back().cell = [&field, get = part.get](const T& of) {
            return field.cell(std::invoke(get, of));
          };
      }
    }
  };
  Fields(const char* its_name, const char* its_description, std::vector<Part> parts)
      : Shape{its_name, its_description} {
    for (auto& part : parts)
      for (auto& field : part) {
        fields.push_back(field);
        readers_.push_back(std::move(field));
      }
  }
  /// Makes the table of an object that is part of other outputs only.
  explicit Fields(std::vector<Part> parts) : Fields("", "", std::move(parts)) {}
  Fields(const Fields&) = delete;
  /// Returns the members in the table's order; an output by itself has `schema` in front.
  [[nodiscard]] Value object(const T& of, bool is_nested = false) const {
    Value::Object members;
    if (!is_nested) members.emplace_back("schema", Value{name});
    for (const auto& field : readers_) {
      if (field.name.empty()) continue;
      auto value = field.value(of);
      if (value.is.index() != 0) members.emplace_back(field.name, std::move(value));
    }
    return {std::move(members)};
  }
  [[nodiscard]] std::vector<std::string> headings() const {
    std::vector<std::string> all;
    for (const auto& field : fields)
      if (!field.heading.empty()) all.push_back(field.heading);
    return all;
  }
  [[nodiscard]] std::vector<std::string> cells(const T& of) const {
    std::vector<std::string> all;
    for (const auto& field : readers_)
      if (!field.heading.empty())
        all.push_back(field.cell ? field.cell(of) : text_of(field.value(of)));
    return all;
  }
  [[nodiscard]] const std::vector<Field<T>>& readers() const { return readers_; }

 private:
  std::vector<Field<T>> readers_;
};

/// Writes an output as a line of JSON.
template <class T>
void write_line(std::ostream& out, const Fields<T>& fields, const T& of) {
  write_json(out, fields.object(of));
  out << '\n';
}
/// Returns an output as a line of JSON.
template <class T>
std::string line_of(const Fields<T>& fields, const T& of) {
  std::ostringstream out;
  write_line(out, fields, of);
  return out.str();
}

}  // namespace smets1kms::output
