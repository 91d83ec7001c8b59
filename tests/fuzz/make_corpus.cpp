// SPDX-License-Identifier: Apache-2.0
// Writes the corpus of bundle, record and export from the sample log of the tests. usage:
// make_corpus DIRECTORY
#include <fstream>

#include "audit/bundle.hpp"
#include "audit/sample_log.hpp"

int main(int count, char** arguments) {
  namespace fs = std::filesystem;
  if (count != 2) return 2;
  const fs::path out = arguments[1];
  const test::TestKey key;
  test::SampleLog log;
  log.import_kek(0x00DB123456789000);
  log.rotate(0x00DB123456789000, "guek", 1);
  log.rotate(0x00DB123456789000, "gak", 1, "in-doubt");
  log.state_map();
  const auto directory = fs::temp_directory_path() / "smets1-make-corpus";
  fs::remove_all(directory);
  log.export_to(directory, key);
  const auto bytes = log.bytes();
  for (const std::size_t i : {0U, 1U, 3U, 4U, 8U})
    std::ofstream(out / "record" / std::to_string(i)) << bytes[i];
  test::SampleLog handed;  // an admission, a key for two targets, a receipt
  handed.admit("head-end", "guek+gak");
  handed.admit("tool", "guek", true);
  handed.import_kek(0x00DB123456789000);
  handed.release(0x00DB123456789000, "guek", 1);
  handed.receive(0x00DB123456789000, "guek", 1, "tool/1");
  handed.seal();
  for (const std::size_t i : {1U, 3U, 7U, 8U})
    std::ofstream(out / "record" / ("handover-" + std::to_string(i))) << handed.bytes()[i];
  smets1kms::audit::ExportReader reader(directory);
  std::ofstream(out / "bundle" / "1") << prove(reader, 0x00DB123456789000).format();
  std::ofstream all(out / "export" / "1", std::ios::binary);
  for (const char* name : {"manifest", "records/00000000.jsonl", "records/00000000.index", "nodes",
                           "checkpoints", "maps/000000000000008", "maps/000000000000008.nodes"})
    all << "== " << name << "\n" << test::read_file(directory / name) << "\n";
  fs::remove_all(directory);
}
