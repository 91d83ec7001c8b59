// SPDX-License-Identifier: Apache-2.0
// The manual prints the table of records that the verifier uses.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "audit/record_fields.hpp"
#include "audit/rich_story.hpp"

using namespace smets1kms::audit;

TEST_CASE("export.md prints the table of records") {
  const std::string path = TEST_DATA "/../../src/audit/export.md",
                    begin = "<!-- table of records: begin -->\n",
                    end = "<!-- table of records: end -->\n";
  std::ostringstream content;
  content << std::ifstream(path).rdbuf();
  auto text = content.str();
  const auto from = text.find(begin), to = text.find(end);
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
  const auto place = from + begin.size();
  if (std::getenv("SMETS1KMS_WRITE_TABLE") != nullptr) {
    text.replace(place, to - place, table_of_records());
    std::ofstream(path) << text;
    return;
  }
  INFO("to write it anew: SMETS1KMS_WRITE_TABLE=1 audit_tests -tc='export.md prints*'");
  CHECK(text.substr(place, to - place) == table_of_records());
}

TEST_CASE("a failure names the token's code with its function, or why it was refused") {
  constexpr std::uint64_t device = 0x00DB1234567890A0;
  const auto verdict_of = [&](const char* code) {
    test::SampleLog log;
    log.import_kek(device);
    log.release(device, "guek", 1);
    auto& outcome = log.entries.back().record;
    outcome = test::without(outcome, {Field::attributes, Field::mechanism, Field::wrapped_len,
                                      Field::wrapped_sha256, Field::handovers});
    outcome.set(Field::result, "failed").set(Field::state_to, "none").set(Field::ckr, code);
    log.seal();
    test::MemoryLog memory(log, test::last_key());
    const auto report = verify(memory, {.keys = {test::last_key().audit_key()}});
    CAPTURE(report.why);
    return report.verdict;
  };
  for (const auto* good : {"C_WrapKey:CKR_DEVICE_REMOVED", "token-unavailable", "kek-changed"})
    CHECK(verdict_of(good) == Verdict::verified);
  for (const auto* bad : {"C_WrapKey:", "C_WrapKey:no", "no code", " CKR_OK", ""})
    CHECK(verdict_of(bad) == Verdict::failed);
}
