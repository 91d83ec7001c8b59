// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a host program may give to the library; all of it optional.
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

/// Something that an operator should know of and that is no error of a call.
struct LogEvent {
  LogLevel level = LogLevel::info;
  std::string_view event;            ///< a stable word: "operations-recovered"
  std::string text;                  ///< one sentence for people
  std::optional<DeviceId> device{};  ///< where it is about one device
  std::string operation_id{};        ///< where it is about one operation
};

/// How far a call has come that takes longer than a second.
struct Progress {
  std::string what;                   ///< "devices rotated"
  std::uint64_t done = 0, total = 0;  ///< total 0: not known
};

/// All functions but `clock` are called by the thread that called the library, `clock` by any of
/// its threads; none is called while a lock of the library is held, so each may call the library
/// again. What they throw ends the call as an error of the host's would.
struct Callbacks {
  std::function<Time()> clock;  ///< UTC; default: the system's
  /// Asks for a PIN where the token's URI has no pin-source; the bytes given are wiped after use.
  std::function<Bytes(const std::string& what)> pin_prompt;
  std::function<void(const LogEvent&)> log;
  std::function<void(const Progress&)> progress;
};

}  // namespace smets1kms
