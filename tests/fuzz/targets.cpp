// SPDX-License-Identifier: Apache-2.0
#include "fuzz/targets.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "audit/bundle.hpp"
#include "audit/export.hpp"
#include "audit/record.hpp"
#include "audit/record_rules.hpp"
#include "audit/text.hpp"

namespace fuzz {

using namespace smets1kms::audit;

namespace {

namespace fs = std::filesystem;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

/// In memory, one for each process, gone with it.
struct Scratch {
  fs::path directory = fs::path(fs::exists("/dev/shm") ? "/dev/shm" : "/tmp") /
                       ("smets1-fuzz-" + std::to_string(::getpid()));
  Scratch() {
    for (const char* name : {"records", "maps", "keys", "documents"})
      fs::create_directories(directory / name);
  }
  ~Scratch() { fs::remove_all(directory); }
};
const fs::path& scratch() {
  static const Scratch one;
  return one.directory;
}

/// The key of the vectors: signatures are checked, and hardly ever right.
const AuditKey& any_key() {
  static const auto key = AuditKey::from_pem(
      "-----BEGIN PUBLIC "
      "KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"
      "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n-----END PUBLIC KEY-----\n");
  return key;
}

/// The hashes of a manifest set right: without it hardly a change would get past its first line.
std::string sealed(std::string_view manifest) {
  std::string text;
  while (const auto line = take_line(manifest)) {
    if (line->starts_with("head ")) {
      text += line->substr(0, line->rfind(' ') + 1);
      text += to_hex(sha256(text));
    } else {
      text += *line;
    }
    text += '\n';
  }
  return text;
}

}  // namespace

void record(std::string_view bytes) {
  try {
    const auto view = RecordView::parse(bytes);
    if (Record::decode(bytes).encode() != bytes)
      broken("a record that was read is written otherwise");
    (void)summarise(view, 0, leaf_hash(bytes));
  } catch (const std::invalid_argument&) {
  } catch (const VerificationFailed&) {
  } catch (const VerificationInconclusive&) {
  }
}

void note(std::string_view bytes) {
  try {
    const auto note = Note::parse(bytes);
    // The order of the signatures is free (C2SP signed-note).
    const auto written = note.format();
    if (!std::ranges::is_permutation(written, bytes) || Note::parse(written).format() != written)
      broken("a checkpoint that was read is written otherwise");
    (void)check_signatures(note, std::span(&any_key(), 1));
  } catch (const std::invalid_argument&) {
  }
}

void bundle(std::string_view bytes) {
  try {
    const auto bundle = Bundle::parse(bytes);
    if (bundle.format() != bytes) broken("a bundle that was read is written otherwise");
    (void)verify(bundle, {.keys = {any_key()}});
    // The proofs, as if the head were right.
    for (const auto& entry : bundle.records)
      (void)is_included(leaf_hash(entry.bytes), entry.index, bundle.note.head.size, entry.proof,
                        bundle.note.head.root);
    (void)is_consistent(bundle.place, bundle.head.leaf, bundle.note.head.size,
                        bundle.note.head.root, bundle.head_proof);
  } catch (const VerificationFailed&) {
  }
}

void exported(std::string_view bytes) {
  // Names are from a list: where files are is not what is fuzzed.
  static constexpr std::string_view names[] = {
      "manifest",    "records/00000000.jsonl", "records/00000000.index",    "nodes",
      "checkpoints", "maps/000000000000008",   "maps/000000000000008.nodes"};
  for (const auto name : names) {
    const std::string mark = "== " + std::string(name) + "\n";
    const auto at = bytes.find(mark);
    fs::remove(scratch() / name);
    if (at == std::string_view::npos) continue;
    const auto begin = at + mark.size();
    // The newline before the next mark belongs to the mark.
    const auto content =
        bytes.substr(begin, std::min(bytes.find("\n== ", begin), bytes.size() - 1) - begin);
    std::ofstream(scratch() / name, std::ios::binary)
        << (name == "manifest" ? sealed(content) : std::string(content));
  }
  try {
    ExportReader log(scratch());
    (void)verify(log, {.keys = {any_key()}});
    (void)log.last_checkpoint();
    for (const auto map : log.maps()) (void)log.head(map, 0x00DB123456789000);
    (void)prove(log, 0x00DB123456789000);
  } catch (const VerificationFailed&) {
  } catch (const VerificationInconclusive&) {
  } catch (const std::invalid_argument&) {
  }
}

}  // namespace fuzz
