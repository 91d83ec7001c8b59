// SPDX-License-Identifier: Apache-2.0
#include "command_line/options.hpp"

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <ostream>

#include "command_line/text.hpp"

namespace smets1kms::command_line {
namespace {

namespace po = boost::program_options;

/// True if the words may be taken for an option only where they are written out: half of one must
/// not start a fleet's rotation.
constexpr int whole_words =
    po::command_line_style::default_style & ~po::command_line_style::allow_guessing;

std::string long_name(const Option& option) {
  const std::string name = option.name;
  return name.substr(0, name.find(','));
}

po::options_description described(const char* title, const Options& options) {
  constexpr unsigned width = 100;
  po::options_description all(title, width, width / 2);
  for (const auto& option : options) {
    std::string help = option.help;
    if (*option.fallback != '\0') help += std::string(" (") + option.fallback + " without it)";
    if (option.kind == Option::Kind::flag)
      all.add_options()(option.name, help.c_str());
    else
      all.add_options()(option.name, po::value<std::string>()->value_name(option.value),
                        help.c_str());
  }
  return all;
}

[[noreturn]] void refuse_unknown(const std::string& name, const Options& options) {
  std::vector<std::string> names;
  for (const auto& option : options) names.push_back("--" + long_name(option));
  const auto meant = nearest(name, names);
  throw Usage("'" + name + "' is not an option here" +
              (meant.empty() ? "; --help lists them" : "; did you mean '" + meant + "'?"));
}

}  // namespace

Options joined(std::initializer_list<Options> lists) {
  Options all;
  for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

Values::Values(std::map<std::string, std::vector<std::string>> given, const Options& options)
    : given_(std::move(given)) {
  for (const auto& option : options) {
    const auto name = long_name(option);
    if (*option.fallback != '\0') fallbacks_[name] = option.fallback;
    spellings_[name] = option.is_positional ? option.value : "--" + name;
    if (option.kind == Option::Kind::number && has(name))
      (void)needed(name, [&](const std::string& each) {
        return parse_number(each, option.least, option.most);
      });
  }
}

std::string Values::text(const std::string& name) const {
  if (const auto found = given_.find(name); found != given_.end()) return found->second.back();
  const auto fallback = fallbacks_.find(name);
  return fallback == fallbacks_.end() ? std::string() : fallback->second;
}

std::string Values::needed(const std::string& name) const {
  if (!has(name) && !fallbacks_.contains(name))
    throw Usage(spellings_.at(name) + " is missing (--help says what it is)");
  return text(name);
}

std::vector<std::string> Values::list(const std::string& name) const {
  const auto found = given_.find(name);
  return found == given_.end() ? std::vector<std::string>() : found->second;
}

std::optional<std::uint64_t> Values::number(const std::string& name) const {
  return optional(name, [](const std::string& each) { return parse_number(each); });
}

std::size_t Values::count(std::initializer_list<const char*> names) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(names, [this](const char* name) { return has(name); }));
}

Values parse(const std::vector<std::string>& words, const Options& options) {
  po::positional_options_description positions;
  for (const auto& option : options)
    if (option.is_positional)
      positions.add(option.name, option.kind == Option::Kind::repeated ? -1 : 1);
  std::map<std::string, std::vector<std::string>> given;
  try {
    const auto all = described("", options);
    const auto parsed =
        po::command_line_parser(words).options(all).positional(positions).style(whole_words).run();
    for (const auto& each : parsed.options) {
      const auto option = std::ranges::find(options, each.string_key, long_name);
      auto& values = given[each.string_key];
      if (option->kind != Option::Kind::flag && std::ranges::count(each.value, "") != 0)
        throw Usage((option->is_positional ? std::string(option->value) : "--" + each.string_key) +
                    " is given and empty (a variable that is not set?)");
      if (option->kind == Option::Kind::flag)
        values = {""};
      else if (!values.empty() && option->kind != Option::Kind::repeated)
        throw Usage("--" + each.string_key + " is given twice");
      else
        values.insert(values.end(), each.value.begin(), each.value.end());
    }
  } catch (const po::unknown_option& error) {
    refuse_unknown(error.get_option_name(), options);
  } catch (const po::too_many_positional_options_error&) {
    const bool any = positions.max_total_count() != 0;
    throw Usage(any ? "too many words without an option's name"
                    : "this command takes options only, no other words");
  } catch (const po::error& error) {
    throw Usage(error.what());
  }
  return Values(std::move(given), options);
}

void print_options(std::ostream& out, const char* title, const Options& options) {
  if (!options.empty()) out << '\n' << described(title, options);
}

std::chrono::milliseconds parse_duration(const std::string& text) {
  using namespace std::chrono;
  const char unit = text.empty() ? ' ' : text.back();
  const auto one = unit == 'd'   ? milliseconds(days(1))
                   : unit == 'h' ? milliseconds(hours(1))
                                 : milliseconds(minutes(1));
  try {
    if (unit != 'd' && unit != 'h' && unit != 'm') throw BadInput("");
    return one * parse_number(std::string_view(text).substr(0, text.size() - 1), 0, 99999);
  } catch (const BadInput&) {
    throw BadInput("'" + text + "' is not a duration like 3d, 36h or 90m");
  }
}

std::uint64_t parse_number(std::string_view text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || stopped != end || error != std::errc() || number < least || number > most)
    throw BadInput("'" + std::string(text) + "' is not a whole number from " +
                   std::to_string(least) +
                   (most == UINT64_MAX ? " on" : " to " + std::to_string(most)));
  return number;
}

}  // namespace smets1kms::command_line
