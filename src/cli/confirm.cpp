// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <map>

#include "cli/commands.hpp"

namespace smets1kms::cli {
namespace {

constexpr const char* text =
    "Records what devices answered. Success (ACTION-Response, result 0) confirms: the new key is "
    "active, the\n"
    "old one deactivated. Any other answer, and none, puts the transfer in doubt: both keys are "
    "kept until\n"
    "'resolve' says which one a probe showed. A new KEK is 'unproven' after success, until a GAK "
    "under it is\n"
    "accepted. The same answer given again changes nothing.\n"
    "--replies: a file of JSON lines with transfer_id and reply (hex, or null where no answer "
    "came).";

std::pair<DeviceId, std::uint32_t> parse_transfer(const std::string& id) {
  const auto slash = id.find('/');
  std::size_t used = 0;
  unsigned long number = 0;
  try {
    if (slash != std::string::npos) number = std::stoul(id.substr(slash + 1), &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (slash == std::string::npos || used == 0 || slash + 1 + used != id.size() ||
      number > UINT32_MAX)
    throw BadInput("'" + id +
                   "' is not a transfer id: 'rotate' gives it, like 00-DB-12-34-56-78-90-A0/1");
  return {DeviceId::parse(id.substr(0, slash)), static_cast<std::uint32_t>(number)};
}

/// The whole file is read before anything is recorded: a bad line refuses it.
std::vector<Reply> read_replies(const std::string& file) {
  std::vector<Reply> replies;
  read_json_lines(file, [&](const Json& json, std::size_t line) {
    const auto [device, number] = parse_transfer(member(json, "transfer_id", file, line));
    Reply reply{.device = device, .transfer = number, .content = std::nullopt};
    if (!json.contains("reply"))
      throw BadInput("the member \"reply\" is missing: hex, or null where no answer came");
    if (!json["reply"].is_null()) reply.content = from_hex(member(json, "reply", file, line));
    replies.push_back(std::move(reply));
  });
  return replies;
}

std::vector<Reply> chosen_replies(const options::variables_map& values) {
  const bool one = values.count("transfer") != 0, many = values.count("replies") != 0;
  if (one == many)
    throw Usage("either --transfer ID with --reply HEX or --no-answer, or --replies FILE");
  if (many && (values.count("reply") != 0 || values.count("no-answer") != 0))
    throw Usage("--reply and --no-answer go with --transfer; a file has its own");
  if (many) return read_replies(values["replies"].as<std::string>());
  if ((values.count("reply") != 0) == (values.count("no-answer") != 0))
    throw Usage("either --reply HEX or --no-answer");
  const auto [device, number] = needed(values, "transfer", parse_transfer);
  return {{.device = device,
           .transfer = number,
           .content = values.count("reply") != 0 ? ReplyContent(needed(values, "reply", from_hex))
                                                 : ReplyContent(std::nullopt)}};
}

}  // namespace

int confirm(const Invocation& invocation) {
  options::options_description own;
  own.add_options()("transfer", options::value<std::string>(), "transfer id, as 'rotate' gave it")(
      "reply", options::value<std::string>(), "the ACTION-Response, hex")(
      "no-answer", "no answer came")("replies", options::value<std::string>(),
                                     "file of JSON lines: transfer_id, reply");
  const auto values =
      parse(invocation, "confirm --transfer ID --reply HEX|--no-answer, or confirm --replies FILE",
            text, own);
  const auto replies = chosen_replies(values);
  ProgressLine line;
  auto kms = KeyManager::open(invocation.config(), callbacks(line));
  std::map<Delivery, std::size_t> counts;
  std::size_t refused = 0, done = 0;
  auto reply = replies.begin();
  kms.record_replies(
      [&] { return reply == replies.end() ? std::nullopt : std::optional(*reply++); },
      [&](const ReplyOutcome& outcome) {
        const std::string transfer =
            outcome.reply.device.to_string() + "/" + std::to_string(outcome.reply.transfer);
        line.show({.what = "answers recorded", .done = ++done, .total = replies.size()});
        if (outcome.failure) {
          if (replies.size() == 1) std::rethrow_exception(outcome.failure);
          ++refused;
          remark(transfer + ": " + what_failed(outcome.failure));
          return;
        }
        const auto delivery = outcome.result->delivery;
        ++counts[delivery];
        if (invocation.json)
          std::cout << Json{{"transfer_id", transfer}, {"delivery", to_string(delivery)}}.dump()
                    << '\n';
        else if (replies.size() == 1 || delivery == Delivery::in_doubt)
          std::cout << transfer << "  " << to_string(delivery) << '\n';
      });
  if (!invocation.json && replies.size() > 1) {
    for (const auto& [delivery, count] : counts)
      std::cout << count << " " << to_string(delivery) << '\n';
    if (refused != 0) std::cout << refused << " refused\n";
  }
  if (counts[Delivery::in_doubt] != 0)
    remark(
        "in doubt: probe these devices (which key do they hold?), then 'smets1-kms resolve'; "
        "nothing new is made for them meanwhile. "
        "A KEK can't be probed: rotate the GAK alone, whose success shows which one the device "
        "holds");
  return refused == 0 ? 0 : 1;
}

}  // namespace smets1kms::cli
