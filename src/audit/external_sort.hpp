// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <queue>
#include <span>
#include <type_traits>
#include <vector>

#include "audit/verdict.hpp"
#include "base/files.hpp"

namespace smets1kms::audit {

/// Makes a file without a name in the system's directory for temporary files (TMPDIR). Throws
/// VerificationInconclusive.
[[nodiscard]] Stream open_temporary();
/// Throws VerificationInconclusive: a temporary file can't be written or read.
[[noreturn]] void no_room();

/// The records of one device are judged together, in memory: so many at most.
inline constexpr std::size_t most_of_a_device = std::size_t{1} << 17;

/// Sorter of items that are put aside in any order, in memory of about `run_bytes` twice, however
/// many there are: sorted runs in a temporary file, merged. Functions throw
/// VerificationInconclusive where the
/// disk is full.
template <class Item, std::size_t run_bytes = std::size_t{16} << 20>
class ExternalSort {
  static_assert(std::is_trivially_copyable_v<Item>);

 public:
  void add(const Item& item) {
    held_.push_back(item);
    if (held_.size() >= run_length) flush();
  }
  /// Visits every item, in order; may be called again.
  void for_each(const std::function<void(const Item&)>& visit) {
    if (runs_.empty()) {
      std::sort(held_.begin(), held_.end());
      for (const auto& item : held_) visit(item);
      return;
    }
    if (!held_.empty()) flush();
    held_.shrink_to_fit();
    std::vector<Cursor> cursors;
    for (const auto& run : runs_) cursors.push_back({.at = run.begin, .end = run.end});
    const auto later = [&](std::size_t a, std::size_t b) {
      return cursors[b].current() < cursors[a].current();
    };
    std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(later)> next(later);
    for (std::size_t i = 0; i < cursors.size(); ++i)
      if (fill(cursors[i])) next.push(i);
    while (!next.empty()) {
      const auto i = next.top();
      next.pop();
      visit(cursors[i].current());
      if (++cursors[i].place < cursors[i].items.size() || fill(cursors[i])) next.push(i);
    }
  }
  /// Visits the items of each device together, in order.
  void for_each_device(const std::function<void(std::span<const Item>)>& visit) {
    std::vector<Item> of_device;
    for_each([&](const Item& item) {
      if (!of_device.empty() && of_device.front().device != item.device) {
        visit(of_device);
        of_device.clear();
      }
      if (of_device.size() == most_of_a_device)
        throw VerificationFailed("one device has more than 131072 records");
      of_device.push_back(item);
    });
    if (!of_device.empty()) visit(of_device);
  }

 private:
  static constexpr std::size_t run_length = run_bytes / sizeof(Item);
  static constexpr std::size_t longest_read = (std::size_t{64} << 10) / sizeof(Item);
  struct Run {
    std::uint64_t begin, end;  ///< places in the file, in items
  };
  struct Cursor {
    std::uint64_t at, end;
    std::vector<Item> items{};
    std::size_t place = 0;
    [[nodiscard]] const Item& current() const { return items[place]; }
  };

  void flush() {
    if (!file_) file_ = open_temporary();
    std::sort(held_.begin(), held_.end());
    const std::uint64_t begin = runs_.empty() ? 0 : runs_.back().end;
    seek(begin);
    if (std::fwrite(held_.data(), sizeof(Item), held_.size(), file_.get()) != held_.size())
      no_room();
    runs_.push_back({begin, begin + held_.size()});
    held_.clear();
  }
  bool fill(Cursor& cursor) {
    const auto count = std::clamp<std::size_t>(run_length / runs_.size(), 1, longest_read);
    cursor.items.resize(std::min<std::uint64_t>(count, cursor.end - cursor.at));
    cursor.place = 0;
    if (cursor.items.empty()) return false;
    seek(cursor.at);
    if (std::fread(cursor.items.data(), sizeof(Item), cursor.items.size(), file_.get()) !=
        cursor.items.size())
      no_room();
    cursor.at += cursor.items.size();
    return true;
  }
  void seek(std::uint64_t item) {
    if (::fseeko(file_.get(), static_cast<off_t>(item * sizeof(Item)), SEEK_SET) != 0) no_room();
  }

  std::vector<Item> held_;
  std::vector<Run> runs_;
  Stream file_;
};

}  // namespace smets1kms::audit
