// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>

#include "common/files.hpp"
#include "sim_meter/options.hpp"
#include "sim_meter/run.hpp"

int main(int argc, char** argv) {
  try {
    const std::optional<sim_meter::Options> options = sim_meter::parse_options(argc, argv);
    if (options) sim_meter::run(*options);
    return EXIT_SUCCESS;
  } catch (const support::UsageError& error) {
    std::cerr << "smets1-sim-meter: " << error.what() << " (--help explains)\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "smets1-sim-meter: " << error.what() << '\n';
    return 1;
  }
}
