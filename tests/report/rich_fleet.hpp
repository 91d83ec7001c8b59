// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "audit/sample_log.hpp"

namespace test {

/// The id of the n-th device of the sample fleet.
constexpr std::uint64_t device(std::uint64_t n) { return 0x00DB123456789000 + n; }

/// A trail told device by device, over years; it is written in the order of time.
class Chronicle {
 public:
  Chronicle& at(const std::string& time, std::function<void(SampleLog&)> act);
  /// Taken in at its commissioning, with its KEK.
  Chronicle& commission(std::uint64_t n, const std::string& at,
                        const std::string& supports = "guek+gak+kek",
                        const std::string& kind = "ESME");
  /// GUEK and GAK of this generation, released and confirmed then.
  Chronicle& replace(std::uint64_t n, std::uint64_t generation, const std::string& released,
                     const std::string& confirmed);
  Chronicle& change(std::uint64_t n, const std::string& what, const std::string& at);
  [[nodiscard]] SampleLog log() const;

 private:
  struct Act {
    std::string time;
    std::function<void(SampleLog&)> act;
  };
  std::vector<Act> acts_;
};

/// Every status, every problem and every section of a report; `rich_list`: the operator's list
/// beside it.
[[nodiscard]] SampleLog rich_fleet();
[[nodiscard]] std::string rich_list();

}  // namespace test
