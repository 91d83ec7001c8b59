// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace test {

/// A directory of this test's own, gone with it.
class Scratch {
 public:
  Scratch() : directory_((std::filesystem::temp_directory_path() / "smets1-unit-XXXXXX").string()) {
    if (mkdtemp(directory_.data()) == nullptr)
      throw std::runtime_error("mkdtemp failed for " + directory_);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  Scratch(const Scratch&) = delete;
  [[nodiscard]] std::filesystem::path path(const std::string& name) const {
    return std::filesystem::path(directory_) / name;
  }
  std::filesystem::path write(const std::string& name, const std::string& content) const {
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }

 private:
  std::string directory_;
};

}  // namespace test
