// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <queue>
#include <type_traits>
#include <vector>

#include "audit/external_sort.hpp"

namespace smets1kms::report {

/// Items put aside in any order and given back in theirs, in the same memory however many: sorted
/// runs in a temporary file, merged.
template <class Item>
class SortedFile {
  static_assert(std::is_trivially_copyable_v<Item>);

 public:
  void add(const Item& item) {
    held_.push_back(item);
    if (held_.size() >= run_length) flush();
  }
  /// Every item, in order; it may be done again.
  void each(const std::function<void(const Item&)>& visit) {
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
      return cursors[b].now() < cursors[a].now();
    };
    std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(later)> next(later);
    for (std::size_t i = 0; i < cursors.size(); ++i)
      if (fill(cursors[i])) next.push(i);
    while (!next.empty()) {
      const auto i = next.top();
      next.pop();
      visit(cursors[i].now());
      if (++cursors[i].place < cursors[i].items.size() || fill(cursors[i])) next.push(i);
    }
  }

 private:
  static constexpr std::size_t run_length = (std::size_t{16} << 20) / sizeof(Item),
                               read_length = (std::size_t{64} << 10) / sizeof(Item);
  struct Run {
    std::uint64_t begin, end;  ///< places in the file, in items
  };
  struct Cursor {
    std::uint64_t at, end;
    std::vector<Item> items{};
    std::size_t place = 0;
    [[nodiscard]] const Item& now() const { return items[place]; }
  };
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  void flush() {
    if (!file_) file_.reset(audit::unnamed_file());
    std::sort(held_.begin(), held_.end());
    const std::uint64_t begin = runs_.empty() ? 0 : runs_.back().end;
    seek(begin);
    if (std::fwrite(held_.data(), sizeof(Item), held_.size(), file_.get()) != held_.size())
      audit::no_room();
    runs_.push_back({begin, begin + held_.size()});
    held_.clear();
  }
  bool fill(Cursor& cursor) {
    cursor.items.resize(std::min<std::uint64_t>(read_length, cursor.end - cursor.at));
    cursor.place = 0;
    if (cursor.items.empty()) return false;
    seek(cursor.at);
    if (std::fread(cursor.items.data(), sizeof(Item), cursor.items.size(), file_.get()) !=
        cursor.items.size())
      audit::no_room();
    cursor.at += cursor.items.size();
    return true;
  }
  void seek(std::uint64_t item) {
    if (::fseeko(file_.get(), static_cast<off_t>(item * sizeof(Item)), SEEK_SET) != 0)
      audit::no_room();
  }

  std::vector<Item> held_;
  std::vector<Run> runs_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace smets1kms::report
