// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <vector>

#include "smets1kms/config.hpp"
#include "smets1kms/fleet.hpp"

namespace smets1kms::lifecycle {

/// One line of a manufacturer's fleet file.
struct FleetLine {
  std::size_t line;  ///< counted from 1
  Device device;
  Bytes kek_wrapped;          ///< RFC 3394: 24 or 40 bytes, as the suite asks; empty: no KEK
  std::string kek_transport;  ///< name of the transport key that it is wrapped under
  std::size_t title_column, kek_column, since_column;  ///< in the line, for errors found later
};

/// Reads the content of a file: CSV without quotes, LF or CRLF, with a header that names these
/// columns, separated by commas: device_id, kind, model, system_title, security_suite, supports,
/// commissioned_at, kek_wrapped, kek_transport, and no_kek_reason where a device has no KEK. Throws
/// BadFile at the first fault, with line and column: another header, a missing field, a value that
/// can't be, a model that `config` does not know, a KEK and a reason for having none, or neither; a
/// device, a system title or a wrapped KEK twice.
[[nodiscard]] std::vector<FleetLine> read_fleet_file(const std::string& name,
                                                     const std::string& content,
                                                     const Config& config);

/// Returns the columns in which a file's device differs from the registry's; empty: none. One that
/// the file does not commission may have been commissioned since.
[[nodiscard]] std::string differing_facts(const Device& known, const Device& in_file);

/// Checks the detached CMS signature over the file's bytes, before a line of it is read: made by
/// one of the certificates of `config.manufacturers`, and valid. Returns the signer: subject and
/// SHA-256 of the certificate; nothing where unsigned files are accepted. Throws Refused
/// (unsigned_file, foreign_signature, altered).
[[nodiscard]] std::string check_signature(const std::string& content,
                                          const std::filesystem::path& signature,
                                          const Config& config);

}  // namespace smets1kms::lifecycle
