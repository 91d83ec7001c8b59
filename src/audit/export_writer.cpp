// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "audit/export.hpp"
#include "audit/text.hpp"

namespace smets1kms::audit {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& file, const std::string& what) {
  throw std::runtime_error(file.string() + ": " + what);
}

/// Removes what an interrupted export left behind the last valid byte.
void cut(const fs::path& file, std::uint64_t length) {
  const auto there = fs::exists(file) ? fs::file_size(file) : 0;
  if (there < length)
    fail(file,
         "is shorter than its export's manifest says: restore the export, or begin a new one");
  if (length == 0)
    fs::remove(file);
  else if (there > length)
    fs::resize_file(file, length);
}

std::string content_of(const fs::path& file) {
  constexpr std::size_t limit = std::size_t{1} << 30;  // bytes of nodes: 2^33 records
  return fs::exists(file) ? read_file(file, limit, FileKind::regular) : std::string();
}

/// Cuts the manifest behind its last head, which is where the export that was finished last ends.
void cut_manifest(const fs::path& file) {
  const auto text = content_of(file);
  std::size_t good = 0;
  for (std::size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
    if (text.compare(at, 5, "head ") == 0) good = end + 1;
  if (good != 0) fs::resize_file(file, good);
}

}  // namespace

ExportWriter::ExportWriter(fs::path directory, const std::string& origin)
    : directory_(std::move(directory)) {
  if (!is_origin(origin)) throw std::invalid_argument("'" + origin + "' can't name a log");
  make_directory(directory_);
  const bool exists = fs::exists(directory_ / "manifest");
  if (!exists && !fs::is_empty(directory_))
    fail(directory_, "is not empty, and not an export; name another directory");
  for (const char* name : {"records", "maps", "keys", "documents", "timestamps"})
    make_directory(directory_ / name);
  if (exists) {
    cut_manifest(directory_ / "manifest");
    manifest_ = Manifest::read(directory_ / "manifest");
    if (manifest_.origin != origin)
      fail(directory_, "is the export of " + manifest_.origin + ", not of " + origin);
  } else {
    manifest_.origin = origin;
    manifest_.root = tree_.root();
    // A head at once: from here on the directory is an export, an empty one.
    news_ = std::string(format::manifest_begin) + "origin " + origin + "\n";
  }
  recover();
  nodes_ = append_to("nodes");
  notes_ = append_to("checkpoints");
  if (!exists) finish();
}

/// Restores the tree as far as the manifest says, and cuts the files there.
void ExportWriter::recover() {
  const auto drop = [&](const char* folder, const auto& is_known) {
    for (const auto& file : fs::directory_iterator(directory_ / folder))
      if (!is_known(file.path())) fs::remove(file);
  };
  drop("keys", [&](const fs::path& file) { return manifest_.keys.contains(file.stem().string()); });
  drop("documents", [&](const fs::path& file) {
    return manifest_.documents.contains(file.filename().string());
  });
  drop("timestamps",
       [&](const fs::path& file) { return manifest_.timestamps.contains(file.stem().string()); });
  drop("maps", [&](const fs::path& file) {
    return manifest_.maps.contains(
        parse_padded(file.stem().string(), format::map_digits).value_or(manifest_.records + 1));
  });
  const std::uint64_t size = manifest_.records, grouped = size >> node_level,
                      last = size / segment_length;
  cut(directory_ / "nodes", grouped * sizeof(Hash));
  cut(directory_ / "checkpoints", manifest_.checkpoint_bytes);
  drop("records", [&](const fs::path& file) {
    return parse_padded(file.stem().string(), format::segment_digits).value_or(last) <= last;
  });
  cut(directory_ / format::segment_name(last, "index"),
      size % segment_length * format::entry_length);
  CompactRange upper, lower;
  const auto nodes = content_of(directory_ / "nodes");
  for (std::size_t at = 0; at < nodes.size(); at += sizeof(Hash))
    upper.append(format::hash_at(nodes, at));
  std::uint64_t end = 0, at = last * segment_length;
  const auto index = content_of(directory_ / format::segment_name(last, "index"));
  for (std::size_t place = 0; place < index.size(); place += format::entry_length, ++at) {
    const auto entry = format::Entry::read(std::string_view(index).substr(place));
    if (at >= grouped << node_level) lower.append(entry.leaf);
    end = entry.end;
  }
  cut(directory_ / format::segment_name(last, "jsonl"), end);
  segment_end_ = end;
  auto peaks = upper.peaks();
  peaks.insert(peaks.end(), lower.peaks().begin(), lower.peaks().end());
  if ((upper.size() << node_level) + lower.size() == size)
    tree_ = CompactRange(size, std::move(peaks));
  if (tree_.size() != size || tree_.root() != manifest_.root)
    fail(directory_,
         "is damaged: its hashes do not give the root that its manifest says. Begin a new export "
         "elsewhere");
  if (fs::exists(directory_ / "checkpoints"))
    for (LineFile notes(directory_ / "checkpoints"); const auto line = notes.next();)
      checkpoints_ += line->empty() ? 1 : 0;  // each has one empty line
}

Stream ExportWriter::append_to(const std::string& name) const {
  return to_stream(open_to_append(directory_ / name), "ab");
}

Stream ExportWriter::create(const std::string& name) const {
  return to_stream(create_file(directory_ / name), "wb");
}

void ExportWriter::no_room() const {
  fail(directory_,
       std::string("can't be written: ") + std::strerror(errno) + ". Make room, then export again");
}

void ExportWriter::append(const Stream& file, std::string_view bytes) const {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) no_room();
}

void ExportWriter::sync(const Stream& file) const {
  if (file && (std::fflush(file.get()) != 0 || ::fsync(::fileno(file.get())) != 0)) no_room();
}

NodeSink ExportWriter::nodes_to(const Stream& file) const {
  return [this, &file](unsigned level, std::uint64_t, const Hash& hash) {
    if (level == node_level && file)
      append(file, {reinterpret_cast<const char*>(hash.data()), hash.size()});
  };
}

void ExportWriter::write_whole(const std::string& name, const std::string& content) const {
  const auto file = create(name);
  append(file, content);
  sync(file);
}

void ExportWriter::open_segment() {
  const std::uint64_t number = size() / segment_length;
  if (size() % segment_length == 0) {
    sync(records_);
    sync(index_);
    segment_end_ = 0;
  }
  records_ = append_to(format::segment_name(number, "jsonl"));
  index_ = append_to(format::segment_name(number, "index"));
}

void ExportWriter::add(const StoredRecord& record) {
  if (leaf_hash(record.bytes) != record.leaf)
    throw std::invalid_argument(
        "record " + std::to_string(size()) +
        " is not what its leaf hash says: the registry is damaged; nothing of it was exported");
  if (record.bytes.find('\n') != std::string_view::npos ||
      record.bytes.size() > LineFile::longest - 1)
    throw std::invalid_argument("record " + std::to_string(size()) + " is no line");
  if (!records_ || size() % segment_length == 0) open_segment();
  segment_end_ += record.bytes.size() + 1;
  append(records_, record.bytes);
  append(records_, "\n");
  append(index_, format::Entry{record.leaf, segment_end_, record.previous}.write());
  tree_.append(record.leaf, nodes_to(nodes_));
}

void ExportWriter::add(const Note& note) {
  if (note.head.origin != manifest_.origin || note.head.size != size() || note.head.root != root())
    throw std::invalid_argument(
        "the checkpoint of " + std::to_string(note.head.size) + " records is not one of the " +
        std::to_string(size()) +
        " that were exported: the export is another log's, or the log was changed");
  const auto text = note.format();
  append(notes_, text);
  manifest_.checkpoint_bytes += text.size();
  ++checkpoints_;
}

MapStatement ExportWriter::add_map(std::uint64_t records,
                                   const std::function<void(const HeadVisitor&)>& each) {
  const bool is_new = manifest_.maps.insert(records).second;
  const Stream file = is_new ? create(format::map_name(records)) : Stream(),
               nodes = is_new ? create(format::map_name(records) + ".nodes") : Stream();
  CompactRange tree;
  std::optional<std::uint64_t> last;
  each([&](const DeviceHead& head) {
    if (last && head.device <= *last)
      throw std::invalid_argument("the lines of a device-head map are sorted by device");
    last = head.device;
    const auto line = head.format();
    if (file) append(file, line + "\n");
    tree.append(leaf_hash(line), nodes_to(nodes));
  });
  sync(file);
  sync(nodes);
  if (is_new) news_ += "map " + std::to_string(records) + "\n";
  return {.records = records, .devices = tree.size(), .root = tree.root()};
}

void ExportWriter::add(const AuditKey& key) {
  const auto id = to_hex(key.id());
  if (!manifest_.keys.insert(id).second) return;
  write_whole("keys/" + id + ".pem", key.pem());
  news_ += "key " + id + "\n";
}

void ExportWriter::add_document(const std::string& name, const std::string& content) {
  if (!format::is_document_name(name))
    throw std::invalid_argument("'" + name + "' can't name a document: 1 to 40 of a-z 0-9 . -");
  const auto hash = to_hex(sha256(content));
  if (!manifest_.documents.emplace(hash, name).second) return;
  write_whole("documents/" + hash, content);
  news_ += "document " + hash + " " + name + "\n";
}

void ExportWriter::add_timestamp(const std::string& response) {
  const auto hash = to_hex(sha256(response));
  if (!manifest_.timestamps.insert(hash).second) return;
  write_whole(format::timestamp_name(hash), response);
  news_ += "timestamp 1 " + hash + "\n";
}

void ExportWriter::finish() {
  for (const auto* file : {&records_, &index_, &nodes_, &notes_}) sync(*file);
  for (const char* name : {"", "records", "maps", "keys", "documents", "timestamps"})
    sync_directory(directory_ / name);
  manifest_.records = size();
  manifest_.root = root();
  const auto lines = news_ + "head " + std::to_string(size()) + " " + to_hex(root()) + " " +
                     std::to_string(manifest_.checkpoint_bytes) + " ";
  manifest_.text += lines;
  const auto hash = to_hex(sha256(manifest_.text)) + "\n";
  manifest_.text += hash;
  const auto file = append_to("manifest");
  append(file, lines + hash);
  sync(file);
  news_.clear();
}

}  // namespace smets1kms::audit
