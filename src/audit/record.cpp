// SPDX-License-Identifier: Apache-2.0
#include "audit/record.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "audit/text.hpp"

namespace smets1kms::audit {
namespace {

constexpr auto names = [] {
  std::string_view rest =
      "at attributes authorised_by boot_id certificate_sha256 ckr clock detail device device_prev "
      "device_seq edition event_id generation handovers host justification kek_id key_id kind "
      "mechanism model mono_ns mono_us notify op op_id phase predecessor protection "
      "public_key_sha256 reason reference requested_by result role roles rule salt sealed_sha256 "
      "software state_from state_to suite supports target time token transfer v wrapped_len "
      "wrapped_sha256";
  std::array<std::string_view, field_count> all;
  for (auto& name : all) {
    name = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
  }
  return all;
}();
static_assert(names.back() == "wrapped_sha256", "a name for each field");
static_assert(std::is_sorted(names.begin(), names.end()),
              "RFC 8785 section 3.2.3: members are sorted");

constexpr std::uint64_t largest_integer =
    (std::uint64_t{1} << 53) - 1;  // RFC 8785 section 3.2.2.3: exact in a double

bool is_number(Field field) {
  using enum Field;
  return field == device_seq || field == generation || field == mono_ns || field == mono_us ||
         field == transfer || field == v || field == wrapped_len;
}

constexpr std::array<bool, 256> plain = [] {
  std::array<bool, 256> table{};
  for (int c = 0x20; c <= 0x7E; ++c) table[static_cast<std::size_t>(c)] = c != '"' && c != '\\';
  return table;
}();
bool is_plain(char c) { return plain[static_cast<unsigned char>(c)]; }

/// Returns where the plain characters from `at` on end. Looks at eight together while they are
/// plain.
std::size_t end_of_plain(std::string_view bytes, std::size_t at) {
  constexpr std::uint64_t each = 0x0101010101010101, high = 0x80 * each;
  for (; at + sizeof(std::uint64_t) <= bytes.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, bytes.data() + at, sizeof eight);
    const auto has_less = [&](std::uint64_t word, std::uint64_t than) {
      return (word - than * each) & ~word;
    };
    const auto others = has_less(eight, 0x20) | has_less(eight ^ '"' * each, 1) |
                        has_less(eight ^ '\\' * each, 1) | (eight + each) | eight;  // 0x7F and up
    if ((others & high) != 0) break;
  }
  while (at < bytes.size() && is_plain(bytes[at])) ++at;
  return at;
}

/// Texts of the fields' names as they stand in a record: `"name":`.
const std::array<std::string, field_count> openings = [] {
  std::array<std::string, field_count> all;
  for (std::size_t i = 0; i < field_count; ++i) all[i] = '"' + std::string(names[i]) + "\":";
  return all;
}();

/// Reader of the strict form, which refuses every deviation where it stands.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  [[noreturn]] void refuse(const char* what) const {
    throw std::invalid_argument("byte " + std::to_string(at_) + ": " + what);
  }
  [[nodiscard]] bool done() const { return at_ == bytes_.size(); }
  [[nodiscard]] char peek() const { return done() ? '\0' : bytes_[at_]; }
  void need(char c, const char* what) {
    if (peek() != c || done()) refuse(what);
    ++at_;
  }
  /// Takes `text` if it comes next; false otherwise.
  bool take(std::string_view text) {
    const auto rest = bytes_.substr(at_);
    if (rest.size() < 2 || rest[1] != text[1] || !rest.starts_with(text))
      return false;  // most differ in the first letter of the name
    at_ += text.size();
    return true;
  }
  std::string_view string() {
    need('"', "a string is expected");
    const std::size_t start = at_;
    at_ = end_of_plain(bytes_, at_);
    const auto text = bytes_.substr(start, at_ - start);
    need('"', "a character outside the encoding, or no end of the string");
    return text;
  }
  /// Reads the digits of an integer from 0 to 2^53-1.
  std::string_view number() {
    const std::size_t start = at_;
    std::uint64_t value = 0;
    for (; !done() && peek() >= '0' && peek() <= '9'; ++at_) {
      value = value * 10 + static_cast<std::uint64_t>(peek() - '0');
      if (value > largest_integer) refuse("an integer above 2^53-1");
    }
    if (at_ == start) refuse("a string or an integer is expected");
    if (at_ - start > 1 && bytes_[start] == '0') refuse("an integer with a leading zero");
    return bytes_.substr(start, at_ - start);
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

}  // namespace

std::string_view field_name(Field field) { return names[static_cast<std::size_t>(field)]; }

Record& Record::set(Field field, std::string_view text) {
  if (is_number(field))
    throw std::invalid_argument(std::string(field_name(field)) + " is an integer");
  if (!std::ranges::all_of(text, is_plain))
    throw std::invalid_argument(std::string(field_name(field)) +
                                " has a character outside the encoding");
  values_[static_cast<std::size_t>(field)] = std::string(text);
  return *this;
}

Record& Record::set(Field field, std::uint64_t number) {
  if (!is_number(field))
    throw std::invalid_argument(std::string(field_name(field)) + " is a string");
  if (number > largest_integer)
    throw std::invalid_argument(std::string(field_name(field)) + " is above 2^53-1");
  values_[static_cast<std::size_t>(field)] = number;
  return *this;
}

std::string_view Record::text(Field field) const {
  const auto& value = get(field);
  return value && std::holds_alternative<std::string>(*value)
             ? std::string_view(std::get<std::string>(*value))
             : std::string_view();
}

std::optional<std::uint64_t> Record::number(Field field) const {
  const auto& value = get(field);
  if (!value || !std::holds_alternative<std::uint64_t>(*value)) return std::nullopt;
  return std::get<std::uint64_t>(*value);
}

std::string Record::encode() const {
  std::string bytes;
  bytes.reserve(1024);
  for (std::size_t i = 0; i < field_count; ++i) {
    if (!values_[i]) continue;
    bytes += bytes.empty() ? '{' : ',';
    bytes += openings[i];
    const auto* text = std::get_if<std::string>(&*values_[i]);
    bytes +=
        text != nullptr ? '"' + *text + '"' : std::to_string(std::get<std::uint64_t>(*values_[i]));
  }
  bytes += bytes.empty() ? "{}" : "}";
  if (bytes.size() > max_record_length)
    throw std::invalid_argument("a record of " + std::to_string(bytes.size()) +
                                " bytes is longer than 4096");
  return bytes;
}

namespace {

/// Throws with the reason why a member may not stand here.
[[noreturn]] void refuse_name(Reader& in) {
  const auto name = in.string();
  if (std::ranges::find(names, name) == names.end()) in.refuse("a field that is not on the list");
  in.need(':', "a colon is expected");
  in.refuse("members out of order, or one twice");
}

}  // namespace

RecordView RecordView::parse(std::string_view bytes) {
  Reader in(bytes);
  if (bytes.size() > max_record_length) in.refuse("longer than 4096 bytes");
  RecordView record;
  in.need('{', "an object is expected");
  std::size_t next = 0;  // both are sorted: what was passed can't come again
  for (bool first = true; in.peek() != '}'; first = false) {
    if (!first) in.need(',', "a comma or the end of the object is expected");
    while (next < field_count && !in.take(openings[next])) ++next;
    if (next == field_count) refuse_name(in);
    record.slices_[next] = is_number(static_cast<Field>(next)) ? in.number() : in.string();
    ++next;
  }
  in.need('}', "the end of the object is expected");
  if (!in.done()) in.refuse("bytes behind the object");
  return record;
}

std::optional<std::uint64_t> RecordView::number(Field field) const {
  return is_number(field) ? parse_number(text(field)) : std::nullopt;
}

Record Record::decode(std::string_view bytes) {
  const auto view = RecordView::parse(bytes);
  Record record;
  for (std::size_t i = 0; i < field_count; ++i) {
    const auto field = static_cast<Field>(i);
    if (const auto number = view.number(field))
      record.values_[i] = *number;
    else if (view.has(field))
      record.values_[i] = std::string(view.text(field));
  }
  return record;
}

std::string printable(std::string_view text, std::size_t limit) {
  text = text.substr(std::min(text.find_first_not_of(' '), text.size())).substr(0, limit);
  std::string plain(text.substr(0, text.find_last_not_of(' ') + 1));
  for (char& c : plain)
    if (!is_plain(c)) c = '?';
  return plain;
}

}  // namespace smets1kms::audit
