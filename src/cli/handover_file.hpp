// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/common.hpp"
#include "command_line/files.hpp"
#include "command_line/input.hpp"
#include "command_line/text.hpp"

namespace smets1kms::cli {

/// A line of a handover file: a key for a target, or the signed head at the end of a run.
struct HandoverLine {
  const Handover* handover = nullptr;
  std::string checkpoint{};
};
[[nodiscard]] const Fields<HandoverLine>& handover_fields();

/// Destination of keys for handover targets: a file of JSON lines, mode 0600, that grows with each
/// run of a batch, in which a key for a target stands once, or standard output. Each run that wrote
/// a line ends with the signed head over its records.
class HandoverFile {
 public:
  /// Opens the destination. `file`: "-" for standard output. `grows`: it may be there, with
  /// handovers. Throws BadInput where it is there and may not be, or holds something else.
  HandoverFile(const Invocation& in, const std::string& file, bool grows);
  /// Writes the handovers that the file did not have.
  void write(const std::vector<Handover>& handovers);
  /// Writes what is stored for a selection and is not in the file. What the library refuses goes to
  /// `refused`.
  void complete(KeyManager& kms, const HandoverSelection& selection, Grouped& refused);
  /// Writes the signed head, where none stands behind the last line.
  void finish();
  [[nodiscard]] std::size_t written() const { return written_; }

 private:
  const Invocation& in_;
  JsonLinesFile out_;
  std::set<std::pair<KeyRef, std::string>> there_;  ///< keys and their targets' names
  std::size_t written_ = 0;
  bool has_head_ = true;  ///< behind the last line
};

/// Returns the option --handover-out.
[[nodiscard]] Option handover_out_option();

/// Reads the lines that a file of ours holds, and cuts off a last one that a process died over.
/// Throws BadFile that says `other` for a line of another schema than `schema`.
void read_own_lines(JsonLinesFile& out, const std::string& file, const std::string& schema,
                    const std::string& other,
                    const std::function<void(const JsonObject& line, std::size_t number)>& visit);

}  // namespace smets1kms::cli
