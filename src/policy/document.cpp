// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include "policy/policy.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::policy {
namespace {

constexpr std::string_view heading = "smets1-kms policy, form 1\n";

void add_part(std::string& document, std::string_view kind, std::string_view text) {
  document += std::string(kind) + " " + std::to_string(text.size()) + "\n" + std::string(text);
}

/// Takes a part off: its kind, a space, its length in bytes, a line's end, its bytes.
std::string_view take_part(std::string_view& rest, std::string_view kind) {
  const auto end = rest.find('\n');
  std::size_t length = 0;
  if (end != std::string_view::npos && rest.starts_with(kind) && end > kind.size() + 1 &&
      rest[kind.size()] == ' ') {
    const char* last = rest.data() + end;
    const auto [stop, error] = std::from_chars(rest.data() + kind.size() + 1, last, length);
    if (error == std::errc() && stop == last && length <= rest.size() - end - 1) {
      const auto text = rest.substr(end + 1, length);
      rest.remove_prefix(end + 1 + length);
      return text;
    }
  }
  throw BadInput("the policy's document ends, or has something else, where its " +
                 std::string(kind) + " is expected");
}

}  // namespace

std::string Policy::to_document() const {
  std::string document(heading);
  add_part(document, "site", site_text_);
  for (const auto& each : editions_) add_part(document, "edition", each.file_text);
  return document;
}

Policy Policy::parse_document(std::string_view document) {
  if (!document.starts_with(heading))
    throw BadInput(
        "this is not the document of a policy that this program knows: a newer one is needed");
  std::string_view rest = document.substr(heading.size());
  const auto site = take_part(rest, "site");
  std::vector<Edition> editions;
  while (!rest.empty())
    editions.push_back(
        parse_edition(take_part(rest, "edition"), "an edition of the policy's document"));
  return parse_site(site, "the site file of the policy's document",
                    [&](const std::string& name) -> const Edition& {
                      const auto found = std::ranges::find(editions, name, &Edition::name);
                      if (found == editions.end())
                        throw BadInput("edition " + name + " is not in the document");
                      return *found;
                    });
}

}  // namespace smets1kms::policy
