// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim_headend/steps.hpp"

namespace sim_headend {
namespace {

using support::Bytes;

// C7 01 invoke-byte 00, then no data, or data (01 00 ...).
bool is_success(const Transfer& transfer) {
  const std::optional<Bytes>& reply = transfer.reply;
  if (!reply || reply->size() < 5 || (*reply)[0] != 0xC7 || (*reply)[1] != 0x01) return false;
  if ((*reply)[2] != transfer.invoke_byte || (*reply)[3] != 0x00) return false;
  const bool no_data = (*reply)[4] == 0x00 && reply->size() == 5;
  const bool data = (*reply)[4] == 0x01 && reply->size() > 6 && (*reply)[5] == 0x00;
  return no_data || data;
}

// Meters refuse in clear: exception response, or confirmed service error. Nobody vouches for it,
// but it makes no key one that is held.
bool is_refusal(const Bytes& reply) {
  return !reply.empty() && (reply.front() == 0xD8 || reply.front() == 0x0E);
}

void settle(Device& device, Transfer& transfer) {
  transfer.delivery = Delivery::settled;
  transfer.request.apdu.clear();
  for (const KeyName& key : transfer.keys) {
    if (key.role == Role::kek) continue;
    if (transfer.next_association)
      device.of(key.role).next = key.generation;
    else
      device.take_into_use(key);
  }
}

// True where the head end has a use for one of the keys, and so can tell whether the device has it.
bool can_be_probed(const Device& device, const Transfer& transfer) {
  return std::ranges::any_of(transfer.keys, [&](const KeyName& key) {
    return key.role != Role::kek && device.of(key.role).held.contains(key.generation);
  });
}

class Replies {
 public:
  Written written;

  void answer_transfer(Device& device, Transfer& transfer, const ReplyLine& line) {
    const bool late = transfer.delivery == Delivery::in_doubt && !transfer.reply && line.reply;
    if (transfer.delivery == Delivery::sent || late) judge(device, transfer, line);
    written.lines += reply_line(device, transfer);
  }

  void answer_association(Device& device, const ReplyLine& line) {
    if (!device.association || device.association->id != line.transfer_id)
      return;  // an earlier one
    const Request association = std::move(*device.association);
    device.association.reset();
    const std::optional<Bytes> reply = read(device, association, line);
    if (!reply || reply->empty() || reply->front() != 0xC4) {
      written.notes.push_back(device.id +
                              ": no association under its new keys; --requests asks for another");
      written.incomplete = written.incomplete || line.reply;
      return;
    }
    for (const Role role : {Role::guek, Role::gbek, Role::gak}) {
      if (const auto next = device.of(role).next) device.take_into_use({role, *next});
    }
  }

 private:
  void note(const std::string& text) {
    written.notes.push_back(text);
    written.incomplete = true;
  }

  std::optional<Bytes> read(Device& device, const Request& request, const ReplyLine& line) {
    if (!line.reply || is_refusal(*line.reply)) return line.reply;
    Unreadable reason{};
    std::optional<Bytes> plain = device.decipher(request, *line.reply, reason);
    if (!plain)
      note(line.place.file.string() + ":" + std::to_string(line.place.line) + ": the answer to " +
           request.id + " counts as none: " + std::string(text_of(reason)));
    return plain;
  }

  void judge(Device& device, Transfer& transfer, const ReplyLine& line) {
    transfer.reply = read(device, transfer.request, line);
    if (is_success(transfer)) return settle(device, transfer);
    if (can_be_probed(device, transfer)) {
      transfer.delivery = Delivery::in_doubt;
      return;
    }
    transfer.delivery = Delivery::settled;
    transfer.request.apdu.clear();
    for (const KeyName& key : transfer.keys)
      written.notes.push_back(text_of(key) + " of " + device.id +
                              " is in doubt, and an association can't show whether the device has "
                              "it: the key manager settles that by other means");
  }
};

}  // namespace

Written decipher_replies(const std::filesystem::path& file, Fleet& fleet) {
  const std::vector<ReplyLine> lines = read_replies(file);
  const auto is_association = [](const Device& device, const ReplyLine& line) {
    return line.transfer_id.starts_with(device.id + "/association-");
  };
  for (const ReplyLine& line : lines) {
    Device& device = device_of(fleet, line.place, line.device_id);
    if (device.find_transfer(line.transfer_id) == nullptr && !is_association(device, line))
      line.place.refuse("no request " + line.transfer_id + " was ciphered here for " + device.id +
                        ": is it an answer to a probe (--probe-answers), or to another head end?");
  }
  Replies replies;
  for (const ReplyLine& line : lines) {
    Device& device = *fleet.find(line.device_id);
    if (Transfer* transfer = device.find_transfer(line.transfer_id))
      replies.answer_transfer(device, *transfer, line);
    else
      replies.answer_association(device, line);
  }
  const auto doubtful = std::ranges::count_if(
      fleet.devices(), [](const Device& device) { return device.has(Delivery::in_doubt); });
  if (doubtful > 0)
    replies.written.notes.push_back(counted(static_cast<std::size_t>(doubtful), "device") +
                                    " in doubt: find out by --probe which keys they hold");
  return std::move(replies.written);
}

}  // namespace sim_headend
