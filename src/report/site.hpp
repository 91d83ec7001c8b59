// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "base/files.hpp"
#include "report/html.hpp"

namespace smets1kms::report {

/// Writer of the pages behind the summary, as the devices come by. A small fleet's devices stand on
/// the report's own page; a large one's on pages of a thousand in a directory beside it, and each
/// list of devices on pages of its own.
class Site {
 public:
  static constexpr std::uint64_t largest_page = 2000, per_page = 1000;
  Site(const std::filesystem::path& html, bool paged, std::string title, std::string banner);
  ~Site();
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  /// Returns "report-devices/"; empty unless paged.
  [[nodiscard]] std::string directory() const {
    return paged_ ? directory_.filename().string() + "/" : std::string();
  }
  /// Returns where the next device will stand.
  [[nodiscard]] PageRef next(std::uint64_t device) const {
    return {.device = device, .page = paged_ ? devices_ / per_page + 1 : 0};
  }
  void add(const Device& device, const PageRef& place, Lookup& lookup);
  /// Adds an entry to a list.
  void list(const std::string& slug, const std::string& title, const PageRef& place);
  void finish();
  /// Writes the devices of a small fleet, for the report's page.
  void write_devices(std::ostream& out);
  void keep();

 private:
  struct Pages {
    std::uint64_t entries = 0;
    std::unique_ptr<std::ofstream> out{};
  };
  std::ostream& page_for(const std::string& kind, const std::string& title);
  void close(const std::string& kind, Pages& pages, bool last);
  [[noreturn]] void refuse() const;

  std::filesystem::path report_, directory_;
  bool paged_, kept_ = false;
  std::string title_, banner_;
  std::uint64_t devices_ = 0;
  std::map<std::string, Pages> pages_;
  std::ofstream index_;
  Stream aside_;
};

/// Returns the name beside a report's file: "report.html" and "-devices" make "report-devices".
[[nodiscard]] std::filesystem::path beside(const std::filesystem::path& file,
                                           const std::string& ending);

}  // namespace smets1kms::report
