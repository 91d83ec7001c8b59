// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>

#include "audit/record_rules.hpp"
#include "audit/text.hpp"

namespace smets1kms::audit {

Digest short_digest(std::string_view bytes) {
  Digest digest{};
  std::copy_n(sha256(bytes).begin(), digest.size(), digest.begin());
  return digest;
}

Digest facts_digest(std::string_view kind, std::string_view model, std::string_view suite,
                    std::string_view supports) {
  std::string all;
  for (const auto each : {kind, model, suite, supports}) all.append(each) += '\n';
  return short_digest(all);
}

std::int64_t time_of_record(std::string_view text) {
  using namespace std::chrono;
  const auto number = [&](std::size_t at, std::size_t width) {
    unsigned value = 0;
    for (const char c : text.substr(at, width)) value = 10 * value + static_cast<unsigned>(c - '0');
    return value;
  };
  const sys_days date =
      year_month_day(year(static_cast<int>(number(0, 4))), month(number(5, 2)), day(number(8, 2)));
  return milliseconds(date.time_since_epoch()).count() + std::int64_t{number(11, 2)} * 3'600'000 +
         number(14, 2) * 60'000 + number(17, 2) * 1000 + number(20, 3);
}

void read_content(const RecordView& record, const RecordType& type, RecordSummary& summary) {
  summary.time = time_of_record(record.text(Field::time));
  if (record.has(Field::at)) summary.at = time_of_record(record.text(Field::at));
  const auto first_half = [&](Field field, Digest& digest) {
    if (record.has(field)) (void)parse_hex(record.text(field).substr(0, 32), digest);
  };
  first_half(Field::wrapped_sha256, summary.content);
  first_half(Field::sealed_sha256, summary.blob);
  if (type.operation != op::device_register) return;
  summary.content = facts_digest(record.text(Field::kind), record.text(Field::model),
                                 record.text(Field::suite), record.text(Field::supports));
  if (record.has(Field::detail)) summary.blob = short_digest(record.text(Field::detail));
}

}  // namespace smets1kms::audit
