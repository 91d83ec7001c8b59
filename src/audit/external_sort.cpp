// SPDX-License-Identifier: Apache-2.0
#include "audit/external_sort.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <type_traits>
#include <utility>

namespace smets1kms::audit {
namespace {

static_assert(std::is_trivially_copyable_v<RecordSummary>);
constexpr std::size_t most_held =
    (std::size_t{8} << 20) / sizeof(RecordSummary);  // in memory before they go to files
constexpr std::size_t per_part =
    (std::size_t{12} << 20) / sizeof(RecordSummary);  // so many are sorted at a time

}  // namespace

void no_room() {
  throw VerificationInconclusive(
      std::string("the temporary files of the verification can't be written (") +
      std::strerror(errno) + "); name a directory with more room in TMPDIR");
}

std::FILE* unnamed_file() {
  std::string name = (std::filesystem::temp_directory_path() / "smets1-audit-XXXXXX").string();
  const int descriptor = ::mkstemp(name.data());
  if (descriptor < 0) no_room();
  std::filesystem::remove(name);
  return ::fdopen(descriptor, "w+b");
}

ExternalSort::ExternalSort(std::uint64_t expected)
    : parts_(std::clamp<std::uint64_t>(expected / per_part + 1, 1, 512)) {}

void ExternalSort::add(const RecordSummary& summary) {
  // Fibonacci hashing: devices of one maker follow each other.
  parts_[(summary.device * 0x9E3779B97F4A7C15U >> 32) % parts_.size()].held.push_back(summary);
  if (++held_ >= most_held) flush();
}

void ExternalSort::flush() {
  for (auto& part : parts_) {
    if (part.held.empty()) continue;
    if (!part.file) part.file.reset(unnamed_file());
    if (std::fwrite(part.held.data(), sizeof(RecordSummary), part.held.size(), part.file.get()) !=
        part.held.size())
      no_room();
    part.written += part.held.size();
    part.held.clear();
  }
  held_ = 0;
}

void ExternalSort::for_each_device(
    const std::function<void(std::span<const RecordSummary>)>& visit) {
  if (std::ranges::any_of(parts_, [](const Part& part) { return part.written != 0; })) flush();
  // What they are sorted by, not they: a step is 200 bytes. What a map claims stands before the
  // record at its size.
  struct Place {
    std::uint64_t device, order;
    std::uint32_t at;
  };
  std::vector<Place> places;
  std::vector<RecordSummary> summaries, of_device;
  for (auto& part : parts_) {
    if (part.written == 0) {
      summaries = std::move(part.held);
    } else {
      summaries.resize(part.written);
      std::rewind(part.file.get());
      if (std::fread(summaries.data(), sizeof(RecordSummary), summaries.size(), part.file.get()) !=
          summaries.size())
        no_room();
      part.file.reset();
    }
    places.clear();
    places.reserve(summaries.size());
    for (const auto& summary : summaries)
      places.push_back({summary.device, 2 * summary.index + (summary.is_claim ? 0 : 1),
                        static_cast<std::uint32_t>(places.size())});
    std::ranges::sort(places, {},
                      [](const Place& place) { return std::pair(place.device, place.order); });
    for (std::size_t i = 0; i < places.size(); ++i) {
      of_device.push_back(summaries[places[i].at]);
      if (i + 1 < places.size() && places[i + 1].device == places[i].device) continue;
      visit(of_device);
      of_device.clear();
    }
  }
}

}  // namespace smets1kms::audit
