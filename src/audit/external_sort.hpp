// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdio>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "audit/record_rules.hpp"

namespace smets1kms::audit {

/// Open for writing and reading, in the system's directory for temporary files (TMPDIR). Throws
/// Missing.
[[nodiscard]] std::FILE* unnamed_file();
/// Throws Missing: a temporary file can't be written or read.
[[noreturn]] void no_room();

/// Puts steps aside by device, in temporary files once they are many, and gives them back device by
/// device: a log of any length is replayed in the same memory (about 40 MiB).
class ExternalSort {
 public:
  /// `expected`: about how many steps there will be. The files are in the system's directory for
  /// temporary files, and have no name there.
  explicit ExternalSort(std::uint64_t expected);
  /// Throws Missing where there is no room for it.
  void add(const RecordSummary& summary);
  /// All steps of one device, by index, for every device. Ends what was put aside.
  void for_each_device(const std::function<void(std::span<const RecordSummary>)>& visit);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  struct Part {
    std::vector<RecordSummary> held;
    std::unique_ptr<std::FILE, Close> file;
    std::uint64_t written = 0;
  };
  void flush();
  std::vector<Part> parts_;
  std::size_t held_ = 0;
};

}  // namespace smets1kms::audit
