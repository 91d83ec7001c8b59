// SPDX-License-Identifier: Apache-2.0
// The manual prints the table of records that the verifier uses.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "audit/record_fields.hpp"

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
