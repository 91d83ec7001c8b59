// SPDX-License-Identifier: Apache-2.0
#include "command_line/console.hpp"

#include <algorithm>
#include <ostream>
#include <utility>

#include "command_line/text.hpp"

namespace smets1kms::command_line {

Console::Console(std::ostream& err, std::string program, bool terminal, Clock clock)
    : err_(err), program_(std::move(program)), terminal_(terminal), clock_(std::move(clock)) {}

Console::~Console() { clear(); }

void Console::set(bool quiet, bool verbose) {
  quiet_ = quiet;
  verbose_ = verbose;
}

void Console::warn(std::string_view text) { write(text, true); }
void Console::note(std::string_view text) { write(text, !quiet_); }
void Console::detail(std::string_view text) { write(text, verbose_); }

void Console::write(std::string_view text, bool wanted) {
  if (wanted) line(program_ + ": " + printable(text));
}

void Console::line(std::string_view text) {
  const std::lock_guard lock(mutex_);
  clear();
  err_ << text << '\n' << std::flush;
}

void Console::clear() {
  if (std::exchange(drawn_, false)) err_ << "\r\033[K";
}

void Console::progress(std::string_view what, std::uint64_t done, std::uint64_t total) {
  using namespace std::chrono_literals;
  if (quiet_) return;
  const std::lock_guard lock(mutex_);
  const auto now = clock_();
  const bool is_last = done == total;
  if (what_ != what) {
    what_ = what;
    begin_ = last_ = now;
  }
  if (now - begin_ < 1s || (!is_last && now - last_ < (terminal_ ? 100ms : 5000ms))) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const double rate = static_cast<double>(done) / seconds;
  std::string text = std::to_string(done);
  if (total != 0) text += (terminal_ ? "/" : " of ") + std::to_string(total);
  text += " " + printable(what_) + ", " + std::to_string(static_cast<std::uint64_t>(rate)) + "/s";
  if (total > done && done != 0)
    text += ", " +
            std::to_string(static_cast<std::uint64_t>(static_cast<double>(total - done) / rate)) +
            " s left";
  if (!terminal_) {
    err_ << text << '\n' << std::flush;
    return;
  }
  constexpr std::uint64_t width = 30;
  const auto filled = total == 0 ? 0 : std::min(width, width * done / total);
  clear();
  err_ << '[' << std::string(filled, '#') << std::string(width - filled, '.') << "] " << text
       << std::flush;
  drawn_ = !is_last;
  if (is_last) err_ << std::endl;
}

void Grouped::add(const std::string& id, const std::string& reason, const std::string& text) {
  constexpr std::size_t ids_shown = 5;
  std::string alike = text;
  for (auto at = alike.find(id); !id.empty() && at != std::string::npos; at = alike.find(id, at))
    alike.replace(at, id.size(), "…");
  console_.detail(id + ": " + text);
  auto& group = groups_[reason.empty() ? alike : reason];
  if (group.count++ == 0) group = {.text = text, .reason = reason, .alike = alike, .count = 1};
  if (group.alike != alike) group.same_text = false;
  if (group.first_ids.size() < ids_shown) group.first_ids.push_back(id);
  ++count_;
}

void Grouped::finish() {
  for (const auto& [key, group] : groups_) {
    const auto& ids = group.first_ids;
    if (group.count == 1) {
      console_.warn(ids.front() + ": " + group.text);
      continue;
    }
    std::string line = std::to_string(group.count) + " times";
    if (!group.reason.empty()) line += " (" + group.reason + ")";
    for (const auto& id : ids) line += (&id == &ids.front() ? ": " : ", ") + id;
    if (group.count > ids.size())
      line += " and " + std::to_string(group.count - ids.size()) + " more";
    console_.warn(line + (group.same_text ? ": " : ", the first: ") +
                  (group.same_text ? group.alike : group.text));
  }
  groups_.clear();
}

Table::Table(std::ostream& out, std::vector<std::string> headings) : out_(out) {
  for (const auto& heading : headings) widths_.push_back(columns_of(heading));
  if (!headings.empty()) held_.push_back(std::move(headings));
}

void Table::add(std::vector<std::string> row) {
  constexpr std::size_t held_back = 200;
  ++rows_;
  for (auto& cell : row) cell = printable(cell);
  if (rows_ > held_back) {
    finish();
    return write(row);
  }
  for (std::size_t i = 0; i < row.size(); ++i)
    widths_[i] = std::max(widths_[i], columns_of(row[i]));
  held_.push_back(std::move(row));
}

void Table::finish() {
  for (const auto& row : std::exchange(held_, {})) write(row);
}

void Table::write(const std::vector<std::string>& row) {
  std::string line;
  for (std::size_t i = 0; i < row.size(); ++i) {
    line += row[i];
    const auto width = columns_of(row[i]);
    if (i + 1 < row.size()) line += std::string(std::max(widths_[i], width) - width + 2, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out_ << line << '\n';
}

}  // namespace smets1kms::command_line
