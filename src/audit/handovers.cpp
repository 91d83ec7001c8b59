// SPDX-License-Identifier: Apache-2.0
#include "audit/handovers.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "audit/record_rules.hpp"
#include "audit/text.hpp"

namespace smets1kms::audit {
namespace {

bool is_hash(std::string_view name) { return name == "SHA-1" || name == "SHA-256"; }

bool is_target_name(std::string_view name) {
  return !name.empty() && name.size() <= 32 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

/// Reads "guek+gak", in the order of the roles; 0 for anything else. A KEK is never handed over.
std::uint8_t parse_roles(std::string_view text) {
  unsigned bits = 0, last = 0;
  while (!text.empty()) {
    const bool is_last = text.find('+') == std::string_view::npos;
    const auto word = take_word(text, '+');
    const auto role =
        std::ranges::find(all_roles, word, [](KeyRole each) { return to_string(each); });
    const unsigned bit = role == all_roles.end() ? 0 : 1U << static_cast<unsigned>(*role);
    if (bit <= last || *role == KeyRole::kek || is_last != text.empty()) return 0;
    bits |= last = bit;
  }
  return static_cast<std::uint8_t>(bits);
}

}  // namespace

std::optional<TargetName> parse_target(std::string_view text) {
  const auto name = take_word(text, '/');
  const auto generation = parse_number(text).value_or(0);
  if (!is_target_name(name) || generation == 0 || generation > UINT32_MAX) return std::nullopt;
  return TargetName{.name = name, .generation = static_cast<std::uint32_t>(generation)};
}

std::uint32_t target_tag(std::string_view target) {
  std::uint32_t tag = 0;
  const auto hash = sha256(target);
  std::memcpy(&tag, hash.data(), sizeof tag);
  return tag;
}

std::optional<std::vector<Handover>> parse_handovers(std::string_view text) {
  std::vector<Handover> all;
  for (bool is_more = true; is_more;) {
    is_more = text.find(',') != std::string_view::npos;
    auto rest = take_word(text, ',');
    Handover each;
    each.target = take_word(rest, ':');
    each.hash = take_word(rest, ':');
    each.sha256 = rest.substr(0, 64);
    each.before_transfer = rest.size() > 64;
    const auto name = parse_target(each.target);
    if (!name || !is_hash(each.hash) || !parse_hash(each.sha256) ||
        (each.before_transfer && rest.substr(64) != ":before-transfer") ||
        (!all.empty() && all.back().name.name >= name->name) || all.size() == most_targets)
      return std::nullopt;
    each.name = *name;
    all.push_back(each);
  }
  return all;
}

std::string target_names(std::string_view handovers) {
  const auto all = parse_handovers(handovers);
  if (!all) return std::string(handovers);
  std::vector<std::string> names;
  for (const auto& each : *all) names.emplace_back(each.target);
  return join_words(names);
}

Admission read_admission(const RecordView& record) {
  const auto need = [](bool good, Field field, const char* what) {
    if (!good) throw std::invalid_argument(std::string(field_name(field)) + " is not " + what);
  };
  using enum Field;
  const auto name = parse_target(record.text(target));
  need(name.has_value(), target, "NAME/GENERATION");
  const auto bits = parse_roles(record.text(roles));
  need(bits != 0, roles, "some of guek+gbek+gak, in this order: a KEK is never handed over");
  for (const auto digest : {certificate_sha256, public_key_sha256})
    need(parse_hash(record.text(digest)).has_value(), digest, "64 lower-case hex digits");
  auto hash = record.text(mechanism);
  need(take_word(hash, ',') == "CKM_RSA_PKCS_OAEP" && is_hash(hash), mechanism,
       "CKM_RSA_PKCS_OAEP and its hash");
  auto rest = record.text(detail);
  const auto vault = take_word(rest, ',');
  const bool waits = rest == " before-transfer";
  need((vault == "vault token" || vault == "vault sealed") &&
           (waits || vault == record.text(detail)),
       detail, "'vault token' or 'vault sealed', with ', before-transfer' behind it or nothing");
  return {.name = std::string(name->name),
          .generation = name->generation,
          .hash = std::string(hash),
          .roles = bits,
          .before_transfer = waits};
}

namespace {

[[noreturn]] void refuse(const std::string& why) { throw std::invalid_argument(why); }

void read_handovers(std::string_view text, const RecordType& type, RecordSummary& summary) {
  if (type.operation != op::key_generate || type.effect != Effect::make)
    refuse("only the outcome of a key's generation says whom it was handed over to");
  const auto all = parse_handovers(text);
  if (!all)
    refuse("handovers is not NAME/GENERATION:HASH:SHA256 for one to eight targets, by name");
  auto& tags = summary.handovers;
  for (const auto& each : *all) {
    const char* wrong = summary.role == KeyRole::kek ? ": a KEK never is"
                        : each.before_transfer && type.delivery != Delivery::withheld
                            ? " before its transfer, and the transfer is not withheld"
                            : nullptr;
    if (wrong != nullptr)
      refuse(std::string(role_name(summary.role)) + " " + std::to_string(summary.generation) +
             " of " + device_name(summary.device) + " is handed over to " +
             std::string(each.target) + wrong);
    if (each.before_transfer) tags.before_transfer |= static_cast<std::uint8_t>(1U << tags.count);
    tags.targets.at(tags.count++) = target_tag(each.target);
  }
}

}  // namespace

void read_targets(const RecordView& record, const RecordType& type, RecordSummary& summary) {
  const auto need = [&](Field field) {
    if (record.text(field).empty())
      refuse("the field " + std::string(field_name(field)) + " is missing");
  };
  if (type.operation.starts_with("target.") || type.operation.starts_with("handover.") ||
      type.result == "compromised-through-target") {
    need(Field::target);
    if (!parse_target(record.text(Field::target))) refuse("target is not NAME/GENERATION");
    summary.has_target = true;
    summary.target = target_tag(record.text(Field::target));
  }
  if (type.operation == op::target_compromise) need(Field::detail), need(Field::notify);
  if (type.operation == op::target_admit && type.effect == Effect::make) {
    (void)read_admission(record);
    need(Field::attributes);
  }
  if (record.has(Field::handovers)) read_handovers(record.text(Field::handovers), type, summary);
}

}  // namespace smets1kms::audit
