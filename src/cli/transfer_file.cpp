// SPDX-License-Identifier: Apache-2.0
#include "cli/transfer_file.hpp"

#include <algorithm>
#include <cerrno>

#include "command_line/input.hpp"

namespace smets1kms::cli {

const Fields<ReleasedTransfer>& transfer_fields() {
  using Released = ReleasedTransfer;
  static const Fields<TransferredKey> keys(
      {{"role", "guek, gbek, gak or kek", &TransferredKey::role},
       {"key_id", "its CKA_ID, hex", &TransferredKey::id},
       {"generation", "of that role", &TransferredKey::generation}});
  const auto of = [](auto get) {
    return [get](const Released& r) { return std::invoke(get, r.transfer); };
  };
  const auto first = [](auto member) {
    return [member](const Released& r) { return r.transfer.keys().front().*member; };
  };
  static const Fields<Released> fields(
      "smets1-kms-transfer-1", "A key transfer that was released for a device",
      {{"transfer_id", "its name, for 'confirm'", of(&KeyTransfer::id), "transfer_id"},
       {"device_id", "an EUI-64", of(&KeyTransfer::device)},
       {"role", "of the first key", first(&TransferredKey::role), "role"},
       {"key_id", "of the first key, hex", first(&TransferredKey::id), "key_id"},
       {"generation", "of the first key", first(&TransferredKey::generation), "generation"},
       nested("keys", "all of them, where there are several", keys,
              [](const Released& r) {
                const auto& all = r.transfer.keys();
                return all.size() > 1 ? std::optional(all) : std::nullopt;
              }),
       {"kek_id", "the KEK they are wrapped under, hex", of(&KeyTransfer::kek)},
       {"activation", "immediate, or next-association", of(&KeyTransfer::activation)},
       {"resets_unicast_counter", "true if the device's counter begins anew",
        of(&KeyTransfer::resets_unicast_counter)},
       {"resets_broadcast_counter", "true if the device's counter begins anew",
        of(&KeyTransfer::resets_broadcast_counter)},
       {"released_before", "true if these bytes were handed out before",
        of(&KeyTransfer::released_before)},
       {"parameter", "of key_transfer, A-XDR, hex", of(&KeyTransfer::parameter)},
       {"action_request", "the whole request, hex", of(&KeyTransfer::action_request),
        "action_request"},
       {"operation_id", "the rotation", &Released::operation_id, "operation_id"}});
  return fields;
}

TransferFile::TransferFile(const Invocation& in, const std::string& file, const std::string& batch,
                           bool grows, HandoverFile* handovers)
    : in_(in), handovers_(handovers) {
  if (file.empty()) return;
  using Mode = JsonLinesFile::Mode;
  out_.emplace(file, batch.empty() && !grows ? Mode::create : Mode::append);
  if (!out_->is_new()) read_on(file, batch);
}

void TransferFile::read_on(const std::string& file, const std::string& batch) {
  const auto other = batch.empty() ? std::string("not a transfer: name another file")
                                   : "not a transfer of the batch " + batch + ": name another file";
  read_own_lines(*out_, file, "smets1-kms-transfer-", other,
                 [&](const JsonObject& line, std::size_t number) {
                   if (!line.has("operation_id") ||
                       (!batch.empty() && !line.text("operation_id").starts_with(batch + ":")))
                     throw BadFile(file, number, 1, other);
                   const auto [device, transfer] = line.text("transfer_id", parse_transfer_id);
                   there_.emplace_back(device.number(), transfer);
                 });
  std::ranges::sort(there_);
}

bool TransferFile::has(DeviceId device, std::uint32_t number) const {
  return std::ranges::binary_search(there_, Name{device.number(), number});
}

void TransferFile::write(const std::vector<KeyTransfer>& transfers,
                         const std::string& operation_id) try {
  std::string lines;
  for (const auto& transfer : transfers) {
    const ReleasedTransfer released{transfer, operation_id};
    if (has(transfer.device(), transfer.number())) continue;
    ++written_;
    if (out_) added_.emplace_back(transfer.device().number(), transfer.number());
    repeated_ += transfer.released_before() ? 1 : 0;
    if (out_)
      lines += output::line_of(transfer_fields(), released);
    else
      show(in_, transfer_fields(), released, [&](std::ostream& out) {
        print_facts(out, transfer_fields(), released);
        if (transfer.released_before())
          out << "NOTE            handed out before under this operation id: send it only if it is "
                 "certain that it was not sent\n";
        out << '\n';
      });
  }
  if (out_)
    out_->write(lines);
  else if (!in_.exact.flush())
    throw FileError("standard output", "can't be written", errno);
} catch (const FileError& error) {
  throw Error(error.what() +
              std::string(". What was released stays in the registry: run the command again with "
                          "the same --operation-id or --batch, or 'transfer'"));
}

void TransferFile::write(const Rotation& rotation) {
  withheld_ += rotation.withheld().size();
  if (handovers_ == nullptr)
    kept_ += rotation.handovers().size();
  else
    handovers_->write(rotation.handovers());
  write(rotation.transfers(), rotation.operation_id());
}

void TransferFile::take(const RotationResult& result, Grouped& failures) {
  if (result.rotation) return write(*result.rotation);
  const auto failure = failure_of(result.failure);
  failures.add(result.device.to_string(), failure.reason, failure.text);
}

void TransferFile::complete(KeyManager& kms, const std::string& batch, Grouped& refused) {
  there_.insert(there_.end(), added_.begin(), added_.end());
  added_.clear();
  std::ranges::sort(there_);
  const auto each = [&](const RotationResult& result) { take(result, refused); };
  kms.transfers(batch, each,
                [&](DeviceId device, std::uint32_t number) { return !has(device, number); });
  if (handovers_ != nullptr) handovers_->complete(kms, {.target = {}, .batch = batch}, refused);
}

}  // namespace smets1kms::cli
