// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <optional>
#include <sstream>

#include "common/bytes.hpp"
#include "common/crypto.hpp"
#include "common/device_id.hpp"
#include "common/files.hpp"
#include "manufacturer/device.hpp"
#include "manufacturer/options.hpp"
#include "manufacturer/signature.hpp"
#include "manufacturer/transport_key.hpp"

namespace manufacturer {
namespace {

struct Files {
  std::filesystem::path fleet, meters, headend, transport_key, signature;
};

std::string rfc3339(std::chrono::sys_seconds time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::ostringstream out;
  out << std::put_time(&utc, "%Y-%m-%dT%H:%M:%SZ");
  return out.str();
}

Files free_files(const Options& options) {
  Files files{options.out / "fleet.csv", options.out / "meters.csv", options.out / "headend.csv",
              options.out / (options.transport_name + ".key.bin"), options.out / "fleet.csv.p7s"};
  for (const auto& file :
       {files.fleet, files.meters, files.headend, files.transport_key, files.signature}) {
    if (std::filesystem::exists(file)) {
      throw support::InputError(file.string() +
                                ": is there already and won't be overwritten: remove it, or choose "
                                "another --out");
    }
  }
  return files;
}

void make_fleet(const Options& options) {
  constexpr std::size_t minutes_a_day =
      1440;  // a large fleet must not be commissioned in the future
  const support::Secret transport_key = support::random_secret(32);
  const support::Bytes encrypted =
      encrypt_for_token(options.public_key, options.oaep_hash, transport_key);
  const Files files = free_files(options);

  std::string fleet =
      "device_id,kind,model,system_title,security_suite,supports,commissioned_at,kek_wrapped,kek_"
      "transport\n";
  std::string meters = "device_id,kek,system_title,security_suite,guek,gak,gbek\n";
  std::string headend = "device_id,system_title,security_suite,guek,gak,gbek\n";
  for (std::size_t i = 0; i < options.devices; ++i) {
    const Device device = example_device(options.first_device, i, options.only_suite);
    const std::string device_id = support::device_id_text(device.eui64);
    const support::Secret kek = support::random_secret(key_length(device.security_suite));
    const auto commissioned_at = options.commissioned_at + std::chrono::minutes(i % minutes_a_day);
    fleet += device_id + ',' + device.kind + ',' + device.model + ',' + device.system_title + ',' +
             std::to_string(device.security_suite) + ',' + device.supports + ',' +
             rfc3339(commissioned_at) + ',' +
             support::hex_of(support::rfc3394_wrap(transport_key, kek)) + ',' +
             options.transport_name + '\n';
    std::string first_keys = device.system_title + ',' + std::to_string(device.security_suite);
    for (const std::string_view role : {"guek", "gak", "gbek"}) {
      first_keys += ',';
      if (device.supports.find(role) == std::string::npos) continue;
      first_keys += support::hex_of(support::random_secret(kek.size()).reveal());
    }
    meters += device_id + ',' + support::hex_of(kek.reveal()) + ',' + first_keys + '\n';
    headend += device_id + ',' + first_keys + '\n';
    OPENSSL_cleanse(first_keys.data(), first_keys.size());
  }

  std::filesystem::create_directories(options.out);
  support::create_file(files.meters, support::as_bytes(meters), support::Access::private_to_owner);
  OPENSSL_cleanse(meters.data(), meters.size());
  support::create_file(files.headend, support::as_bytes(headend),
                       support::Access::private_to_owner);
  OPENSSL_cleanse(headend.data(), headend.size());
  support::create_file(files.transport_key, encrypted, support::Access::shared);
  support::create_file(files.fleet, support::as_bytes(fleet), support::Access::shared);
  make_identity(options.identity);
  support::create_file(files.signature, sign(options.identity, fleet), support::Access::shared);
  std::cout << options.devices << " devices: " << files.fleet.string() << ", "
            << files.transport_key.string() << ", signed: " << files.signature.string()
            << " (certificate: " << (options.identity / "manufacturer.pem").string()
            << "); their secrets: " << files.meters.string()
            << ", first keys for the head end: " << files.headend.string() << '\n';
}

}  // namespace
}  // namespace manufacturer

int main(int argc, char** argv) {
  try {
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    const std::optional<manufacturer::Options> options =
        manufacturer::parse_options(argc, argv, now);
    if (options) manufacturer::make_fleet(*options);
    return EXIT_SUCCESS;
  } catch (const support::UsageError& error) {
    std::cerr << "smets1-example-manufacturer: " << error.what() << " (--help explains)\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "smets1-example-manufacturer: " << error.what() << '\n';
    return 1;
  }
}
