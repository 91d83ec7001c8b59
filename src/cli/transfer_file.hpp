#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.hpp"

namespace smets1kms::cli {

/// Where released transfers go: a new file of JSON lines, standard output, or, for a batch that has a name, a file that is
/// gone on with: a batch that was interrupted finds there which devices it is through with.
class TransferFile {
 public:
  /// file: empty for standard output. batch: empty, or the name that its operation ids begin with.
  /// Throws BadInput: the file is there (without a batch), or holds something else than this batch's transfers.
  TransferFile(const std::string& file, const std::string& batch, bool json);
  ~TransferFile();
  TransferFile(const TransferFile&) = delete;
  /// All of a device in one write.
  void write(const Rotation& rotation);
  /// Its transfers are in the file already.
  [[nodiscard]] bool has(DeviceId device) const;
  [[nodiscard]] std::size_t written() const { return written_; }

 private:
  void go_on(const std::string& batch);
  std::string file_;
  bool json_, is_new_ = true;
  int out_ = -1;
  std::vector<std::uint64_t> devices_;  ///< sorted: 8 bytes for each that an earlier run was through with
  std::size_t written_ = 0;
};

/// The operation id of one device in a named batch.
[[nodiscard]] std::string operation_of(const std::string& batch, DeviceId device);

}  // namespace smets1kms::cli
