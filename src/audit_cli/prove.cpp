// SPDX-License-Identifier: Apache-2.0
#include "audit_cli/log_options.hpp"

namespace smets1kms::audit_cli {
namespace {

struct Proved {
  std::string file;
  std::uint64_t records, complete_up_to, bytes;
};
const Fields<Proved> prove_fields(
    "smets1-audit-prove-1", "The bundle that 'prove' wrote",
    {{"file", "where it is", &Proved::file},
     {"records", "how many records of the device it has", &Proved::records},
     {"complete_up_to", "the record up to which there are no others", &Proved::complete_up_to},
     {"bytes", "its length", &Proved::bytes}});

void run_prove(const Invocation& in) {
  const auto path = in.values.needed("path");
  const auto device = in.values.needed("device", DeviceId::parse).number();
  const auto bundle = audit::prove(*open_log(path), device);
  const auto text = bundle.format();
  if (!in.values.has("out")) return print_exactly(in, text);
  const Proved proved{in.values.text("out"), bundle.records.size(), bundle.statement.index,
                      text.size()};
  write_new_file(proved.file, text);
  show(in, prove_fields, proved, [&](std::ostream& out) {
    out << proved.file << ": " << proved.records << " records, complete up to record "
        << proved.complete_up_to << ", " << proved.bytes << " bytes\n";
  });
}

}  // namespace

Command prove() {
  return {"prove",
          "write a bundle that proves one device's whole history without the rest of the log",
          "PATH --device ID [--out FILE]",
          R"(
Writes a bundle: the device's records, each with its proof under the last signed head, and the
proof that there are no others up to the last device-head map. 'smets1-audit verify BUNDLE --key
audit.pem' checks it alone. Nothing is checked here: whoever is given the bundle does that.)",
          {positional("path", "PATH", "an export or a database"),
           text("device", "ID", "the device, as 00-DB-12-34-56-78-90-A0"),
           text("out", "FILE", "file to write the bundle to (standard output without it)")},
          run_prove,
          {prove_fields}};
}

}  // namespace smets1kms::audit_cli
