// SPDX-License-Identifier: Apache-2.0
#include "sim_meter/options.hpp"

#include <boost/program_options.hpp>
#include <iostream>

#include "common/files.hpp"

namespace sim_meter {
namespace {

namespace po = boost::program_options;
using support::UsageError;

constexpr const char* introduction =
    R"(smets1-sim-meter: a fleet of simulated DLMS meters, for tests and demonstrations.

It takes ACTION requests as a head end would send them, unwraps the keys under each meter's own KEK and
answers as meters do, badly where told to. It shares no code with smets1-kms, and none of its ciphering with
smets1-sim-headend. Without --ciphered the meters take requests in clear, and answer in clear.

  first run     smets1-sim-meter --meters meters.csv --state fleet.state --ciphered
  deliver       smets1-sim-meter --state fleet.state --transfers transfers.jsonl --replies replies.jsonl
  go wrong      smets1-sim-meter --state fleet.state --fault '#3=lose-reply' --fault-once --transfers ...
  which key?    smets1-sim-meter --state fleet.state --prove challenges.jsonl --proofs proofs.jsonl
  look          smets1-sim-meter --state fleet.state --report

Within one run the order is: install, cipher, set faults, deliver, associate, prove, report.
)";

constexpr const char* explanation = R"(
Faults, kept in the state file until 'none' ends them; several may hold for one meter:
  lose-request        the request never arrives; no reply
  lose-reply          keys applied; no reply
  not-ok              keys not applied; the meter says so
  not-ok-after-apply  keys applied; the meter says they were not
  first-only          of several keys applies the first, then says not ok; one key alone works
  one-element-only    refuses a request with more than one key
  next-association    applies keys, but uses them only after --associate (a KEK changes at once)
  none                ends all faults of the meter

A ciphered meter takes glo-action-request and glo-get-request under security control 30 (and its suite), the GET
under the broadcast key set (70) too, in the name of --client-title. It answers the rest in clear:
  D8 01 01            the request is in clear
  D8 01 05            no key in use opens it: a wrong tag, or another form
  D8 01 06 + 4 bytes  its invocation counter is not above the last one, which follows
A GET under security control 30 is an association: keys that wait for one come into use where it was made under
them; made under the keys in use, it leaves them waiting. Answers go under the keys of their request, with the
meter's own system title and counter. A new GUEK or GBEK starts its counters again when it comes into use.

DEVICE is a device id, '#N' for every Nth meter in the order of meters.csv, or 'all'.

Exit code: 0 done (also when meters refused), 1 bad input or a file that can't be used, 2 wrong usage.
)";

FaultSetting fault_setting(const std::string& text) {
  const std::size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0)
    throw UsageError("--fault " + text + ": expected DEVICE=KIND");
  FaultSetting setting{text.substr(0, equals), std::nullopt};
  const std::string kind = text.substr(equals + 1);
  if (kind == "none") return setting;
  setting.fault = fault_of_name(kind);
  if (!setting.fault) throw UsageError("--fault " + text + ": no fault is called '" + kind + "'");
  return setting;
}

std::optional<std::filesystem::path> path_of(const po::variables_map& given, const char* name) {
  if (given.count(name) == 0) return std::nullopt;
  return given[name].as<std::string>();
}

std::vector<std::string> texts_of(const po::variables_map& given, const char* name) {
  if (given.count(name) == 0) return {};
  return given[name].as<std::vector<std::string>>();
}

po::options_description described() {
  using Texts = std::vector<std::string>;
  po::options_description options("Options");
  auto add = options.add_options();
  add("state", po::value<std::string>()->value_name("FILE"),
      "what the meters hold; made on first use, mode 0600. It contains their keys in clear");
  add("meters", po::value<std::string>()->value_name("CSV"),
      "device_id,kek, or with first keys device_id,kek,system_title,security_suite,guek,gak,gbek: "
      "the meters to install. Needed once; again it adds those that are new");
  add("ciphered", po::bool_switch(),
      "refuse requests that are not ciphered, from now on. Kept in the state file");
  add("client-title",
      po::value<std::string>()->default_value("4D4D4D0000BC614E")->value_name("HEX"),
      "with --ciphered: the system title of who ciphers the requests, 8 bytes");
  add("transfers", po::value<std::string>()->value_name("JSONL"),
      "requests to deliver, in order: transfer_id, device_id, action_request (hex)");
  add("replies", po::value<std::string>()->value_name("JSONL"),
      "their replies: transfer_id, device_id, reply (hex, null when none came)");
  add("append", po::bool_switch(), "add to the replies file instead of overwriting it");
  add("fault", po::value<Texts>()->composing()->value_name("DEVICE=KIND"),
      "what is to go wrong; repeatable");
  add("fault-once", po::bool_switch(),
      "the faults of this command hold for the next request of each meter only");
  add("associate", po::value<Texts>()->composing()->value_name("DEVICE"),
      "a new association: keys received but not yet in use come into use; repeatable");
  add("prove", po::value<std::string>()->value_name("JSONL"),
      "challenges: device_id, role (guek, gbek, gak), challenge (hex, 16 to 64 bytes)");
  add("proofs", po::value<std::string>()->value_name("JSONL"),
      "the same lines with proof: hex, or null from a meter without that key");
  add("report", po::bool_switch(), "print as JSON what each meter has seen, and the totals");
  add("help", "this text");
  return options;
}

void require_pair(bool one, bool other, const char* names) {
  if (one != other) throw UsageError(std::string(names) + " go together");
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

  Options options;
  options.meters = path_of(given, "meters");
  options.transfers = path_of(given, "transfers");
  if (given["ciphered"].as<bool>()) {
    options.client_title = support::bytes_of_hex(given["client-title"].as<std::string>());
    if (!options.client_title || options.client_title->size() != 8)
      throw UsageError("--client-title: expected 8 bytes of hex");
  } else if (!given["client-title"].defaulted()) {
    throw UsageError("--client-title needs --ciphered");
  }
  options.replies = path_of(given, "replies");
  options.challenges = path_of(given, "prove");
  options.proofs = path_of(given, "proofs");
  for (const std::string& text : texts_of(given, "fault"))
    options.faults.push_back(fault_setting(text));
  options.associate = texts_of(given, "associate");
  options.append = given["append"].as<bool>();
  options.fault_once = given["fault-once"].as<bool>();
  options.report = given["report"].as<bool>();

  if (given.count("state") == 0) throw UsageError("--state FILE is needed");
  options.state = given["state"].as<std::string>();
  require_pair(options.transfers.has_value(), options.replies.has_value(),
               "--transfers and --replies");
  require_pair(options.challenges.has_value(), options.proofs.has_value(), "--prove and --proofs");
  if (options.append && !options.replies) throw UsageError("--append needs --replies");
  if (options.fault_once && options.faults.empty()) throw UsageError("--fault-once needs --fault");
  return options;
}

}  // namespace sim_meter
