// SPDX-License-Identifier: Apache-2.0
// The list of refusals against the code: none that nothing refuses by, none with another word.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "smets1kms/refusal_reason.hpp"

namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& file) {
  std::ifstream in(file);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// What `pattern`'s first group matches in a text.
std::vector<std::string> matches(const std::string& text, const std::regex& pattern) {
  std::vector<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at)
    found.push_back((*at)[1]);
  return found;
}

}  // namespace

TEST_CASE("every refusal has a reason of the enumeration, and every reason a refusal") {
  const fs::path sources(SOURCES);
  const auto header = content(sources / "include/smets1kms/refusal_reason.hpp");
  const auto reasons = matches(header, std::regex(R"(\n  (\w+),\s+///< \w)"));
  const std::set<std::string> all(reasons.begin(), reasons.end());
  CHECK(all.size() == smets1kms::all_refusal_reasons().size());

  std::set<std::string> used;
  for (const char* folder : {"src", "pkcs11"})
    for (const auto& entry : fs::recursive_directory_iterator(sources / folder)) {
      const auto name = entry.path().filename().string();
      if (name == "refusal_reason.cpp" ||
          (entry.path().extension() != ".cpp" && entry.path().extension() != ".hpp"))
        continue;
      const auto text = content(entry.path());
      CAPTURE(name);
      for (const auto& reason : matches(text, std::regex(R"(RefusalReason::(\w+))")))
        used.insert(reason);
      // A refusal names its reason where it is made.
      for (const auto& argument : matches(text, std::regex(R"(\bRefused\(\s*([^\s]+))"))) {
        CAPTURE(argument);
        CHECK((argument.starts_with("RefusalReason::") || argument.find("is_destroyed(") == 0));
      }
    }
  for (const auto& reason : all) {
    CAPTURE(reason);
    CHECK(used.contains(reason));
  }
  for (const auto& reason : used) {
    CAPTURE(reason);
    CHECK(all.contains(reason));
  }
}

TEST_CASE("the words of the reasons are the enumerators', with dashes") {
  std::set<std::string_view> words;
  for (const auto reason : smets1kms::all_refusal_reasons()) {
    const auto word = smets1kms::to_string(reason);
    CHECK(std::regex_match(word.begin(), word.end(), std::regex("[a-z]+(-[a-z]+)*")));
    CHECK(words.insert(word).second);
  }
}
