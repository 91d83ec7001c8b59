// SPDX-License-Identifier: Apache-2.0
#include "sim_headend/options.hpp"

#include <boost/program_options.hpp>
#include <iostream>

#include "common/files.hpp"

namespace sim_headend {
namespace {

namespace po = boost::program_options;
using support::UsageError;

constexpr const char* introduction =
    R"(smets1-sim-headend: a party that uses the keys of meters, for tests and demonstrations.

It opens the keys that the key manager hands over to it, ciphers the key transfers under the keys that each device
uses, deciphers the answers, and finds out by associations which keys a device in doubt holds. It shares no code with
smets1-kms, and none of its ciphering with smets1-sim-meter.

  first run       smets1-sim-headend --state head.state --devices headend.csv
  open keys       smets1-sim-headend --state head.state --target NAME --target-key target.key.pem
                    --handovers handovers.jsonl --receipts receipts.jsonl
  cipher          smets1-sim-headend --state head.state --transfers transfers.jsonl --requests requests.jsonl
  deliver         smets1-sim-meter --state fleet.state --transfers requests.jsonl --replies ciphered.jsonl
  decipher        smets1-sim-headend --state head.state --ciphered-replies ciphered.jsonl --replies replies.jsonl
  in doubt        smets1-sim-headend --state head.state --probe probes.jsonl
                  smets1-sim-meter --state fleet.state --transfers probes.jsonl --replies answers.jsonl
                  smets1-sim-headend --state head.state --probe-answers answers.jsonl --evidence evidence.jsonl
  which key?      smets1-sim-headend --state head.state --prove challenges.jsonl --proofs proofs.jsonl
  look            smets1-sim-headend --state head.state --report

A device is asked one thing at a time: "cipher", "deliver" and "decipher" are repeated with the same transfers until
requests.jsonl is empty. Within one run the order is: devices, handovers, transfers, replies, probe, probe answers,
prove, report.
)";

constexpr const char* explanation = R"(
A request without an answer is ciphered once; asked for again, it is written byte by byte as it was. Keys that a
device has taken and uses from its next association on are used here after an association under them, which --requests
writes before anything else. A transfer without a readable "success" leaves its device in doubt: it gets no other
before --probe-answers has shown which keys it holds. Files may be read twice.

Exit code: 0 done; 1 bad input or a file that can't be used (nothing is changed then), or done with something left to
look at, which standard error names: an answer that can't be read, a device that stays in doubt; 2 wrong usage.
)";

File path_of(const po::variables_map& given, const char* name) {
  if (given.count(name) == 0) return std::nullopt;
  return given[name].as<std::string>();
}

po::options_description described() {
  po::options_description options("Options");
  auto add = options.add_options();
  const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
  add("state", text("FILE"),
      "devices, keys and counters; made on first use, mode 0600. It contains keys in clear");
  add("devices", text("CSV"),
      "device_id,system_title,security_suite,guek,gak,gbek: devices and their first keys, from "
      "their manufacturer. Needed once; again it adds those that are new");
  add("system-title", text("HEX"),
      "of this head end, 8 bytes; with the first --devices. Default: 4D4D4D0000BC614E");
  add("target", text("NAME"), "the name of this handover target");
  add("target-key", po::value<std::vector<std::string>>()->composing()->value_name("PEM"),
      "its RSA private key; repeatable, while its certificate is being renewed");
  add("handovers", text("JSONL"), "wrapped keys; lines of other targets are passed over");
  add("receipts", text("JSONL"), "a proof of receipt for each key opened");
  add("transfers", text("JSONL"), "transfers that the key manager has released");
  add("requests", text("JSONL"), "ciphered requests, for smets1-sim-meter --transfers");
  add("ciphered-replies", text("JSONL"), "the devices' answers to --requests");
  add("replies", text("JSONL"), "the answers deciphered, for smets1-kms confirm --replies");
  add("append", po::bool_switch(), "add to the replies file instead of overwriting it");
  add("probe", text("JSONL"),
      "requests that show which keys the devices in doubt hold, for smets1-sim-meter --transfers");
  add("probe-answers", text("JSONL"), "the devices' answers to --probe");
  add("evidence", text("JSONL"), "what they show, for smets1-kms resolve --evidence-file");
  add("prove", text("JSONL"),
      "challenges: device_id, role (guek, gbek, gak), challenge (hex, 16 to 64 bytes)");
  add("proofs", text("JSONL"),
      "the same lines with proof by the key in use: hex, or null where there is no such key");
  add("report", po::bool_switch(), "print as JSON which keys are used for each device");
  add("help", "this text");
  return options;
}

void require_pair(const File& one, const File& other, const char* names) {
  if (one.has_value() != other.has_value()) throw UsageError(std::string(names) + " go together");
}

void check(const Options& options) {
  require_pair(options.handovers, options.receipts, "--handovers and --receipts");
  require_pair(options.ciphered_replies, options.replies, "--ciphered-replies and --replies");
  require_pair(options.probe_answers, options.evidence, "--probe-answers and --evidence");
  require_pair(options.challenges, options.proofs, "--prove and --proofs");
  if (options.transfers && !options.requests) throw UsageError("--transfers needs --requests");
  if (options.handovers && (options.target.empty() || options.target_keys.empty()))
    throw UsageError("--handovers needs --target and --target-key");
  if (options.append && !options.replies) throw UsageError("--append needs --replies");
  if (options.system_title && options.system_title->size() != 8)
    throw UsageError("--system-title: expected 8 bytes of hex");
}

}  // namespace

std::optional<Options> parse_options(int argc, const char* const* argv) {
  const po::options_description description = described();
  po::variables_map given;
  try {
    const int style =
        po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
    po::store(
        po::command_line_parser(argc, argv).options(description).positional({}).style(style).run(),
        given);
    po::notify(given);
  } catch (const po::error& error) {
    throw UsageError(error.what());
  }
  if (given.count("help") != 0) {
    std::cout << introduction << '\n' << description << explanation;
    return std::nullopt;
  }

  if (given.count("state") == 0) throw UsageError("--state FILE is needed");
  Options options;
  options.state = given["state"].as<std::string>();
  for (const auto& [name, file] : {std::pair("devices", &options.devices),
                                   {"handovers", &options.handovers},
                                   {"receipts", &options.receipts},
                                   {"transfers", &options.transfers},
                                   {"requests", &options.requests},
                                   {"ciphered-replies", &options.ciphered_replies},
                                   {"replies", &options.replies},
                                   {"probe", &options.probe},
                                   {"probe-answers", &options.probe_answers},
                                   {"evidence", &options.evidence},
                                   {"prove", &options.challenges},
                                   {"proofs", &options.proofs}})
    *file = path_of(given, name);
  if (given.count("target") != 0) options.target = given["target"].as<std::string>();
  if (given.count("target-key") != 0) {
    for (const auto& file : given["target-key"].as<std::vector<std::string>>())
      options.target_keys.emplace_back(file);
  }
  if (given.count("system-title") != 0)
    options.system_title =
        support::bytes_of_hex(given["system-title"].as<std::string>()).value_or(support::Bytes{});
  options.append = given["append"].as<bool>();
  options.report = given["report"].as<bool>();
  check(options);
  return options;
}

}  // namespace sim_headend
