// SPDX-License-Identifier: Apache-2.0
#include "audit/record_fields.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <stdexcept>
#include <vector>

#include "audit/text.hpp"

namespace smets1kms::audit {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }
constexpr bool is_word(char c) {
  return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '_' ||
         c == '-';
}
bool is_text(std::string_view text) {
  return !text.empty() && text.front() != ' ' && text.back() != ' ';
}
bool is_hex_of(std::string_view text, std::size_t digits) {
  return text.size() == digits && std::ranges::all_of(text, is_hex);
}

/// True if the text has '0' where a digit, 'x' where a lower-case hex digit stands in the shape,
/// and the shape's other characters.
bool has_shape(std::string_view text, std::string_view shape) {
  return std::ranges::equal(text, shape, [](char c, char form) {
    return form == '0' ? is_digit(c) : form == 'x' ? is_hex(c) : c == form;
  });
}

bool is_time(std::string_view text) {
  if (!has_shape(text, "0000-00-00T00:00:00.000Z")) return false;
  const auto number = [&](std::size_t at, std::size_t width) {
    return static_cast<unsigned>(*parse_padded(text.substr(at, width), width));
  };
  const std::chrono::year_month_day day{std::chrono::year(static_cast<int>(number(0, 4))),
                                        std::chrono::month(number(5, 2)),
                                        std::chrono::day(number(8, 2))};
  return day.ok() && number(11, 2) < 24 && number(14, 2) < 60 && number(17, 2) < 60;
}

bool is_one_of(std::string_view text, std::string_view words) {
  while (!words.empty())
    if (take_word(words) == text) return true;
  return false;
}

/// True for some of the words, in their order, with '+' between them.
bool are_some_of(std::string_view text, std::string_view words) {
  bool is_more = !text.empty();
  while (is_more) {
    is_more = text.find('+') != std::string_view::npos;
    const auto word = take_word(text, '+');
    do {
      if (words.empty()) return false;
    } while (take_word(words) != word);
  }
  return words.data() != nullptr;
}

bool fits_one(std::string_view pattern, std::string_view text) {
  for (; !pattern.empty(); pattern.remove_prefix(1)) {
    const char form = pattern.front();
    if (form == '*') return is_text(text);
    std::size_t length = 1;
    if (form == '@' || form == '&') {
      length = form == '@' ? 64 : 32;
      if (!is_hex_of(text.substr(0, length), length)) return false;
    } else if (form == '^') {
      length = 24;
      if (!is_time(text.substr(0, length))) return false;
    } else if (form == '#' || form == '%') {
      const auto end = std::ranges::find_if_not(text, form == '#' ? is_digit : is_word);
      length = static_cast<std::size_t>(end - text.begin());
      if (length == 0 || (form == '#' && !parse_number(text.substr(0, length)))) return false;
    } else if (text.empty() || text.front() != form) {
      return false;
    }
    text.remove_prefix(length);
  }
  return text.empty();
}

/// A form of texts, by the words that the manual has for it.
struct Grammar {
  std::string_view fields, words;
  bool (*fits)(std::string_view text, std::string_view words);
};
using Text = std::string_view;
constexpr Grammar grammars[] = {
    {"requested_by authorised_by reference", "1 to 64 of A-Z a-z 0-9 . _ : @ / -",
     [](Text text, Text) {
       return text.size() <= 64 && !text.empty() && std::ranges::all_of(text, [](char c) {
                return is_word(c) || c == ':' || c == '@' || c == '/';
              });
     }},
    {"op_id", "at most 64 of A-Z a-z 0-9 . _ : -",  // a refusal may come before an id is given
     [](Text text, Text) {
       return text.size() <= 64 &&
              std::ranges::all_of(text, [](char c) { return is_word(c) || c == ':'; });
     }},
    {"at time", "a time that exists, as 2026-11-22T18:00:00.000Z",
     [](Text text, Text) { return is_time(text); }},
    {"boot_id event_id", "a UUID in lower case",
     [](Text text, Text) { return has_shape(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"); }},
    {"certificate_sha256 device_prev public_key_sha256 sealed_sha256 wrapped_sha256",
     "64 lower-case hex digits", [](Text text, Text) { return is_hex_of(text, 64); }},
    {"key_id kek_id predecessor salt", "32 lower-case hex digits",
     [](Text text, Text) { return is_hex_of(text, 32); }},
    {"attributes", "words of a-z _ , by comma",
     [](Text text, Text) {
       return is_text(text) && std::ranges::all_of(text, [](char c) {
                return (c >= 'a' && c <= 'z') || c == '_' || c == ',';
              });
     }},
    {"mechanism", "a name of PKCS#11: CKM_...",
     [](Text text, Text) { return text.starts_with("CKM_") && is_text(text); }},
    {"ckr", "CKR_..., FUNCTION:CKR_... or the reason of a refusal, in lower case with -",
     [](Text text, Text) { return fits_pattern("%|%:CKR_%", text); }},
    {"clock", "synchronised unsynchronised injected", is_one_of},
    {"kind", "ESME GSME CHF GPF PPMID", is_one_of},
    {"notify", "SMKI PMA, SSC", [](Text text, Text words) { return text == words; }},
    {"phase", "intent outcome note", is_one_of},
    {"protection", "none-for-testing", [](Text text, Text words) { return text == words; }},
    {"reason", "post-commissioning periodic suspected-compromise recommissioning operational",
     is_one_of},
    {"role", "guek gbek gak kek", is_one_of},
    {"rule", "P1 P2 P3 P4 none", is_one_of},
    {"roles", "guek gbek gak", are_some_of},
    {"suite", "0 1 2", is_one_of},
    {"supports", "guek gbek gak kek",
     [](Text text, Text words) { return text == "none" || are_some_of(text, words); }},
    {"state_from state_to",
     "none pre-active active suspended deactivated compromised destroyed destroyed-compromised",
     is_one_of},
    {"device", "an EUI-64, as 00-DB-12-34-56-78-90-A0",
     [](Text text, Text) { return parse_device(text).has_value(); }},
    {"target", "NAME/GENERATION", [](Text text, Text) { return parse_target(text).has_value(); }},
    {"handovers", "NAME/GENERATION:HASH:SHA256, by comma",
     [](Text text, Text) { return parse_handovers(text).has_value(); }},
    {"detail edition host justification model op result software token",
     "a text with no blank at its ends", [](Text text, Text) { return is_text(text); }},
};

/// Contents of a field in the types whose operation and phase begin so.
struct ContentOf {
  std::string_view operation, phase;
  Field field;
  std::string_view patterns;
};
constexpr ContentOf contents_of[] = {
    {"", "", Field::software, "smets1-kms/*"},
    {"key.generate", "", Field::mechanism, "CKM_AES_KEY_GEN,CKM_AES_KEY_WRAP"},
    {"key.generate", "", Field::wrapped_len, "24|40"},
    {"key.import", "", Field::mechanism, "CKM_RSA_PKCS_OAEP,CKM_AES_KEY_WRAP"},
    {"key.enrol", "", Field::mechanism, "CKM_AES_KEY_WRAP"},
    {"key.compromise", "", Field::reason, "suspected-compromise"},
    {"token.compromise", "", Field::reason, "suspected-compromise"},
    {"target.compromise", "", Field::reason, "suspected-compromise"},
    {"import-key.generate", "", Field::mechanism, "CKM_RSA_PKCS_KEY_PAIR_GEN"},
    {"enrolment-key.generate", "", Field::mechanism, "CKM_AES_KEY_GEN"},
    {"storage-key.generate", "", Field::mechanism, "CKM_AES_KEY_GEN"},
    {"audit-key.generate", "", Field::mechanism, "CKM_EC_KEY_PAIR_GEN"},
    {"target.admit", "intent", Field::mechanism, "CKM_RSA_PKCS_OAEP"},
    {"target.admit", "outcome", Field::mechanism,
     "CKM_RSA_PKCS_OAEP,SHA-1|CKM_RSA_PKCS_OAEP,SHA-256"},
};
/// The rule that a key's record names, by its reason; none: a reason that no rule gives.
constexpr std::pair<std::string_view, std::string_view> rules_of_reasons[] = {
    {"post-commissioning", "P1"},
    {"recommissioning", "P1"},
    {"periodic", "P2"},
    {"suspected-compromise", "P3"}};

constexpr std::string_view
    every = "boot_id clock event_id host op op_id phase salt software time v",
    device_record = "device device_prev device_seq",
    made_key =
        "ckr kek_id mechanism attributes transfer wrapped_len "
        "wrapped_sha256",
    of_key = "device device_prev device_seq role generation key_id state_from state_to",
    identities = "requested_by authorised_by reference";

/// Fields that the types have whose operation, phase and result begin so; all lines that fit are
/// added up.
struct FieldsOf {
  std::string_view operation, phase, result, must, may = "";
};
constexpr FieldsOf fields_of[] = {
    {"", "", "", every, "mono_ns mono_us protection token"},
    {"key.", "", "", of_key, "rule edition kek_id predecessor transfer"},
    {"transfer.", "", "", of_key, "rule edition kek_id predecessor transfer"},
    {"transfer.release-again", "", "", "", identities},  // of its batch
    {"handover.", "", "", of_key, "kek_id predecessor transfer"},
    {"handover.", "", "", "target"},
    {"key.import", "intent", "", "mechanism wrapped_len wrapped_sha256"},
    {"key.import", "outcome", "", "ckr"},
    {"key.import", "outcome", "ok", "attributes", "sealed_sha256"},
    {"key.generate", "", "", "reason"},
    {"key.generate", "intent", "", "kek_id mechanism transfer", "justification"},
    {"key.generate", "outcome", "failed", "ckr"},
    {"key.generate", "outcome", "ok", made_key, "handovers sealed_sha256"},
    {"key.generate", "outcome", "withheld", made_key, "handovers sealed_sha256"},
    {"key.enrol", "", "", "mechanism"},
    {"key.enrol", "outcome", "ok", "attributes"},
    {"key.compromise", "", "", "notify reason"},
    {"key.compromise", "", "compromised-through-target", "target"},
    {"key.reseal", "", "", "sealed_sha256"},
    {"token.compromise", "note", "", "notify reason", "rule edition"},
    {"device.", "", "", device_record, "rule edition at"},
    {"device.register", "", "", "kind model suite supports"},
    {"device.commission", "", "", "at"},
    {"device.suspend", "", "", "at"},
    {"device.resume", "", "", "at"},
    {"device.decommission", "", "", "at"},
    {"device.recommission", "", "", "at"},
    {"operation.settle", "", "", "key_id state_from state_to", device_record},
    {"operation.settle", "", "", "", "role generation kek_id predecessor transfer"},
    {"import-key.", "", "", "key_id"},
    {"import-key.", "intent", "", "mechanism"},
    {"import-key.", "outcome", "", "ckr public_key_sha256"},
    {"enrolment-key.", "", "", "key_id"},
    {"enrolment-key.", "intent", "", "mechanism"},
    {"enrolment-key.", "outcome", "", "ckr"},
    {"storage-key.", "", "", "key_id"},
    {"storage-key.", "outcome", "", "ckr"},
    {"storage-key.generate", "intent", "", "mechanism"},
    {"audit-key.", "", "", "key_id"},
    {"audit-key.", "outcome", "", "ckr"},
    {"audit-key.generate", "intent", "", "mechanism"},
    {"audit-key.generate", "outcome", "", "public_key_sha256"},
    {"target.", "", "", "target"},
    {"target.admit", "", "", "key_id mechanism"},
    {"target.admit", "outcome", "", "attributes certificate_sha256 ckr public_key_sha256 roles"},
    {"target.compromise", "note", "", "notify reason"},
    {"target.destroy", "", "", "key_id"},
    {"token.orphan", "", "", "key_id"},
};

constexpr std::uint64_t bit(Field field) {
  return std::uint64_t{1} << static_cast<unsigned>(field);
}
static_assert(field_count <= 64);

std::uint64_t bits_of(std::string_view list) {
  std::uint64_t bits = 0;
  while (!list.empty()) {
    const auto name = take_word(list);
    for (std::size_t i = 0; i < field_count; ++i)
      if (field_name(static_cast<Field>(i)) == name) bits |= bit(static_cast<Field>(i));
  }
  return bits;
}

struct Fields {
  std::uint64_t must = 0, may = 0;
};

Fields work_out(const RecordType& type) {
  Fields all;
  if (type.operation.empty()) {  // a refusal of anything
    all = {.must = bits_of(every), .may = bits_of("mono_ns mono_us protection token rule")};
    for (const auto list : {device_record, identities, std::string_view("reason edition")})
      all.may |= bits_of(list);
  }
  for (const auto& each : fields_of)
    if (!type.operation.empty() && type.operation.starts_with(each.operation) &&
        type.phase.starts_with(each.phase) && type.result.starts_with(each.result)) {
      all.must |= bits_of(each.must);
      all.may |= bits_of(each.may);
    }
  if (type.dual_control) all.must |= bits_of(identities);
  if (!type.result.empty()) all.must |= bit(Field::result);
  if (!type.detail.empty()) (type.detail.front() == '|' ? all.may : all.must) |= bit(Field::detail);
  all.may |= all.must;
  return all;
}

const Fields& fields_of_type(const RecordType& type) {
  static const auto all = [] {
    std::vector<Fields> rows;
    for (const auto& each : record_types()) rows.push_back(work_out(each));
    return rows;
  }();
  return all[static_cast<std::size_t>(&type - record_types().data())];
}

const Grammar* grammar_of(Field field) {
  static const auto all = [] {
    std::array<const Grammar*, field_count> by_field{};
    for (const auto& each : grammars)
      for (std::size_t i = 0; i < field_count; ++i)
        if ((bits_of(each.fields) & bit(static_cast<Field>(i))) != 0) by_field.at(i) = &each;
    return by_field;
  }();
  return all[static_cast<std::size_t>(field)];
}

[[noreturn]] void refuse(Field field, std::string_view what) {
  throw std::invalid_argument("the field " + std::string(field_name(field)) + std::string(what));
}

}  // namespace

std::string_view rule_of(std::string_view operation, std::string_view reason) {
  if (operation.starts_with("device.")) return "P4";
  if (!operation.starts_with("key.") && !operation.starts_with("transfer.") &&
      operation != op::token_compromise)
    return {};
  for (const auto& [each, rule] : rules_of_reasons)
    if (each == reason) return rule;
  return "none";
}

bool fits_field(Field field, std::string_view text) {
  const auto* grammar = grammar_of(field);
  return grammar == nullptr || grammar->fits(text, grammar->words);
}

bool fits_pattern(std::string_view patterns, std::string_view text) {
  for (bool is_more = true; is_more;) {
    is_more = patterns.find('|') != std::string_view::npos;
    if (fits_one(take_word(patterns, '|'), text)) return true;
  }
  return false;
}

void check_fields(const RecordView& record, const RecordType& type) {
  const auto [must, may] = fields_of_type(type);
  for (std::size_t i = 0; i < field_count; ++i) {
    const auto field = static_cast<Field>(i);
    if (!record.has(field)) {
      if ((must & bit(field)) != 0 && field != Field::detail) refuse(field, " is missing");
      continue;
    }
    if ((may & bit(field)) == 0) refuse(field, " is not one that such a record has");
    if (!fits_field(field, record.text(field)))
      refuse(field, " is not as it has to be: " + std::string(grammar_of(field)->words));
  }
  if (!type.detail.empty() && !fits_pattern(type.detail, record.text(Field::detail)))
    throw std::invalid_argument(
        "its detail does not say '" +
        std::string(type.detail.substr(0, type.detail.find_first_of("#@&%^*|"))) + "'");
  for (const auto& each : contents_of)
    if (type.operation.starts_with(each.operation) && type.phase.starts_with(each.phase) &&
        record.has(each.field) && !fits_pattern(each.patterns, record.text(each.field)))
      refuse(each.field, " is not as it has to be: " + std::string(each.patterns));
  if (record.has(Field::ckr) &&
      (record.text(Field::result) == "failed") == (record.text(Field::ckr) == "CKR_OK"))
    refuse(Field::ckr, " does not fit the result");
  if (record.has(Field::rule) &&
      record.text(Field::rule) != rule_of(record.text(Field::op), record.text(Field::reason)))
    refuse(Field::rule, " does not follow from the reason");
  if (record.has(Field::rule) != record.has(Field::edition))
    refuse(Field::rule, " and the field edition go together");
}

std::string table_of_records() {
  const auto in_manual = [](std::string_view patterns) {
    std::string text(patterns);
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 6)
      text.replace(at, 1, "` or `");
    return text;
  };
  const auto names = [](std::uint64_t bits) {
    std::string all;
    for (; bits != 0; bits &= bits - 1) {
      if (!all.empty()) all += ' ';
      all += field_name(static_cast<Field>(std::countr_zero(bits)));
    }
    return all;
  };
  std::string text =
      "| operation | phase | result | fields it must have | may have | detail |\n"
      "|---|---|---|---|---|---|\n";
  const auto common = work_out({.operation = "-"});
  for (const auto& type : record_types()) {
    const auto [must, may] = fields_of_type(type);
    text += "| " + std::string(type.operation.empty() ? "any" : type.operation) + " | " +
            std::string(type.phase) + " | " + std::string(type.result) + " | " +
            names(must & ~common.must) + " | " + names(may & ~must & ~common.may) + " | " +
            (type.detail.empty() ? "" : "`" + in_manual(type.detail) + "`") + " |\n";
  }
  text += "\nEvery record has " + names(common.must) + ", and may have " +
          names(common.may & ~common.must) + ".\n\n| fields | grammar |\n|---|---|\n";
  for (const auto& each : grammars)
    text += "| " + std::string(each.fields) + " | " + std::string(each.words) + " |\n";
  text += "\n| operation | phase | field | what it says |\n|---|---|---|---|\n";
  for (const auto& [operation, phase, field, patterns] : contents_of)
    text += "| " + std::string(operation.empty() ? "any" : operation) + " | " + std::string(phase) +
            " | " + std::string(field_name(field)) + " | `" + in_manual(patterns) + "` |\n";
  return text;
}

}  // namespace smets1kms::audit
