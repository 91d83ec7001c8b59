// SPDX-License-Identifier: Apache-2.0
// smets1-history: lives a fleet's life from 2020 on, with an injected clock, on the token and
// registry of a configuration. usage: smets1-history KMS.TOML SO_PIN_SOURCE SIGN_COMMAND [END]
//   SIGN_COMMAND FILE signs a fleet file: it writes FILE.p7s. Its devices' stories go to standard
//   output, a line each; the operator's own list of devices to history-operator.csv beside the
//   configuration. END: the last day; now by default.
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "history/history.hpp"

int main(int count, char** arguments) try {
  using namespace smets1kms;
  if (count < 4 || count > 5) {
    std::cerr << "usage: smets1-history KMS.TOML SO_PIN_SOURCE SIGN_COMMAND [END]\n";
    return 2;
  }
  const auto config = Config::load(arguments[1]);
  const std::string command = arguments[3];
  const auto sign = [&](const std::filesystem::path& file) {
    if (std::system((command + " '" + file.string() + "'").c_str()) != 0)
      throw std::runtime_error(command + " failed");
    return std::filesystem::path(file.string() + ".p7s");
  };
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto directory = config.file.parent_path();
  test::History history(config, arguments[2], directory,
                        count == 5 ? parse_time(arguments[4]) : now, sign);
  history.live([](const std::string& year) { std::cerr << year << '\n'; });
  for (const auto& story : history.stories())
    std::cout << history.device(story).to_string() << "  " << story << '\n';
  std::ofstream(directory / "history-operator.csv") << history.operators_list();
  return 0;
} catch (const std::exception& error) {
  std::cerr << "smets1-history: " << error.what() << '\n';
  return 1;
}
