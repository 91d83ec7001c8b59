// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace attack {

/// What one attack came to on one token.
struct Outcome {
  std::vector<std::string> gained;  ///< by the judge's word; empty: nothing
  std::string answers;              ///< what the token, or the key manager, said
  std::string not_applicable;       ///< why there was nothing to attack
  [[nodiscard]] bool succeeded() const { return !gained.empty(); }
};

struct Row {
  std::string name, source, impossible, open_in_plain, remains, open_in_sealed;
  std::map<std::string, Outcome> outcomes;  ///< by column: "naive", "officer", "plain", "sealed"
};

struct Report {
  std::vector<Row> rows;
  std::vector<std::string> notes;  ///< what the key manager did after the attacks
  bool damaged = false;
};

[[nodiscard]] nlohmann::json to_json(const Report& report);
[[nodiscard]] Report from_json(const nlohmann::json& json);
/// Columns of both; the naive outcomes of the first.
void merge(Report& into, const Report& other);
/// Prints the table. True if every cell is as it must be.
[[nodiscard]] bool print(const Report& report);

}  // namespace attack
