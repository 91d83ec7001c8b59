// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

#include "audit/record.hpp"
#include "base/clock.hpp"

using namespace smets1kms;

namespace {

Time at(std::int64_t ms) { return Time(std::chrono::milliseconds(ms)); }

}  // namespace

TEST_CASE("a new id has the shape of RFC 9562 section 5.7") {
  std::set<std::string> seen, variants;
  for (int i = 0; i < 1000; ++i) {
    const auto id = make_uuid(at(0x01993F2E7B39));
    REQUIRE(id.size() == 36);
    for (std::size_t j = 0; j < id.size(); ++j) {
      const bool dash = j == 8 || j == 13 || j == 18 || j == 23;
      REQUIRE((dash ? id[j] == '-'
                    : std::string_view("0123456789abcdef").find(id[j]) != std::string_view::npos));
    }
    REQUIRE(id.starts_with("01993f2e-7b39-7"));  // 48 bits of time, version 7
    variants.insert(id.substr(19, 1));
    seen.insert(id);
  }
  CHECK(seen.size() == 1000);
  CHECK(variants == std::set<std::string>{"8", "9", "a", "b"});
}

TEST_CASE("ids are in the order of their times") {
  std::string last;
  for (const std::int64_t ms : {0LL, 1LL, 15LL, 16LL, 4095LL, 65535LL, 65536LL, 1639699200000LL,
                                1639699200001LL, 281474976710655LL}) {
    const auto id = make_uuid(at(ms));
    CHECK(last < id);
    last = id;
  }
  CHECK(make_uuid(at(281474976710655)).starts_with("ffffffff-ffff-7"));
  CHECK(make_uuid(at(1)).starts_with("00000000-0001-7"));
}

TEST_CASE("random text is lower-case hex, as many bytes as asked for") {
  for (const std::size_t count : {std::size_t{1}, std::size_t{16}, std::size_t{64}}) {
    const auto text = random_hex(count);
    CHECK(text.size() == 2 * count);
    CHECK(text.find_first_not_of("0123456789abcdef") == std::string::npos);
  }
  CHECK(random_hex(16) != random_hex(16));
  CHECK(random_hex(0).empty());
}

TEST_CASE("a clock that was given is read, and said to be") {
  const Clock injected([] { return at(42); });
  CHECK(injected.now().utc == at(42));
  CHECK(injected.now().quality == "injected");
  const Clock system;
  CHECK(system.now().utc > at(1639699200000));
  CHECK((system.now().quality == "synchronised" || system.now().quality == "unsynchronised"));
  const auto before = injected.now().monotonic_us;
  CHECK(before <= injected.now().monotonic_us);
  // A host that has been up for ten years: 2^53 of the unit, the largest number in a record, must
  // be far away.
  CHECK_NOTHROW(audit::Record().set(
      audit::Field::mono_us,
      system.now().monotonic_us + std::uint64_t{10} * 366 * 24 * 3600 * 1000000));
  CHECK(injected.boot_id() == system.boot_id());
  CHECK(injected.boot_id().size() == 36);
}
