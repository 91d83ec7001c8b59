// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <string>
#include <vector>

#include "cli/commands.hpp"

namespace smets1kms::cli {

/// Where released transfers go: a new file of JSON lines, standard output, or, for a batch that has
/// a name, a file that is gone on with: a batch that was interrupted finds there which devices it
/// is through with.
class TransferFile {
 public:
  /// file: empty for standard output. batch: empty, or the name that its operation ids begin with.
  /// Throws BadInput: the file is there (without a batch), or holds something else than this
  /// batch's transfers.
  TransferFile(const std::string& file, const std::string& batch, bool json);
  ~TransferFile();
  TransferFile(const TransferFile&) = delete;
  /// All of a device in one write.
  void write(const Rotation& rotation);
  /// Its transfers are in the file already.
  [[nodiscard]] bool has(const RotationRequest& request) const;
  /// What an earlier run of the batch released and could not write any more: to be asked for again,
  /// once. Throws BadInput where the batch was begun for another reason than this one (nullopt:
  /// duties have several). `asked`: the order of the roles. `begun` gets the first request of the
  /// batch that was done, without roles; nullopt: none was.
  [[nodiscard]] std::vector<RotationRequest> lost(const Fleet& fleet, std::optional<Reason> reason,
                                                  std::span<const KeyRole> asked,
                                                  std::optional<RotationRequest>& begun);
  [[nodiscard]] std::size_t written() const { return written_; }

 private:
  void go_on();
  using Done = std::pair<std::uint64_t, Reason>;
  std::string file_, batch_;
  bool json_, is_new_ = true;
  int out_ = -1;
  std::vector<Done>
      done_;  ///< sorted: 16 bytes for each rotation that an earlier run was through with
  std::size_t written_ = 0;
};

/// An operation id has 64 characters at most.
inline constexpr std::size_t longest_batch_name = 26;
/// Throws Usage for a name that can't be part of an operation id.
void check_batch_name(const std::string& name);
/// The operation id of one device's rotation in a named batch:
/// "NAME:00DB1234567890A0:post-commissioning".
[[nodiscard]] std::string operation_of(const std::string& batch, const RotationRequest& request);

}  // namespace smets1kms::cli
