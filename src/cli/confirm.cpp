#include <iostream>
#include <map>

#include "cli/commands.hpp"

namespace smets1kms::cli {
namespace {

constexpr const char* text =
    "Records what devices answered. Success (ACTION-Response, result 0) confirms: the new key is active, the\n"
    "old one deactivated. Any other answer, and none, puts the transfer in doubt: both keys are kept until\n"
    "'resolve' says which one a probe showed. A new KEK is 'unproven' after success, until a GAK under it is\n"
    "accepted. The same answer given again changes nothing.\n"
    "--replies: a file of JSON lines with transfer_id and reply (hex, or null where no answer came).";

std::pair<DeviceId, std::uint32_t> parse_transfer(const std::string& id) {
  const auto slash = id.find('/');
  std::size_t used = 0;
  unsigned long number = 0;
  try {
    if (slash != std::string::npos) number = std::stoul(id.substr(slash + 1), &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (slash == std::string::npos || used == 0 || slash + 1 + used != id.size() || number > UINT32_MAX)
    throw BadInput("'" + id + "' is not a transfer id: 'rotate' gives it, like 00-DB-12-34-56-78-90-A0/1");
  return {DeviceId::parse(id.substr(0, slash)), static_cast<std::uint32_t>(number)};
}

struct Answer {
  std::string transfer;
  std::optional<Bytes> reply;
};

std::vector<Answer> read_replies(const std::string& file) {
  std::vector<Answer> answers;
  read_json_lines(file, [&](const Json& json, std::size_t line) {
    Answer answer{.transfer = member(json, "transfer_id", file, line), .reply = {}};
    try {
      (void)parse_transfer(answer.transfer);
      if (!json.contains("reply")) throw BadInput("the member \"reply\" is missing: hex, or null where no answer came");
      if (!json["reply"].is_null()) answer.reply = from_hex(member(json, "reply", file, line));
    } catch (const BadFile&) {
      throw;
    } catch (const BadInput& error) {
      throw BadFile(file, line, 1, error.what());
    }
    answers.push_back(std::move(answer));
  });
  return answers;
}

std::vector<Answer> chosen_answers(const options::variables_map& values) {
  const bool one = values.count("transfer") != 0, many = values.count("replies") != 0;
  if (one == many) throw Usage("either --transfer ID with --reply HEX or --no-answer, or --replies FILE");
  if (many) return read_replies(values["replies"].as<std::string>());
  if ((values.count("reply") != 0) == (values.count("no-answer") != 0)) throw Usage("either --reply HEX or --no-answer");
  return {{.transfer = values["transfer"].as<std::string>(),
           .reply = values.count("reply") != 0 ? std::optional(from_hex(values["reply"].as<std::string>())) : std::nullopt}};
}

}  // namespace

int confirm(const Invocation& invocation) {
  options::options_description own;
  own.add_options()("transfer", options::value<std::string>(), "transfer id, as 'rotate' gave it")(
      "reply", options::value<std::string>(), "the ACTION-Response, hex")("no-answer", "no answer came")("replies", options::value<std::string>(),
                                                                                                         "file of JSON lines: transfer_id, reply");
  const auto values = parse(invocation, "confirm --transfer ID --reply HEX|--no-answer, or confirm --replies FILE", text, own);
  const auto answers = chosen_answers(values);
  ProgressLine line;
  auto kms = KeyManager::open(invocation.config(), surroundings(line));
  std::map<Delivery, std::size_t> counts;
  std::size_t refused = 0, done = 0;
  for (const auto& answer : answers) {
    const auto [device, number] = parse_transfer(answer.transfer);
    try {
      const auto result = kms.record_reply(device, number, answer.reply);
      ++counts[result.delivery];
      if (invocation.json)
        std::cout << Json{{"transfer_id", answer.transfer}, {"delivery", to_string(result.delivery)}}.dump() << '\n';
      else if (answers.size() == 1 || result.delivery == Delivery::in_doubt)
        std::cout << answer.transfer << "  " << to_string(result.delivery) << '\n';
    } catch (const Refused& refusal) {
      if (answers.size() == 1) throw;
      ++refused;
      remark(answer.transfer + ": " + refusal.what());
    }
    line.show({.what = "answers recorded", .done = ++done, .total = answers.size()});
  }
  if (!invocation.json && answers.size() > 1) {
    for (const auto& [delivery, count] : counts) std::cout << count << " " << to_string(delivery) << '\n';
    if (refused != 0) std::cout << refused << " refused\n";
  }
  if (counts[Delivery::in_doubt] != 0)
    remark("in doubt: probe these devices (which key do they hold?), then 'smets1-kms resolve'; nothing new is made for them meanwhile");
  return refused == 0 ? 0 : 1;
}

}  // namespace smets1kms::cli
