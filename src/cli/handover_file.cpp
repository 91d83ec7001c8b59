// SPDX-License-Identifier: Apache-2.0
#include "cli/handover_file.hpp"

#include <fstream>

#include "smets1kms/audit_log.hpp"

namespace smets1kms::cli {

const Fields<HandoverLine>& handover_fields() {
  const auto of = [](auto get) {
    return [get](const HandoverLine& line) {
      return line.handover == nullptr ? std::nullopt
                                      : std::optional(std::invoke(get, *line.handover));
    };
  };
  static const Fields<HandoverLine> fields(
      "smets1-kms-handover-1",
      "A key wrapped for a handover target; or, at the end of a run, the signed head over its "
      "records alone",
      {{"device_id", "an EUI-64", of(&Handover::device)},
       {"role", "guek, gbek or gak", of(&Handover::role)},
       {"key_id", "its CKA_ID, hex", of(&Handover::key)},
       {"generation", "of that role", of(&Handover::generation)},
       {"target", "the party that it is wrapped for", of(&Handover::target)},
       {"target_generation", "which of its certificates", of(&Handover::target_generation)},
       {"hash", "of RSA-OAEP and its MGF1, without a label: SHA-1 or SHA-256", of(&Handover::hash)},
       {"wrapped", "the key under the target's RSA key, hex", of(&Handover::wrapped)},
       {"sha256", "of those bytes, hex, as the audit trail has it",
        of([](const Handover& h) { return to_lower_hex(h.challenge()); })},
       {"transfer_id", "the transfer that carries the key to its device",
        of([](const Handover& h) { return transfer_id(h.device, h.transfer); })},
       {"challenge", "for the receipt: the target proves the key over these bytes, hex",
        of(&Handover::challenge)},
       {"checkpoint", "a C2SP tlog-checkpoint; 'smets1-audit verify --handovers' checks the file",
        [](const HandoverLine& line) {
          return line.handover == nullptr ? std::optional(line.checkpoint) : std::nullopt;
        }}});
  return fields;
}

Option handover_out_option() {
  return text("handover-out", "FILE",
              "file for the keys of handover targets, a line of JSON each; one that is there is "
              "gone on with");
}

HandoverFile::HandoverFile(const Invocation& in, const std::string& file, bool grows)
    : in_(in), out_(file, grows ? JsonLinesFile::Mode::append : JsonLinesFile::Mode::create) {
  if (file == "-" || out_.is_new()) return;
  const std::string other = "no handover: name another file";
  read_own_lines(out_, file, "smets1-kms-handover-", other,
                 [&](const JsonObject& line, std::size_t) {
                   if ((has_head_ = line.has("checkpoint"))) return;
                   there_.emplace(key_of(line), line.text("target"));
                 });
}

void HandoverFile::write(const std::vector<Handover>& handovers) {
  std::string lines;
  for (const auto& handover : handovers) {
    const KeyRef key{handover.device, handover.role, handover.generation};
    if (!there_.emplace(key, handover.target).second) continue;
    lines += output::line_of(handover_fields(), HandoverLine{.handover = &handover});
    ++written_;
    has_head_ = false;
  }
  out_.write(lines);
}

void HandoverFile::complete(KeyManager& kms, const HandoverSelection& selection, Grouped& refused) {
  kms.handovers(
      selection,
      [&](const HandoverResult& result) {
        if (result.handover) return write({*result.handover});
        const auto failure = failure_of(result.failure);
        refused.add(result.device.to_string(), failure.reason, failure.text);
      },
      [&](const KeyRef& key, const std::string& target) {
        return !there_.contains({key, target});
      });
}

void HandoverFile::finish() {
  if (has_head_) return;
  const HandoverLine last{.checkpoint = audit_identity(config_of(in_)).head};
  out_.write(output::line_of(handover_fields(), last));
}

void read_own_lines(JsonLinesFile& out, const std::string& file, const std::string& schema,
                    const std::string& other,
                    const std::function<void(const JsonObject& line, std::size_t number)>& visit) {
  std::ifstream in(file);
  std::uint64_t size = 0;
  std::size_t number = 0;
  const auto begin = "{\"schema\":\"" + schema;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (!line.starts_with(begin.substr(0, in.eof() ? line.size() : begin.size())))
      throw BadFile(file, number, 1, other);
    if (in.eof()) {  // no newline: a process died over it
      out.cut(size);
      break;
    }
    size += line.size() + 1;
    visit(JsonObject(line, file, number), number);
  }
  if (in.bad()) throw BadInput(file + ": can't be read");
}

}  // namespace smets1kms::cli
