// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "cli/common.hpp"
#include "command_line/input.hpp"

namespace smets1kms::cli {
namespace {

struct Confirmed {
  std::string transfer_id;
  Delivery delivery;
};
const Fields<Confirmed> confirm_fields("smets1-kms-confirm-1", "What an answer made of a transfer",
                                       {{"transfer_id", "the transfer", &Confirmed::transfer_id},
                                        {"delivery", "confirmed, in-doubt; unproven for a KEK",
                                         &Confirmed::delivery}});

ActionResult to_result(std::uint64_t number) { return static_cast<ActionResult>(number); }

ReplyContent content_of_line(const JsonObject& line) {
  if (line.has("invoke_byte") && (!line.has("reply") || line.is_null("reply")))
    throw BadInput(
        "\"invoke_byte\" goes with a \"reply\" in hex: it is compared with the byte in it");
  if (line.has("result")) {
    if (line.has("reply")) throw BadInput("\"reply\" and \"result\" are both there: one of them");
    return to_result(line.number("result", 0, UINT8_MAX));
  }
  if (!line.has("reply"))
    throw BadInput(
        "the member \"reply\" is missing: hex, or null where no answer came; or \"result\", the "
        "number that a DLMS stack gave");
  if (line.is_null("reply")) return std::nullopt;
  const auto apdu = line.text("reply", from_hex);
  if (!line.has("invoke_byte")) return apdu;
  return {apdu, static_cast<std::uint8_t>(line.number("invoke_byte", 0, UINT8_MAX))};
}

/// Reads the whole file before anything is recorded: a bad line refuses it.
std::vector<Reply> read_replies(const std::string& file) {
  std::vector<Reply> replies;
  for_each_json_line(file, [&](const JsonObject& line) {
    const auto [device, number] = line.text("transfer_id", parse_transfer_id);
    replies.push_back({device, number, content_of_line(line)});
  });
  return replies;
}

std::vector<Reply> chosen_replies(const Invocation& in) {
  const auto& values = in.values;
  const bool many = values.has("replies");
  if (values.has("transfer") == many)
    throw Usage(
        "either --transfer ID with --reply HEX, --result N or --no-answer, or --replies FILE");
  if (many && values.count({"reply", "result", "no-answer", "invoke-byte"}) != 0)
    throw Usage("--result, --reply and --no-answer go with --transfer; a file has its own");
  if (many) return read_replies(values.text("replies"));
  if (values.count({"reply", "result", "no-answer"}) != 1)
    throw Usage("one of --reply HEX, --result N and --no-answer");
  if (values.has("invoke-byte") && !values.has("reply"))
    throw Usage("--invoke-byte goes with --reply: it is compared with the byte in it");
  const auto [device, number] = values.needed("transfer", parse_transfer_id);
  if (const auto result = values.number("result")) return {{device, number, to_result(*result)}};
  if (values.has("no-answer")) return {{device, number, std::nullopt}};
  const auto apdu = values.needed("reply", from_hex);
  if (const auto invoke = values.number("invoke-byte"))
    return {{device, number, {apdu, static_cast<std::uint8_t>(*invoke)}}};
  return {{device, number, apdu}};
}

void run_confirm(const Invocation& in) {
  const auto replies = chosen_replies(in);
  const bool one = replies.size() == 1;
  auto kms = open_key_manager(in);
  std::map<Delivery, std::size_t> counts;
  Grouped failures(in.console);
  auto reply = replies.begin();
  kms.record_replies(
      [&] { return reply == replies.end() ? std::nullopt : std::optional(*reply++); },
      [&](const ReplyOutcome& outcome) {
        const auto id = transfer_id(outcome.reply.device, outcome.reply.transfer);
        if (outcome.failure) {
          if (one) std::rethrow_exception(outcome.failure);
          const auto failure = failure_of(outcome.failure);
          return failures.add(id, failure.reason, failure.text);
        }
        const Confirmed confirmed{id, outcome.result->delivery};
        ++counts[confirmed.delivery];
        show(in, confirm_fields, confirmed, [&](std::ostream& out) {
          if (one || confirmed.delivery == Delivery::in_doubt)
            out << id << "  " << to_string(confirmed.delivery) << '\n';
        });
      });
  if (!in.json && !one) {
    for (const auto& [delivery, count] : counts)
      in.out << count << " " << to_string(delivery) << '\n';
    if (failures.count() != 0) in.out << failures.count() << " refused\n";
  }
  failures.finish();
  if (replies.empty()) in.console.note("there are no replies in " + in.values.text("replies"));
  if (counts[Delivery::in_doubt] != 0)
    in.console.note(
        "in doubt: probe these devices (which key do they hold?), then 'smets1-kms resolve' (with "
        "--evidence-file for what a head end saw of many); nothing new is made for them meanwhile. "
        "A KEK can't be probed: rotate the GAK alone, whose success shows which one the device "
        "holds");
  if (failures.count() != 0)
    throw Unsuccessful(Exit::failed, "partly-failed",
                       std::to_string(failures.count()) + " of " + std::to_string(replies.size()) +
                           " replies were refused");
}

}  // namespace

Command confirm() {
  return {
      "confirm",
      "record what devices answered to transfers",
      "--transfer ID --reply HEX|--result N|--no-answer, or confirm --replies FILE",
      R"(
Records what devices answered. Success (ACTION-Response, result 0) confirms: the new key is active,
the old one deactivated. Any other answer, and none, puts the transfer in doubt: both keys are kept
until 'resolve' says which one a probe showed. A new KEK is 'unproven' after success, until a GAK
under it is accepted. The same answer given again changes nothing.
--replies: a file of JSON lines with transfer_id and reply (hex, or null where no answer came) or
result (the number that a DLMS stack gave); invoke_byte beside reply: the invoke-id-and-priority
byte of the request that was sent, where an answer to another request is to be refused.)",
      {text("transfer", "ID", "transfer id, as 'rotate' gave it"),
       text("reply", "HEX", "the answer, an APDU"),
       number("result", "N", "the result of the action, as a DLMS stack gives it", 0, UINT8_MAX),
       number("invoke-byte", "N",
              "with --reply: the invoke-id-and-priority byte that was sent; another one is "
              "refused",
              0, UINT8_MAX),
       flag("no-answer", "no answer came"),
       text("replies", "FILE", "file of JSON lines: transfer_id, reply or result")},
      run_confirm,
      {confirm_fields}};
}

}  // namespace smets1kms::cli
