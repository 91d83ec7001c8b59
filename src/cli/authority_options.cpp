// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.hpp"

namespace smets1kms::cli {

void add_authority(options::options_description& own) {
  own.add_options()("requested-by", options::value<std::string>(),
                    "who asks for the change (for DCC the S1SP), like s1sp:ops-1")(
      "authorised-by", options::value<std::string>(),
      "who authorises it, another identity (the DCO), like dco:ops-7")(
      "reference", options::value<std::string>(),
      "the change or incident it was decided under, like CHG-1234");
}

Authority authority(const options::variables_map& values) {
  return {.requested_by = needed(values, "requested-by"),
          .authorised_by = needed(values, "authorised-by"),
          .reference = needed(values, "reference")};
}

void add_key(options::options_description& own) {
  own.add_options()("device", options::value<std::string>(),
                    "EUI-64, like 00-DB-12-34-56-78-90-A0")("role", options::value<std::string>(),
                                                            "guek, gbek, gak or kek")(
      "generation", options::value<std::int64_t>(),
      "which key of that role; 'device show' lists them");
}

KeyRef key(const options::variables_map& values) {
  if (values.count("generation") == 0)
    throw Usage("--generation is missing: which key of that role ('device show' lists them)");
  const auto generation = values["generation"].as<std::int64_t>();
  if (generation < 1 || generation > UINT32_MAX) throw Usage("--generation counts from 1");
  return {.device = needed(values, "device", DeviceId::parse),
          .role = needed(values, "role", parse_role),
          .generation = static_cast<std::uint32_t>(generation)};
}

std::optional<KeyRef> key_unless(const options::variables_map& values, bool many,
                                 const std::string& options_for_many) {
  if (many == (values.count("device") != 0))
    throw Usage("either --device, --role and --generation, or " + options_for_many);
  if (many && (values.count("role") != 0 || values.count("generation") != 0))
    throw Usage("--role and --generation go with --device; " + options_for_many +
                " takes every such key, of every role");
  return many ? std::nullopt : std::optional(key(values));
}

std::chrono::milliseconds duration(const std::string& text) {
  using namespace std::chrono;
  const std::string_view digits =
      std::string_view(text).substr(0, text.empty() ? 0 : text.size() - 1);
  if (digits.empty() || digits.size() > 5 ||
      digits.find_first_not_of("0123456789") != std::string_view::npos ||
      std::string_view("dhm").find(text.back()) == std::string_view::npos)
    throw Usage("'" + text + "' is not a duration like 3d, 36h or 90m");
  const int count = std::stoi(std::string(digits));
  return text.back() == 'd'   ? milliseconds(days(count))
         : text.back() == 'h' ? milliseconds(hours(count))
                              : milliseconds(minutes(count));
}

void add_operation_id(options::options_description& own) {
  own.add_options()("operation-id", options::value<std::string>(),
                    "a name of your own for this operation; the same again gives the same result");
}

std::string operation_id(const options::variables_map& values) {
  return values.count("operation-id") == 0 ? std::string()
                                           : values["operation-id"].as<std::string>();
}

}  // namespace smets1kms::cli
