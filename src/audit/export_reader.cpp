// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <ranges>
#include <stdexcept>

#include "audit/export.hpp"
#include "audit/timestamp.hpp"
#include "audit/verdict.hpp"

namespace smets1kms::audit {
namespace {

namespace fs = std::filesystem;

/// Returns the whole of a small file.
std::string content_of(const fs::path& file, std::size_t limit) {
  return of_export([&] { return read_file(file, limit, FileKind::part); });
}

std::string part_of(const fs::path& file, std::uint64_t offset, std::size_t count) {
  return of_export([&] { return read_at(file, offset, count); });
}

Stream open_part(const fs::path& file) {
  return of_export([&] { return to_stream(open_to_read(file, FileKind::part), "rb"); });
}

bool is_read(const Stream& in, void* bytes, std::size_t count) {
  return std::fread(bytes, 1, count, in.get()) == count;
}

bool next_hash_is(const Stream& in, const Hash& hash) {
  Hash stored{};
  return is_read(in, stored.data(), stored.size()) && stored == hash;
}

/// Returns the hashes that stand at every `step` bytes.
std::vector<Hash> hashes_of(const std::string& bytes, std::size_t step = sizeof(Hash)) {
  std::vector<Hash> hashes;
  for (std::size_t at = 0; at < bytes.size(); at += step)
    hashes.push_back(format::hash_at(bytes, at));
  return hashes;
}

/// Returns a reader of the hashes in a file.
TreeStore::Read nodes_in(const fs::path& file) {
  return [file](std::uint64_t first, std::uint64_t count) {
    return hashes_of(part_of(file, first * sizeof(Hash), count * sizeof(Hash)));
  };
}

/// Returns what `read` gives; VerificationFailed, with `where` in front, for what it refuses.
template <class Read>
auto parsed(const std::string& where, Read read) {
  try {
    return read();
  } catch (const std::invalid_argument& error) {
    throw VerificationFailed(where + error.what());
  }
}

constexpr std::uint64_t map_line = 116;  // bytes, with the newline
constexpr const char* among_checkpoints = "in the file of checkpoints, ";
constexpr std::size_t longest_manifest = std::size_t{64} << 20, most_parts = std::size_t{1} << 17;
constexpr std::uint64_t longest_document = std::uint64_t{1} << 24;

std::uint64_t lines_of_map(const fs::path& file) {
  std::error_code error;
  const auto bytes = fs::file_size(file, error);
  if (error) throw VerificationFailed(file.string() + " can't be read");
  return bytes / map_line;
}

}  // namespace

Manifest Manifest::read(const fs::path& file) {
  LineFile lines(file);
  const auto refuse = [&](const std::string& what) -> VerificationFailed {
    return VerificationFailed(file.string() + ": " + what);
  };
  Manifest manifest;
  const auto first = lines.next();
  if (!first || *first != format::manifest_begin.substr(0, format::manifest_begin.size() - 1))
    throw refuse("it is not the manifest of an export of this version");
  auto origin = lines.next();
  if (!origin || take_word(*origin) != "origin" || !is_origin(*origin))
    throw refuse("the log's origin is expected in line 2");
  manifest.origin = *origin;
  bool whole = false;
  manifest.text = std::string(format::manifest_begin) + "origin " + manifest.origin + "\n";
  RunningHash running;
  running.add(manifest.text);
  while (auto line = lines.next()) {
    const std::string whole_line(*line);
    const auto kind = take_word(*line);
    whole = kind == "head";
    bool good = false;
    if (kind != "head") running.add(whole_line);
    if (kind == "head") {
      const auto records = parse_number(take_word(*line));
      const auto root = parse_hash(take_word(*line));
      const auto bytes = parse_number(take_word(*line));
      const auto in_front = whole_line.size() - line->size();
      running.add(std::string_view(whole_line).substr(0, in_front));
      const auto hash = to_hex(running.so_far());
      running.add(std::string_view(whole_line).substr(in_front));
      good = records && root && bytes && *line == hash && *records >= manifest.records &&
             *bytes >= manifest.checkpoint_bytes;
      if (good)
        manifest.records = *records, manifest.root = *root, manifest.checkpoint_bytes = *bytes;
    } else if (kind == "map") {
      const auto records = parse_number(*line);
      good = records && manifest.maps.insert(*records).second;
    } else if (kind == "key") {
      good = line->size() == 8 &&
             line->find_first_not_of("0123456789abcdef") == std::string_view::npos &&
             manifest.keys.emplace(*line).second;
    } else if (kind == "document") {
      const auto hash = take_word(*line);
      good = parse_hash(hash) && format::is_document_name(*line) &&
             manifest.documents.emplace(hash, *line).second;
    } else if (kind == "timestamp") {
      good =
          take_word(*line) == "1" && parse_hash(*line) && manifest.timestamps.emplace(*line).second;
    }
    running.add("\n");
    manifest.text += whole_line + "\n";
    if (manifest.text.size() > longest_manifest || manifest.maps.size() + manifest.keys.size() +
                                                           manifest.documents.size() +
                                                           manifest.timestamps.size() >
                                                       most_parts)
      throw refuse("it is longer than 64 MiB, or names more than 131072 parts");
    if (!good)
      throw refuse("a line of kind '" + std::string(kind.substr(0, 20)) +
                   "' is not as it should be");
  }
  if (!whole) throw refuse("it does not end with a head: the export was cut");
  if (!manifest.maps.empty() && *manifest.maps.rbegin() > manifest.records)
    throw refuse("a map of more records than there are");
  return manifest;
}

ExportReader::ExportReader(fs::path directory)
    : directory_(std::move(directory)), manifest_(Manifest::read(directory_ / "manifest")) {}

fs::path ExportReader::segment(std::uint64_t number, const char* kind) const {
  return directory_ / format::segment_name(number, kind);
}

void ExportReader::open_segment(std::uint64_t number) {
  lines_ = std::make_unique<LineFile>(segment(number, "jsonl"));
  index_ = open_part(segment(number, "index"));
  offset_ = 0;
}

std::optional<StoredRecord> ExportReader::next_record() {
  if (at_ == manifest_.records) {
    if (lines_ && lines_->next())
      throw VerificationFailed(
          "the export has records behind its end; an export that was interrupted is made good by "
          "exporting again",
          at_);
    return std::nullopt;
  }
  if (at_ % segment_length == 0) {
    if (lines_ && lines_->next())
      throw VerificationFailed("more records in a file than belong there", at_);
    open_segment(at_ / segment_length);
  }
  const auto line = lines_->next();
  std::array<char, format::entry_length> raw{};
  if (!line || !is_read(index_, raw.data(), raw.size()))
    throw VerificationFailed("it is missing in the export", at_);
  const auto entry = format::Entry::read({raw.data(), raw.size()});
  offset_ += line->size() + 1;
  if (entry.end != offset_) throw VerificationFailed("the index says that it ends elsewhere", at_);
  ++at_;
  return StoredRecord{.bytes = *line, .leaf = entry.leaf, .previous = entry.previous};
}

std::optional<Note> ExportReader::next_checkpoint() {
  if (!notes_) notes_ = std::make_unique<LineFile>(directory_ / "checkpoints");
  std::string text;
  for (int i = 0; i < 4; ++i)
    if (const auto line = notes_->next()) text += std::string(*line) + "\n";
  if (text.empty()) return std::nullopt;
  for (int i = 0; i <= 4 && notes_->peek().starts_with("\xE2\x80\x94"); ++i)
    text += std::string(*notes_->next()) + "\n";  // the fifth is refused
  return parsed(among_checkpoints, [&] { return Note::parse(text); });
}

void ExportReader::for_each_head(std::uint64_t map,
                                 const std::function<void(const DeviceHead&)>& visit) {
  LineFile lines(directory_ / format::map_name(map));
  std::optional<std::uint64_t> last;
  parsed("the device-head map of " + std::to_string(map) + " records: ", [&] {
    while (const auto line = lines.next()) {
      const auto head = DeviceHead::parse(*line);
      if (last && head.device <= *last) throw std::invalid_argument("its devices are not sorted");
      last = head.device;
      visit(head);
    }
  });
}

void ExportReader::check_node(std::uint64_t index, const Hash& hash) {
  if (!nodes_) nodes_ = open_part(directory_ / "nodes");
  if (!next_hash_is(nodes_, hash))
    throw VerificationFailed(
        "the file of nodes does not hold the hash of the 256 records that end here",
        ((index + 1) << node_level) - 1);
}

void ExportReader::check_map_node(std::uint64_t map, std::uint64_t index, const Hash& hash) {
  const auto file = directory_ / (format::map_name(map) + ".nodes");
  if (index == 0) map_nodes_ = open_part(file);
  if (!next_hash_is(map_nodes_, hash))
    throw VerificationFailed(file.string() + " does not hold the hashes of the map's lines");
}

std::optional<std::string> ExportReader::document(const std::string& hash) {
  const auto found = manifest_.documents.find(hash);
  if (found == manifest_.documents.end()) return std::nullopt;
  auto content = content_of(directory_ / "documents" / hash, longest_document);
  if (to_hex(sha256(content)) != hash)
    throw VerificationFailed("documents/" + hash + " (" + found->second + ") was changed");
  return content;
}

void ExportReader::for_each_timestamp(const std::function<void(const std::string&)>& visit) {
  for (const auto& hash : manifest_.timestamps) {
    const auto name = format::timestamp_name(hash);
    const auto response = content_of(directory_ / name, longest_timestamp);
    if (to_hex(sha256(response)) != hash) throw VerificationFailed(name + " was changed");
    visit(response);
  }
}

std::vector<AuditKey> ExportReader::audit_keys() {
  std::vector<AuditKey> keys;
  for (const auto& id : manifest_.keys)
    parsed("keys/" + id + ".pem: ", [&] {
      const auto pem = content_of(directory_ / "keys" / (id + ".pem"), 4096);
      keys.push_back(AuditKey::from_pem(pem));
      if (to_hex(keys.back().id()) != id || keys.back().pem() != pem)
        throw std::invalid_argument("it is another key than its name says");
    });
  return keys;
}

std::vector<std::string> ExportReader::check_rest() {
  std::vector<std::string> documents;
  const std::uint64_t segments = (manifest_.records + segment_length - 1) / segment_length;
  constexpr std::array directories{"records", "maps", "keys", "documents", "timestamps"};
  std::map<std::string, std::optional<std::uint64_t>> expected{
      {"manifest", std::nullopt},
      {"nodes", (manifest_.records >> node_level) * sizeof(Hash)},
      {"checkpoints", manifest_.checkpoint_bytes}};
  for (std::uint64_t i = 0; i < segments; ++i) {
    expected.emplace(format::segment_name(i, "jsonl"), std::nullopt);
    expected.emplace(
        format::segment_name(i, "index"),
        std::min(segment_length, manifest_.records - i * segment_length) * format::entry_length);
  }
  for (const auto map : manifest_.maps) {
    std::error_code error;
    const auto lines = fs::file_size(directory_ / format::map_name(map), error) / map_line;
    expected.emplace(format::map_name(map), std::nullopt);
    expected.emplace(format::map_name(map) + ".nodes", (lines >> node_level) * sizeof(Hash));
  }
  for (const auto& id : manifest_.keys) expected.emplace("keys/" + id + ".pem", std::nullopt);
  for (const auto& [hash, name] : manifest_.documents) {
    expected.emplace("documents/" + hash, std::nullopt);
    (void)document(hash);
    documents.push_back(hash);
  }
  for_each_timestamp([](const std::string&) {});
  for (const auto& hash : manifest_.timestamps)
    expected.emplace(format::timestamp_name(hash), std::nullopt);
  for (const auto& file : fs::recursive_directory_iterator(directory_)) {
    const auto name = file.path().lexically_relative(directory_).generic_string();
    const bool is_known = std::ranges::count(directories, name) != 0;
    if (is_known && file.is_directory() && !file.is_symlink()) continue;
    const auto found = expected.find(name);
    if (found == expected.end() || !fs::is_regular_file(file.symlink_status()))
      throw VerificationFailed(name + " does not belong to the export");
    if (found->second && file.file_size() != *found->second)
      throw VerificationFailed(name + " has " + std::to_string(file.file_size()) +
                               " bytes, and should have " + std::to_string(*found->second));
    expected.erase(found);
  }
  if (!expected.empty()) throw VerificationFailed(expected.begin()->first + " is missing");
  return documents;
}

format::Entry ExportReader::entry(std::uint64_t index) const {
  return format::Entry::read(part_of(segment(index / segment_length, "index"),
                                     index % segment_length * format::entry_length,
                                     format::entry_length));
}

std::string ExportReader::record(std::uint64_t index) {
  const auto end = entry(index).end, begin = index % segment_length == 0 ? 0 : entry(index - 1).end;
  if (end <= begin || end - begin > LineFile::longest)
    throw VerificationFailed("the index of the export does not say where it is", index);
  return part_of(segment(index / segment_length, "jsonl"), begin, end - begin - 1);
}

std::optional<std::uint64_t> ExportReader::previous(std::uint64_t index) {
  return entry(index).previous;
}

TreeStore ExportReader::tree() {
  const auto leaves = [this](std::uint64_t first, std::uint64_t count) {
    // A group of 256 never crosses the end of a segment.
    return hashes_of(
        part_of(segment(first / segment_length, "index"),
                first % segment_length * format::entry_length, count * format::entry_length),
        format::entry_length);
  };
  return {.size = manifest_.records,
          .kept = manifest_.records >> node_level,
          .leaves = leaves,
          .nodes = nodes_in(directory_ / "nodes")};
}

TreeStore ExportReader::map_tree(std::uint64_t map) {
  const auto file = directory_ / format::map_name(map);
  const auto lines = lines_of_map(file);
  const auto leaves = [file](std::uint64_t first, std::uint64_t count) {
    const auto raw = part_of(file, first * map_line, count * map_line);
    std::vector<Hash> hashes;
    for (std::uint64_t i = 0; i < count; ++i)
      hashes.push_back(leaf_hash(std::string_view(raw).substr(i * map_line, map_line - 1)));
    return hashes;
  };
  return {.size = lines,
          .kept = lines >> node_level,
          .leaves = leaves,
          .nodes = nodes_in(file.string() + ".nodes")};
}

std::optional<Note> ExportReader::last_checkpoint() {
  // The last note is in the last 4 KiB; where it begins is found from its blank line, three lines
  // above.
  const std::uint64_t length = std::min<std::uint64_t>(manifest_.checkpoint_bytes, 4096);
  if (length == 0) return std::nullopt;
  const auto tail =
      part_of(directory_ / "checkpoints", manifest_.checkpoint_bytes - length, length);
  std::size_t begin = tail.rfind("\n\n");
  for (int line = 0; begin != std::string::npos && begin != 0 && line < 3; ++line)
    begin = tail.rfind('\n', begin - 1);
  return parsed(among_checkpoints, [&] {
    return Note::parse(std::string_view(tail).substr(begin == std::string::npos ? 0 : begin + 1));
  });
}

std::optional<std::pair<DeviceHead, std::uint64_t>> ExportReader::head(std::uint64_t map,
                                                                       std::uint64_t device) {
  const auto file = directory_ / format::map_name(map);
  const auto head_at = [&](std::uint64_t line) {
    return parsed(file.string() + ": ",
                  [&] { return DeviceHead::parse(part_of(file, line * map_line, map_line - 1)); });
  };
  const auto lines = std::views::iota(std::uint64_t{0}, lines_of_map(file));
  const auto found = std::ranges::lower_bound(
      lines, device, {}, [&](std::uint64_t line) { return head_at(line).device; });
  if (found == lines.end()) return std::nullopt;
  const auto head = head_at(*found);
  return head.device == device ? std::optional(std::pair(head, *found)) : std::nullopt;
}

}  // namespace smets1kms::audit
