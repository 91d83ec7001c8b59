// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"

namespace support {

/// Wrong input, or a file that can't be read or written: exit code 1. The text says where.
struct InputError : std::runtime_error {
  explicit InputError(const std::string& what) : std::runtime_error(what) {}
  InputError(const std::filesystem::path& file, std::size_t line, const std::string& what)
      : std::runtime_error(file.string() + ":" + std::to_string(line) + ": " + what) {}
};

/// Wrong use of the command line: exit code 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Line {
  std::size_t number;  ///< from 1
  std::string text;
};

std::string read_file(const std::filesystem::path& file);

/// Lines without their ends; blank ones are left out, the numbering is kept.
std::vector<Line> read_lines(const std::filesystem::path& file);

/// Fields of a CSV line without quoting, which none of our formats needs.
std::vector<std::string> split(std::string_view text, char separator);

enum class Access { shared, private_to_owner };

/// Appears whole or not at all, over whatever was there; mode 0600.
void replace_private_file(const std::filesystem::path& file, std::string_view content);

/// Fails when the file is there already. Mode 0600 when private, else 0644, less the umask.
void create_file(const std::filesystem::path& file, ByteView content, Access access);

ByteView as_bytes(std::string_view text);

}  // namespace support
