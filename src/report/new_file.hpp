// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <fstream>

namespace smets1kms::report {

/// A file that was not there before, and is taken away again unless it is kept: half a report is
/// none.
class NewFile {
 public:
  /// Throws BadInput where there is one already, or none can be made.
  explicit NewFile(std::filesystem::path path);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  [[nodiscard]] std::ostream& out() { return out_; }
  /// Throws BadInput where it could not be written to its end.
  void keep();

 private:
  std::filesystem::path path_;
  std::ofstream out_;
  bool kept_ = false;
};

/// The name beside a report's file: "report.html" and "-devices" make "report-devices".
[[nodiscard]] std::filesystem::path beside(const std::filesystem::path& file,
                                           const std::string& ending);

}  // namespace smets1kms::report
