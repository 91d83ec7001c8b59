// SPDX-License-Identifier: Apache-2.0
#include <sstream>

#include "report/html.hpp"

namespace smets1kms::report::html {

/// Returns a chart of horizontal bars, so that the words beside them stay readable on a narrow
/// page.
std::string chart(const Statistics& statistics) {
  constexpr int row = 19, top = 6, left = 108, width = 190, gap = 8;
  std::uint64_t most = 1;
  for (const auto& each : buckets) most = std::max(most, statistics.number(each.slug));
  const auto place = [&](std::size_t i) {
    return top + static_cast<int>(i) * row + (i >= limit_bucket ? gap : 0) +
           (i + 1 == buckets.size() ? gap : 0);
  };
  const int height = place(buckets.size() - 1) + row + 4;
  std::ostringstream out;
  out << "<figure style=\"margin:0\"><svg viewBox=\"0 0 360 " << height
      << "\" role=\"img\" aria-labelledby=\"chart-title chart-desc\">"
      << "<title id=\"chart-title\">Time from commissioning to confirmed replacement</title><desc "
         "id=\"chart-desc\">A bar for each number of days, with the "
         "number of devices; "
         "a dashed line stands at the regulator's limit of 7 days. The table beside it has the "
         "same numbers.</desc>\n";
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const auto count = statistics.number(buckets[i].slug), late = statistics.late[i];
    const auto length = [&](std::uint64_t n) {
      return n == 0 ? 0.0
                    : std::max(1.0, static_cast<double>(n) * width / static_cast<double>(most));
    };
    const double on_time = length(count - late), is_late = length(late);
    const bool open = i + 1 == buckets.size();
    const std::string lateness = open ? "past the deadline" : "late";
    out << "<text x=\"" << left - 6 << "\" y=\"" << place(i) + 12 << "\" text-anchor=\"end\">"
        << buckets[i].title << "</text>";
    out << "<rect class=\"" << (open ? "open" : "met") << "\" x=\"" << left << "\" y=\""
        << place(i) + 1 << "\" width=\"" << on_time << "\" height=\"14\"/>";
    out << "<rect class=\"late\" x=\"" << static_cast<double>(left) + on_time << "\" y=\""
        << place(i) + 1 << "\" width=\"" << is_late << "\" height=\"14\"/>";
    out << "<text x=\"" << static_cast<double>(left) + on_time + is_late + 5 << "\" y=\""
        << place(i) + 12 << "\">" << count
        << (late != 0 && late != count ? " (" + std::to_string(late) + " " + lateness + ")"
            : late != 0                ? " " + lateness
                                       : "")
        << "</text>\n";
  }
  const int line = place(limit_bucket) - gap / 2 - 1;
  out << "<line class=\"limit\" x1=\"0\" x2=\"360\" y1=\"" << line << "\" y2=\"" << line
      << "\"/><text class=\"note\" x=\"358\" y=\"" << line - 4
      << "\" text-anchor=\"end\">regulator's limit: 7 days</text></svg></figure>\n";
  return out.str();
}

}  // namespace smets1kms::report::html
