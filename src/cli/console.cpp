// SPDX-License-Identifier: Apache-2.0
#include "cli/console.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "pkcs11/terminal.hpp"

namespace smets1kms::cli {

void Table::print() const {
  std::vector<std::size_t> widths;
  for (const auto& column : columns_) widths.push_back(column.size());
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  const auto line = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      std::cout << row[i];
      if (i + 1 < row.size()) std::cout << std::string(widths[i] - row[i].size() + 2, ' ');
    }
    std::cout << '\n';
  };
  line(columns_);
  for (const auto& row : rows_) line(row);
}

void ProgressLine::show(const Progress& progress) {
  using namespace std::chrono_literals;
  const auto now = std::chrono::steady_clock::now();
  const bool terminal = ::isatty(STDERR_FILENO) == 1, last = progress.done == progress.total;
  if (what_ != progress.what) {
    what_ = progress.what;
    begin_ = last_ = now;
  }
  if (now - begin_ < 1s || (!last && now - last_ < (terminal ? 100ms : 5000ms))) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const double rate = static_cast<double>(progress.done) / seconds;
  const auto left = static_cast<long>(static_cast<double>(progress.total - progress.done) / rate);
  if (terminal) {
    constexpr std::size_t width = 30;
    const std::size_t filled = progress.total == 0 ? width : width * progress.done / progress.total;
    std::fprintf(stderr, "\r[%s%s] %zu/%zu %s, %.0f/s, %ld s left ",
                 std::string(filled, '#').c_str(), std::string(width - filled, '.').c_str(),
                 progress.done, progress.total, what_.c_str(), rate, left);
    drawn_ = true;
    if (last) {
      std::fputc('\n', stderr);
      drawn_ = false;
    }
  } else {
    std::fprintf(stderr, "%zu of %zu %s, %.0f/s, %ld s left\n", progress.done, progress.total,
                 what_.c_str(), rate, left);
  }
}

ProgressLine::~ProgressLine() {
  if (drawn_) std::fputc('\n', stderr);
}

void remark(const std::string& text) { std::cerr << "smets1-kms: " << text << '\n'; }

std::string what_failed(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  }
}

Bytes ask_pin(const std::string& what) {
  const auto secret = pkcs11::prompt_on_terminal(what);
  return {secret.reveal().begin(), secret.reveal().end()};
}

Callbacks callbacks(ProgressLine& line) {
  return {.clock = {},
          .pin_prompt = ask_pin,
          .log = [](const LogEvent& event) { remark(event.text); },
          .progress = [&line](const Progress& progress) { line.show(progress); }};
}

Json to_json(const Device& device) {
  Json supports = Json::array();
  for (const auto role : device.supports) supports.push_back(to_string(role));
  return {{"device_id", device.id.to_string()},
          {"kind", to_string(device.kind)},
          {"model", device.model},
          {"system_title", to_hex(device.system_title)},
          {"security_suite", static_cast<int>(device.suite)},
          {"supports", supports},
          {"commissioned_at", format_time(device.commissioned_at)},
          {"status", to_string(device.status)}};
}

std::string_view place_of(const Key& key) {
  if (key.state == KeyState::none || key.state == KeyState::destroyed ||
      key.state == KeyState::destroyed_compromised)
    return "-";
  return key.awaits_enrolment ? "awaits-officer" : key.is_sealed ? "sealed" : "token";
}

Json to_json(const Key& key) {
  Json json{{"device_id", key.device.to_string()}, {"role", to_string(key.role)},
            {"generation", key.generation},        {"key_id", key.id.to_string()},
            {"state", to_string(key.state)},       {"delivery", to_string(key.delivery)}};
  if (key.predecessor) json["predecessor"] = key.predecessor->to_string();
  if (key.kek) json["kek_id"] = key.kek->to_string();
  if (key.transfer != 0)
    json["transfer_id"] = key.device.to_string() + "/" + std::to_string(key.transfer);
  json["operation_id"] = key.operation;
  json["rests"] = place_of(key);
  if (key.state != KeyState::none) json["created_at"] = format_time(key.created_at);
  const std::pair<const char*, const std::optional<Time>&> times[] = {
      {"in_doubt_at", key.in_doubt_at},
      {"confirmed_at", key.confirmed_at},
      {"not_held_at", key.not_held_at},
      {"compromised_at", key.compromised_at}};
  for (const auto& [name, at] : times)
    if (at) json[name] = format_time(*at);
  return json;
}

Json to_json(const KeyTransfer& transfer) {
  // One key an ACTION is the rule; of a transfer with several, role, key_id and generation are the
  // first's.
  const auto& first = transfer.keys().front();
  Json json{{"transfer_id", transfer.id()},
            {"device_id", transfer.device().to_string()},
            {"role", to_string(first.role)},
            {"key_id", first.id.to_string()},
            {"generation", first.generation}};
  if (transfer.keys().size() > 1) {
    json["keys"] = Json::array();
    for (const auto& key : transfer.keys())
      json["keys"].push_back({{"role", to_string(key.role)},
                              {"key_id", key.id.to_string()},
                              {"generation", key.generation}});
  }
  json["kek_id"] = transfer.kek().to_string();
  json["activation"] = to_string(transfer.activation());
  json["resets_unicast_counter"] = transfer.resets_unicast_counter();
  json["resets_broadcast_counter"] = transfer.resets_broadcast_counter();
  json["released_before"] = transfer.released_before();
  json["parameter"] = to_hex(transfer.parameter());
  json["action_request"] = to_hex(transfer.action_request());
  return json;
}

}  // namespace smets1kms::cli
