// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "cli/common.hpp"
#include "command_line/files.hpp"

namespace smets1kms::cli {

/// A transfer that is handed out.
struct ReleasedTransfer {
  const KeyTransfer& transfer;
  std::string operation_id;
};
[[nodiscard]] const Fields<ReleasedTransfer>& transfer_fields();

/// Destination of released transfers: a new file of JSON lines, mode 0600; standard output; or, for
/// a named batch, a file that grows with each run of it, in which a transfer stands once.
class TransferFile {
 public:
  /// Opens the destination. `file`: empty for standard output. `batch`: empty, or its name. Throws
  /// BadInput where the file is there (without a batch), or holds something else than transfers of
  /// this batch.
  TransferFile(const Invocation& in, const std::string& file, const std::string& batch);
  /// Writes the transfers of one rotation at once, those that the file did not have when it was
  /// opened.
  void write(const std::vector<KeyTransfer>& transfers, const std::string& operation_id);
  /// Writes the transfers of a device's rotation, or adds its failure to `failures`.
  void take(const RotationResult& result, Grouped& failures);
  [[nodiscard]] std::size_t written() const { return written_; }
  /// Returns how many of the written transfers were handed out before.
  [[nodiscard]] std::size_t repeated() const { return repeated_; }
  /// Writes those transfers of its batch that wait for their answer and are not in the file: an
  /// earlier run wrote to another one, or the machine went down before it was on the disk. What the
  /// library refuses goes to `refused`.
  void complete(KeyManager& kms, const std::string& batch, Grouped& refused);

 private:
  void read_on(const std::string& file, const std::string& batch);
  using Name = std::pair<std::uint64_t, std::uint32_t>;  ///< device and number
  const Invocation& in_;
  std::optional<JsonLinesFile> out_;  ///< nullopt: standard output
  std::vector<Name> there_;           ///< sorted: 16 bytes for each transfer that the file had
  std::vector<Name> added_;           ///< to it since
  std::size_t written_ = 0, repeated_ = 0;
};

}  // namespace smets1kms::cli
