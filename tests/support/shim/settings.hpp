// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "functions.hpp"

namespace shim {

enum class When { before, after };

/// One entry of SHIM_FAIL.
struct Failure {
  Function function;
  std::optional<std::uint64_t> nth;  ///< from 1; nothing: every call
  When when;  ///< before: not forwarded. after: forwarded, then answered wrongly
  unsigned long rv;

  friend bool operator==(const Failure& a, const Failure& b) = default;
};

/// SHIM_QUIRKS: another vendor's behaviour.
struct QuirkSettings {
  std::optional<unsigned long> vendor_key_wrap;  ///< the only number that AES key wrap goes by
  bool no_copy = false;
  bool value_len_required = false;
  bool own_gcm_iv = false;
  std::optional<unsigned long> no_mechanism;  ///< one that the token does not have
  std::optional<std::uint64_t> throttle;      ///< every Nth call is turned away
  std::optional<std::uint64_t> session_cap;   ///< per slot
  bool pin_locks = false;
  std::string pin_state;  ///< SHIM_PIN_STATE, the file that counts wrong PINs
  bool no_wrap_with_trusted = false;
  bool no_nested_templates = false;
  std::string manufacturer, model;  ///< empty: what the real token says

  friend bool operator==(const QuirkSettings& a, const QuirkSettings& b) = default;
};

struct Settings {
  std::string module;
  std::string log;         ///< empty: none
  std::string count_file;  ///< empty: none
  std::optional<std::uint64_t> kill_at;
  When kill_when = When::before;
  std::vector<Failure> failures;
  std::uint64_t delay_us = 0;
  std::string delay_of;  ///< this function only; empty: each call
  QuirkSettings quirks;

  friend bool operator==(const Settings& a, const Settings& b) = default;
};

/// From the SHIM_ variables of the environment. Throws std::invalid_argument naming the variable.
Settings settings_of_environment();

}  // namespace shim
