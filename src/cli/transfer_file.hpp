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
  /// Writes the transfers of one rotation at once, except those that the file has.
  void write(const std::vector<KeyTransfer>& transfers, const std::string& operation_id);
  [[nodiscard]] std::size_t written() const { return written_; }
  /// Returns how many of the written transfers were handed out before.
  [[nodiscard]] std::size_t repeated() const { return repeated_; }
  /// True if the file was made here: no earlier run of the batch wrote to it.
  [[nodiscard]] bool is_new() const { return out_ && out_->is_new(); }

 private:
  void read_on(const std::string& file, const std::string& batch);
  using Name = std::pair<std::uint64_t, std::uint32_t>;  ///< device and number
  const Invocation& in_;
  std::optional<JsonLinesFile> out_;  ///< nullopt: standard output
  std::vector<Name> there_;           ///< sorted: 16 bytes for each transfer that the file had
  std::size_t written_ = 0, repeated_ = 0;
};

/// Writes a transfer that the library hands out again, or every one of a batch that waits for its
/// answer.
void write_again(const KeyManager& kms, const KeyTransfer& transfer, TransferFile& file);
void write_again(KeyManager& kms, const std::string& batch, TransferFile& file);

}  // namespace smets1kms::cli
