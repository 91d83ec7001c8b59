// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>

#include "common/files.hpp"
#include "sim_headend/options.hpp"
#include "sim_headend/run.hpp"

int main(int argc, char** argv) {
  try {
    const std::optional<sim_headend::Options> options = sim_headend::parse_options(argc, argv);
    return !options || sim_headend::run(*options) ? EXIT_SUCCESS : EXIT_FAILURE;
  } catch (const support::UsageError& error) {
    std::cerr << "smets1-sim-headend: " << error.what() << " (--help explains)\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "smets1-sim-headend: " << error.what() << '\n';
    return 1;
  }
}
