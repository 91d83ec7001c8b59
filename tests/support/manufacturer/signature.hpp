// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "common/bytes.hpp"

namespace manufacturer {

/// Who signs fleet files: manufacturer.key.pem (EC P-256, mode 0600) and manufacturer.pem (its
/// self-signed certificate) in `directory`; made there when they are absent.
void make_identity(const std::filesystem::path& directory);

/// A detached CMS signature (DER) over `content` by the identity in `directory`.
support::Bytes sign(const std::filesystem::path& directory, const std::string& content);

}  // namespace manufacturer
