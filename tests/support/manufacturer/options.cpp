// SPDX-License-Identifier: Apache-2.0
#include "manufacturer/options.hpp"

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <iostream>

#include "common/device_id.hpp"
#include "common/files.hpp"

namespace manufacturer {
namespace {

namespace po = boost::program_options;
using support::UsageError;

constexpr const char* introduction =
    R"(smets1-example-manufacturer: plays the maker of a fleet of meters.

From nothing but the public key that a token exported for the transport of keys it makes devices with random
KEKs and first keys, a fresh AES-256 transport key, and writes into a directory

  fleet.csv         what the key manager imports: devices, each KEK wrapped under the transport key (RFC 3394)
  NAME.key.bin      the transport key, encrypted for the token with RSA-OAEP
  fleet.csv.p7s     a detached CMS signature over fleet.csv; its certificate is manufacturer.pem
  meters.csv        KEK, system title and first GUEK, GAK, GBEK of each device, in clear, mode 0600: for
                    smets1-sim-meter, for nobody else
  headend.csv       the same without the KEK, mode 0600: for smets1-sim-headend, which ciphers the first commands

  smets1-example-manufacturer --public-key transport-import.pem --devices 200 --out maker --transport-name mfr-a-2026

All keys differ in every run; the devices themselves are the same for the same options.
Files that are there already are never overwritten.
)";

constexpr const char* explanation = R"(
The mix: of ten devices five are ESME, three GSME, one CHF, GPF or PPMID; every tenth is an EXAMPLE-N1, the model
that switches keys at the next association. Mostly suite 0, some suite 1, one in 25 suite 2.

Exit code: 0 done, 1 bad input or a file that can't be used, 2 wrong usage.
)";

po::options_description described() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("public-key", po::value<std::string>()->value_name("PEM"), "the token's RSA public key");
  add("out", po::value<std::string>()->value_name("DIR"), "where to write; made if absent");
  add("transport-name", po::value<std::string>()->value_name("NAME"),
      "name of the transport key, such as mfr-a-2026: letters, digits, '.', '_', '-'");
  add("identity", po::value<std::string>()->value_name("DIR"),
      "where the signing key and certificate are, or are made; by default --out");
  add("devices", po::value<std::string>()->default_value("200")->value_name("N"), "how many");
  add("first-device",
      po::value<std::string>()->default_value("00-DB-12-34-56-78-90-A0")->value_name("ID"),
      "device id of the first; the others follow. Choose another for a second fleet");
  add("commissioned-at", po::value<std::string>()->value_name("TIME"),
      "of the first device, as 2026-11-20T09:30:00Z; the others each a minute later, over a day. "
      "Default: two days "
      "ago");
  add("oaep-hash", po::value<std::string>()->default_value("sha1")->value_name("HASH"),
      "sha1 (the one SoftHSM has) or sha256; for OAEP and for MGF1");
  add("only-suite", po::value<std::string>()->value_name("0|1|2"),
      "every device with this security suite");
  add("help", "this text");
  return options;
}

template <typename Number>
Number number_of(const std::string& text, const char* option, Number least, Number most) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || value < least || value > most) {
    throw UsageError(std::string("--") + option + " " + text + ": expected a number from " +
                     std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

// RFC 3339 in UTC, whole seconds: the one form this program writes.
std::chrono::sys_seconds time_of(const std::string& text) {
  constexpr std::string_view shape = "0000-00-00T00:00:00Z";
  bool fits = text.size() == shape.size();
  for (std::size_t i = 0; fits && i < shape.size(); ++i) {
    fits = shape[i] == '0' ? (text[i] >= '0' && text[i] <= '9') : text[i] == shape[i];
  }
  const auto part = [&](std::size_t at, std::size_t digits) {
    int value = 0;
    std::from_chars(text.data() + at, text.data() + at + digits, value);
    return value;
  };
  if (fits) {
    const std::chrono::year_month_day date{std::chrono::year(part(0, 4)),
                                           std::chrono::month(static_cast<unsigned>(part(5, 2))),
                                           std::chrono::day(static_cast<unsigned>(part(8, 2)))};
    if (date.ok() && part(11, 2) < 24 && part(14, 2) < 60 && part(17, 2) < 60) {
      return std::chrono::sys_days(date) + std::chrono::hours(part(11, 2)) +
             std::chrono::minutes(part(14, 2)) + std::chrono::seconds(part(17, 2));
    }
  }
  throw UsageError("--commissioned-at " + text + ": expected a time such as 2026-11-20T09:30:00Z");
}

std::string needed(const po::variables_map& given, const char* option) {
  if (given.count(option) == 0) throw UsageError(std::string("--") + option + " is needed");
  return given[option].as<std::string>();
}

// It becomes a file name and a CSV field.
std::string transport_name(const po::variables_map& given) {
  std::string name = needed(given, "transport-name");
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
  if (name.empty() || name.front() == '.' || !plain) {
    throw UsageError("--transport-name '" + name + "': expected letters, digits, '.', '_', '-'");
  }
  return name;
}

OaepHash oaep_hash(const std::string& text) {
  if (text == "sha1") return OaepHash::sha1;
  if (text == "sha256") return OaepHash::sha256;
  throw UsageError("--oaep-hash " + text + ": expected sha1 or sha256");
}

}  // namespace

std::optional<Options> parse_options(int argc, const char* const* argv,
                                     std::chrono::sys_seconds now) {
  const po::options_description description = described();
  po::variables_map given;
  try {
    const int style =
        po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
    po::store(
        po::command_line_parser(argc, argv).options(description).positional({}).style(style).run(),
        given);
    po::notify(given);
  } catch (const po::error& error) {
    throw UsageError(error.what());
  }
  if (given.count("help") != 0) {
    std::cout << introduction << '\n' << description << explanation;
    return std::nullopt;
  }

  constexpr std::size_t most_devices = 100'000'000;
  Options options;
  options.public_key = needed(given, "public-key");
  options.out = needed(given, "out");
  options.identity = given.count("identity") != 0
                         ? std::filesystem::path(given["identity"].as<std::string>())
                         : options.out;
  options.transport_name = transport_name(given);
  options.devices =
      number_of<std::size_t>(given["devices"].as<std::string>(), "devices", 1, most_devices);
  const std::string first = given["first-device"].as<std::string>();
  const std::optional<std::uint64_t> eui64 = support::parse_device_id(first);
  if (!eui64 || *eui64 > ~std::uint64_t{0} - options.devices) {
    throw UsageError("--first-device " + first +
                     ": expected a device id such as 00-DB-12-34-56-78-90-A0");
  }
  options.first_device = *eui64;
  options.commissioned_at = given.count("commissioned-at") != 0
                                ? time_of(given["commissioned-at"].as<std::string>())
                                : now - std::chrono::days(2);
  options.oaep_hash = oaep_hash(given["oaep-hash"].as<std::string>());
  if (given.count("only-suite") != 0) {
    options.only_suite = number_of<int>(given["only-suite"].as<std::string>(), "only-suite", 0, 2);
  }
  return options;
}

}  // namespace manufacturer
