// SPDX-License-Identifier: Apache-2.0
#include "audit/hash.hpp"
#include "lifecycle/check.hpp"

namespace smets1kms::lifecycle {
namespace {

constexpr std::size_t most_listed = 1000;
constexpr const char* usual_remedy =
    "the registry was changed behind the service's back, or is damaged: stop the service, restore "
    "it from its backup, and find out who can write to it";

}  // namespace

void Contradictions::add(std::string what, std::string finding, std::optional<std::uint64_t> record,
                         std::string remedy) {
  if (++result_.contradictions > most_listed) return;
  result_.listed.push_back({.what = std::move(what),
                            .finding = std::move(finding),
                            .record = record,
                            .remedy = remedy.empty() ? usual_remedy : std::move(remedy)});
}

std::string RowCheck::show(int column) const {
  if (row_.is_null(column)) return "NULL";
  constexpr std::size_t shown = 40;
  return row_.is_integer(column) ? std::to_string(row_.integer(column))
                                 : "'" + row_.text(column).substr(0, shown) + "'";
}

void RowCheck::fail(int column, const std::string& is, const std::string& wanted) const {
  fail("its column " + row_.name(column) + " is " + is + ", and by the trail " + wanted);
}

bool RowCheck::is_number(int column, std::int64_t wanted) const {
  return row_.is_integer(column) && row_.integer(column) == wanted;
}

void RowCheck::number(int column, std::optional<std::int64_t> wanted) const {
  if (wanted ? is_number(column, *wanted) : row_.is_null(column)) return;
  fail(column, show(column), wanted ? std::to_string(*wanted) : "nothing");
}

void RowCheck::id(int column, const std::optional<Digest>& wanted) const {
  const auto blob = row_.blob(column);
  if (wanted ? std::ranges::equal(blob, *wanted) : row_.is_null(column)) return;
  fail(column, row_.is_null(column) ? "NULL" : audit::to_hex(blob).substr(0, 64),
       wanted ? audit::to_hex(*wanted) : "nothing");
}

Digest RowCheck::digest_of(int column) const {
  const auto blob = row_.blob(column);
  return audit::short_digest({reinterpret_cast<const char*>(blob.data()), blob.size()});
}

void RowCheck::digest(int column, const std::optional<Digest>& wanted) const {
  if (wanted ? !row_.is_null(column) && digest_of(column) == *wanted : row_.is_null(column)) return;
  fail("its column " + row_.name(column) +
       (!wanted                ? " holds something, and by the trail nothing"
        : row_.is_null(column) ? " is empty, and by the trail something"
                               : " is not what the trail has the SHA-256 of"));
}

DeviceRows::DeviceRows(sqlite::Database& database, const char* sql, const char* table)
    : database_(database), sql_(sql), table_(table) {
  read(0, INT64_MAX);
}

void DeviceRows::read(std::int64_t from, std::int64_t to) {
  row_.reset();  // the statement is one for both halves
  row_.emplace(registry::query(database_, sql_, from, to));
  next();
}

void DeviceRows::next() {
  has_row_ = row_->step();
  if (has_row_)
    device_ = static_cast<std::uint64_t>(row_->integer(0));
  else if (!std::exchange(is_second_half_, true))
    read(INT64_MIN, -1);  // ids above 2^63 are negative numbers in SQLite
}

void DeviceRows::seek(std::uint64_t device, Contradictions& found) {
  while (has_row_ && device_ < device) {
    found.add(std::string(table_) + " row of " + DeviceId::from_number(device_).to_string(),
              "the trail has nothing of it");
    next();
  }
}

void DeviceRows::finish(Contradictions& found) {
  seek(UINT64_MAX, found);
  if (is_of(UINT64_MAX)) found.add(std::string(table_) + " row", "the trail has nothing of it");
}

const audit::RecordView& RecordReader::at(std::int64_t index) {
  record_ = {};
  auto row = registry::query(database_, "SELECT bytes FROM record WHERE idx=?", index);
  if (row.step()) try {
      bytes_ = row.text(0);
      record_ = audit::RecordView::parse(bytes_);
    } catch (const std::invalid_argument&) {  // equal to nothing
      record_ = {};
    }
  return record_;
}

}  // namespace smets1kms::lifecycle
