// SPDX-License-Identifier: Apache-2.0
#include "counters.hpp"

namespace shim {

CallNumbers Counters::next(Function function) {
  CallNumbers numbers{};
  numbers.sequence = ++calls_;
  numbers.nth = ++per_function_.at(index_of(function));
  numbers.killable = counts_for_kill(function) ? ++killable_ : 0;
  return numbers;
}

std::string Counters::json() const {
  std::string text = "{\"total\":" + std::to_string(killable_.load()) +
                     ",\"calls\":" + std::to_string(calls_.load()) + ",\"functions\":{";
  bool first = true;
  for (std::size_t i = 0; i < per_function_.size(); ++i) {
    const std::uint64_t count = per_function_.at(i).load();
    if (count == 0) continue;
    if (!first) text += ',';
    first = false;
    text += '"';
    text += function_names.at(i);
    text += "\":" + std::to_string(count);
  }
  return text + "}}\n";
}

}  // namespace shim
