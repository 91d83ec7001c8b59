// SPDX-License-Identifier: Apache-2.0
/// @file
/// Functions that a host program may give to the library; all are optional.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "smets1kms/types.hpp"

namespace smets1kms {

enum class LogLevel : std::uint8_t {
  info,     ///< something that was due was done
  warning,  ///< a person should look at it
};
[[nodiscard]] std::string_view to_string(LogLevel level);

/// An event that an operator should know of, but that is no error of a call.
struct LogEvent {
  LogLevel level = LogLevel::info;
  std::string_view event;            ///< a stable word: "operations-recovered"
  std::string text;                  ///< one sentence for people
  std::optional<DeviceId> device{};  ///< the device that it is about, if it is one
  std::string operation_id{};        ///< the operation that it is about, if it is one
};

/// Progress of a call that takes longer than a second.
struct Progress {
  std::string what;                   ///< "devices rotated"
  std::uint64_t done = 0, total = 0;  ///< total 0: not known
};

/// Functions of the host program. All but `clock` are called by the thread that called the library,
/// while no lock of the library is held, so each may call the library again. An exception that one
/// of them throws ends the call, as any error of the host program would.
struct Callbacks {
  /// Returns UTC; default: the system's. Called by any thread, and under locks of the library: it
  /// returns at once, calls nothing of the library, and throws nothing.
  std::function<Time()> clock;
  /// Asks for a PIN where the token's URI has no pin-source; the bytes given are wiped after use.
  std::function<Bytes(const std::string& what)> pin_prompt;
  std::function<void(const LogEvent&)> log;
  std::function<void(const Progress&)> progress;
};

}  // namespace smets1kms
