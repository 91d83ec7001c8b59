// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "audit/bundle.hpp"
#include "audit/handover_file.hpp"
#include "command_line/command.hpp"
#include "command_line/files.hpp"

/// The assessor's command. It reads; it needs no token, no configuration and no trust in the
/// service.
namespace smets1kms::audit_cli {

using namespace command_line;  // NOLINT: each file of this folder is a command of that shell

/// Opens an export (directory) or a database (file). Throws audit::VerificationFailed where it is
/// damaged, BadInput where it is something else.
[[nodiscard]] std::unique_ptr<audit::Log> open_log(const std::filesystem::path& path);
/// Opens a bundle; nullopt where the file is none. Throws audit::VerificationFailed.
[[nodiscard]] std::optional<audit::Bundle> open_bundle(const std::filesystem::path& path);

/// Returns the options --key, --since and --origin: what a log is checked against.
[[nodiscard]] Options check_options();
[[nodiscard]] audit::VerifyOptions checks_of(const Invocation& in);
/// Reads a file of handovers. Throws audit::VerificationFailed, file and line, for a line that is
/// not one; FileError.
void read_handovers(const std::string& file, audit::HandoverFiles& files);
/// Prints a part of a log byte for byte. Throws audit::VerificationFailed for one that holds
/// characters that steer a terminal: nothing of ours does.
void print_exactly(const Invocation& in, const std::string& text);
/// Ends the command with the exit code of a verdict that is not VERIFIED, which it has printed.
void end_with(audit::Verdict verdict, const std::string& why);

}  // namespace smets1kms::audit_cli
