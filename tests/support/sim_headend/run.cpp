// SPDX-License-Identifier: Apache-2.0
#include "sim_headend/run.hpp"

#include <fstream>
#include <iostream>
#include <utility>

#include "common/files.hpp"
#include "sim_headend/state_file.hpp"
#include "sim_headend/steps.hpp"

namespace sim_headend {
namespace {

using support::InputError;

constexpr const char* default_title = "4D4D4D0000BC614E";  // the Green Book's example of a client

Fleet fleet_of(const Options& options) {
  std::optional<Fleet> fleet = load_state(options.state);
  if (fleet && options.system_title && fleet->own_title() != *options.system_title)
    throw InputError(options.state.string() +
                     ": has another --system-title, which its devices "
                     "know: begin a new state file for another");
  if (!fleet)
    fleet = Fleet(options.system_title.value_or(*support::bytes_of_hex(default_title)), {});
  if (options.devices) fleet->add(*options.devices);
  if (fleet->devices().empty())
    throw InputError(options.state.string() +
                     ": no devices yet: give --devices headend.csv on the first run");
  return std::move(*fleet);
}

void write_text(const std::filesystem::path& file, const std::string& text, bool append) {
  std::ofstream out(file, append ? std::ios::app : std::ios::trunc);
  out << text << std::flush;
  if (!out) throw InputError(file.string() + ": can't be written");
}

}  // namespace

bool run(const Options& options) {
  Fleet fleet = fleet_of(options);
  std::vector<std::pair<std::filesystem::path, Written>> written;
  const auto add = [&](const File& to, Written step) {
    written.emplace_back(*to, std::move(step));
  };
  if (options.handovers)
    add(options.receipts,
        open_handovers(*options.handovers, options.target, TargetKeys(options.target_keys), fleet));
  if (options.requests) add(options.requests, cipher_requests(options.transfers, fleet));
  if (options.ciphered_replies)
    add(options.replies, decipher_replies(*options.ciphered_replies, fleet));
  if (options.probe) add(options.probe, cipher_probes(fleet));
  if (options.probe_answers)
    add(options.evidence, read_probe_answers(*options.probe_answers, fleet));
  if (options.challenges) add(options.proofs, answer_challenges(*options.challenges, fleet));

  // The state comes first: a request that was written has used up its invocation counter.
  save_state(options.state, fleet);
  bool complete = true;
  for (const auto& [file, step] : written) {
    write_text(file, step.lines, options.append && file == *options.replies);
    for (const std::string& note : step.notes) std::cerr << "smets1-sim-headend: " << note << '\n';
    complete = complete && !step.incomplete;
  }
  if (options.report) std::cout << report_of(fleet);
  return complete;
}

}  // namespace sim_headend
