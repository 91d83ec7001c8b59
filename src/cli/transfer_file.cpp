// SPDX-License-Identifier: Apache-2.0
#include "cli/transfer_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

namespace smets1kms::cli {
namespace {

constexpr std::string_view line_begin = "{\"transfer_id\":";  ///< of what `write` writes

void print(const Json& json) {
  for (const char* member :
       {"transfer_id", "role", "generation", "key_id", "operation_id", "action_request"})
    std::cout << member << std::string(16 - std::string(member).size(), ' ')
              << (json[member].is_string() ? json[member].get<std::string>() : json[member].dump())
              << '\n';
  if (json["released_before"].get<bool>())
    std::cout << "NOTE            handed out before under this operation id: send it only if it is "
                 "certain that it was not sent\n";
  std::cout << '\n';
}

/// The other way round. Throws BadInput for an id that is not of the batch.
std::pair<DeviceId, Reason> parse_operation(const std::string& batch, const std::string& id) {
  const auto reason = id.rfind(':');
  if (!id.starts_with(batch + ":") || reason <= batch.size())
    throw BadInput("operation " + id + " is not of the batch " + batch);
  return {DeviceId::parse(id.substr(batch.size() + 1, reason - batch.size() - 1)),
          parse_reason(id.substr(reason + 1))};
}

}  // namespace

void check_batch_name(const std::string& name) {
  const auto allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("._:-").find(c) != std::string_view::npos;
  };
  if (name.size() > longest_batch_name || !std::ranges::all_of(name, allowed))
    throw Usage("--batch is 1 to " + std::to_string(longest_batch_name) +
                " characters of A-Z a-z 0-9 . _ : -");
}

std::string operation_of(const std::string& batch, const RotationRequest& request) {
  std::string id = request.device.to_string();
  std::erase(id, '-');
  return batch + ":" + id + ":" + std::string(to_string(request.reason));
}

TransferFile::TransferFile(const std::string& file, const std::string& batch, bool json)
    : file_(file), batch_(batch), json_(json) {
  if (file_.empty()) return;
  const int how = batch.empty() ? O_EXCL : O_APPEND;
  out_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | how, 0600);
  if (out_ < 0)
    throw BadInput(file_ + ": " + std::strerror(errno) +
                   (errno == EEXIST ? ": it is never overwritten; name another file, or give the "
                                      "batch a name (--batch) to go on with it"
                                    : ""));
  try {
    if (!batch.empty()) go_on();
  } catch (...) {
    ::close(out_);
    throw;
  }
}

void TransferFile::go_on() {
  if (::flock(out_, LOCK_EX | LOCK_NB) != 0)
    throw BadInput(file_ + ": another process is writing it");
  std::ifstream in(file_);
  std::streamoff end = 0, last_at = 0, at = 0;
  std::size_t line = 0;
  bool cut = false;
  for (std::string text; std::getline(in, text); at = end) {
    ++line;
    if (cut = in.eof(); cut) {  // no newline: a process died over it, or it is another's file
      const auto length = std::min(text.size(), line_begin.size());
      const Json whole = Json::parse(text, nullptr, false);
      const bool is_of_others = !whole.is_discarded() && !whole.contains("action_request");
      if (text.compare(0, length, line_begin, 0, length) != 0 || is_of_others)
        throw BadFile(file_, line, 1,
                      "not a transfer, and no newline behind it: this is not a file of transfers; "
                      "name another");
      break;
    }
    end = at + static_cast<std::streamoff>(text.size()) + 1;
    const Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded())
      throw BadFile(file_, line, 1,
                    "not a JSON object on one line: this is not a file of transfers; name another");
    try {
      const auto [device, reason] =
          parse_operation(batch_, member(json, "operation_id", file_, line));
      if (!done_.empty() && done_.back() == Done{device.number(), reason}) continue;
      done_.emplace_back(device.number(), reason);
      last_at = at;
    } catch (const BadFile&) {
      throw;
    } catch (const BadInput& error) {
      throw BadFile(file_, line, 1, std::string(error.what()) + "; name another file");
    }
  }
  if (in.bad()) throw BadInput(file_ + ": can't be read");
  is_new_ = line == 0;
  if (cut) {  // perhaps of the device before it: that one is handed out once more
    if (!done_.empty()) done_.pop_back();
    if (::ftruncate(out_, last_at) != 0) throw BadInput(file_ + ": " + std::strerror(errno));
  }
  std::ranges::sort(done_);
}

std::vector<RotationRequest> TransferFile::lost(const Fleet& fleet, std::optional<Reason> reason,
                                                std::span<const KeyRole> asked,
                                                std::optional<RotationRequest>& begun) {
  std::vector<RotationRequest> requests, answered;
  if (batch_.empty()) return requests;
  fleet.for_each_operation(batch_ + ":", [&](const std::string& id) {
    const auto [device, begun_for] = parse_operation(batch_, id);
    if (reason && *reason != begun_for)
      throw BadInput("the batch " + batch_ + " was begun for another reason, " +
                     std::string(to_string(begun_for)) + ": give this one a name of its own");
    RotationRequest request{.device = device, .roles = {}, .reason = begun_for, .authority = {}};
    if (!begun) begun = request;
    if (has(request)) return;
    const auto keys = fleet.keys_of_operation(id, device);
    // What was answered is not to be sent once more, wherever the file is.
    if (std::ranges::any_of(keys,
                            [](const Key& key) { return key.delivery != Delivery::released; })) {
      answered.push_back(request);
      return;
    }
    for (const auto& key : keys) request.roles.push_back(key.role);
    std::ranges::stable_sort(request.roles, {}, [&](KeyRole role) {
      return std::ranges::find(asked, role) - asked.begin();
    });
    requests.push_back(std::move(request));
  });
  for (const auto* list : {&requests, &answered})
    for (const auto& request : *list) done_.emplace_back(request.device.number(), request.reason);
  std::ranges::sort(done_);
  return requests;
}

TransferFile::~TransferFile() {
  if (out_ < 0) return;
  ::close(out_);
  if (is_new_ && written_ == 0)
    ::unlink(file_.c_str());  // it was made here, and would only be in the way of the next try
}

void TransferFile::write(const Rotation& rotation) {
  std::string lines;
  for (const auto& transfer : rotation.transfers()) {
    ++written_;
    Json json = to_json(transfer);
    json["operation_id"] = rotation.operation_id();
    if (out_ >= 0 || json_)
      lines += json.dump() + "\n";
    else
      print(json);
  }
  const int out = out_ >= 0 ? out_ : STDOUT_FILENO;
  for (std::size_t done = 0; done < lines.size();) {
    const auto count = ::write(out, lines.data() + done, lines.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      throw Error((file_.empty() ? "standard output" : file_) + ": can't be written (" +
                  std::strerror(errno) +
                  "). What was released stays in the registry: run the command again with the same "
                  "--operation-id or --batch, or 'device show'");
    done += static_cast<std::size_t>(count);
  }
}

bool TransferFile::has(const RotationRequest& request) const {
  return std::ranges::binary_search(done_, Done{request.device.number(), request.reason});
}

}  // namespace smets1kms::cli
