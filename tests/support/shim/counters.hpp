// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "functions.hpp"

namespace shim {

/// Which call this is, each number from 1.
struct CallNumbers {
  std::uint64_t sequence;  ///< of all calls
  std::uint64_t nth;       ///< of the calls of this function
  std::uint64_t killable;  ///< as SHIM_KILL_AT counts; 0 when it doesn't count this function
};

class Counters {
 public:
  CallNumbers next(Function function);

  /// {"total": killable calls, "calls": all calls, "functions": {"C_Name": calls of those called}}
  std::string json() const;

 private:
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> killable_{0};
  std::array<std::atomic<std::uint64_t>, function_names.size()> per_function_{};
};

}  // namespace shim
