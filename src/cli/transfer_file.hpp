// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "cli/common.hpp"
#include "cli/handover_file.hpp"

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
  /// `grows`: the file may hold any transfers. `handovers`: where the keys of targets go; nullptr:
  /// they stay in the registry.
  TransferFile(const Invocation& in, const std::string& file, const std::string& batch,
               bool grows = false, HandoverFile* handovers = nullptr);
  /// Writes the transfers of one rotation at once, those that the file did not have when it was
  /// opened.
  void write(const std::vector<KeyTransfer>& transfers, const std::string& operation_id);
  /// Writes a rotation: the keys of targets, then its transfers.
  void write(const Rotation& rotation);
  /// Writes a device's rotation, or adds its failure to `failures`.
  void take(const RotationResult& result, Grouped& failures);
  [[nodiscard]] std::size_t written() const { return written_; }
  /// Returns how many of the written transfers were handed out before.
  [[nodiscard]] std::size_t repeated() const { return repeated_; }
  /// Returns how many transfers wait for receipts of handover targets.
  [[nodiscard]] std::size_t withheld() const { return withheld_; }
  /// Returns how many keys stay in the registry for their targets.
  [[nodiscard]] std::size_t kept_for_targets() const { return kept_; }
  /// True if the transfer is in the file.
  [[nodiscard]] bool has(DeviceId device, std::uint32_t number) const;
  /// Writes those transfers of its batch that wait for their answer and are not in the file, and
  /// likewise the keys of targets: an earlier run wrote to another file, or the machine went down
  /// before it was on the disk. What the library refuses goes to `refused`.
  void complete(KeyManager& kms, const std::string& batch, Grouped& refused);

 private:
  void read_on(const std::string& file, const std::string& batch);
  using Name = std::pair<std::uint64_t, std::uint32_t>;  ///< device and number
  const Invocation& in_;
  std::optional<JsonLinesFile> out_;  ///< nullopt: standard output
  std::vector<Name> there_;           ///< sorted: 16 bytes for each transfer that the file had
  std::vector<Name> added_;           ///< to it since
  HandoverFile* handovers_;
  std::size_t written_ = 0, repeated_ = 0, withheld_ = 0, kept_ = 0;
};

}  // namespace smets1kms::cli
