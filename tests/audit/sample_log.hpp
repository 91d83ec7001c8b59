// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "audit/export.hpp"
#include "audit/record.hpp"
#include "audit/support.hpp"
#include "audit/verify.hpp"

namespace test {

/// What the sample log calls a key.
[[nodiscard]] std::string key_id(std::uint64_t device, const std::string& role,
                                 std::uint64_t generation);

/// Returns the record without these fields.
[[nodiscard]] smets1kms::audit::Record without(
    const smets1kms::audit::Record& record, std::initializer_list<smets1kms::audit::Field> fields);

/// A log as the service writes it, in memory, to be exported as it is or after somebody with the
/// audit key changed it.
class SampleLog {
 public:
  struct Entry {
    smets1kms::audit::Record record;
    std::optional<std::uint64_t> device;
  };
  std::vector<Entry> entries;
  std::uint64_t first_index = 0;  ///< of the first entry in its log: times go on from there
  std::uint64_t together = 0;  ///< number of a transfer that the next keys share; 0: each its own
  std::string now;  ///< the time of what comes next, for stories over years; empty: a tenth of a
                    ///< second after the last
  std::map<std::string, std::string> documents{
      {"token.json", "{\"model\":\"SoftHSM v2\"}"}};  ///< beside the log, by name

  /// A record with the fields that every record has; `add` stamps it.
  static smets1kms::audit::Record record(std::string_view operation, std::string_view phase,
                                         std::string_view result = {},
                                         std::string_view operation_id = "op-1");
  void add(smets1kms::audit::Record record, std::optional<std::uint64_t> device);
  void two_identities(smets1kms::audit::Record& record) const;

  // Handover targets, and the records that they leave.
  struct Target {
    std::uint64_t generation;
    std::string roles, hash;
    bool before_transfer;
  };
  std::map<std::string, Target> targets;  ///< those admitted now: `release` hands keys over to them
  void admit(const std::string& name, const std::string& roles = "guek+gak",
             bool before_transfer = false, const std::string& hash = "SHA-256");
  /// "retire", "compromise"
  void end_target(const std::string& name, const std::string& how);
  void destroy_target(const std::string& name, std::uint64_t generation);
  void receive(std::uint64_t device, const std::string& role, std::uint64_t generation,
               const std::string& target);
  void hand_over_again(std::uint64_t device, const std::string& role, std::uint64_t generation,
                       const std::string& target);
  /// What was withheld is released.
  void release_withheld(std::uint64_t device, const std::string& role, std::uint64_t generation);
  /// The field `handovers` of a key's outcome, now; empty where nobody takes it.
  [[nodiscard]] std::string handovers(std::uint64_t device, const std::string& role,
                                      std::uint64_t generation) const;
  /// What stands for a wrapped key: the bytes whose digest `handovers` has.
  [[nodiscard]] static std::string blob(std::uint64_t device, const std::string& role,
                                        std::uint64_t generation, const std::string& target);

  /// A line of a file of handovers for each that the records so far name, as smets1-kms writes it.
  [[nodiscard]] std::vector<std::string> handover_lines() const;
  [[nodiscard]] static std::string checkpoint_line(const smets1kms::audit::Note& note);

  // The lifecycle's operations, with the records that they leave.
  void import_kek(std::uint64_t device, std::uint64_t generation = 1);
  /// The KEK of the generation before, in the other vault: imported `from` the same bytes, or
  /// others; the old one is retired.
  void move_kek(std::uint64_t device, std::uint64_t generation, const std::string& from,
                bool retired = true);
  /// A KEK in use becomes suspected, and all that it has wrapped.
  void compromise_kek(std::uint64_t device, std::uint64_t generation);
  void rotate(std::uint64_t device, const std::string& role, std::uint64_t generation,
              const std::string& answer = "confirmed");
  /// Up to the transfer's release, and what the device answered.
  void release(std::uint64_t device, const std::string& role, std::uint64_t generation,
               const std::string& justification = {});
  void answer(std::uint64_t device, const std::string& role, std::uint64_t generation,
              const std::string& answer);
  /// The facts that the policy judges by.
  void register_device(std::uint64_t device, const std::string& kind, const std::string& supports,
                       const std::string& commissioned_at, const std::string& no_kek_reason = {});
  /// "suspend", "resume", "decommission", "recommission"
  void change_device(std::uint64_t device, const std::string& what, const std::string& at);
  void compromise(std::uint64_t device, const std::string& role, std::uint64_t generation,
                  const std::string& state, const std::string& result = "compromised");
  void refuse(std::optional<std::uint64_t> device, const std::string& operation,
              const std::string& rule);
  /// Adds a document and the record that names it.
  void add_document(const std::string& name, const std::string& content);
  void destroy(std::uint64_t device, const std::string& role, std::uint64_t generation);
  /// States a map of all records so far.
  void state_map();
  /// A KEK and some rotations for some devices; `registered`: with their facts.
  static SampleLog of(std::uint64_t devices, std::uint64_t first_device = 0,
                      std::uint64_t first_index = 0, bool registered = false);

  /// Numbers, chains and places once more, as whoever has the audit key could; maps are stated
  /// anew.
  void seal();
  [[nodiscard]] std::vector<std::string> bytes() const;
  [[nodiscard]] std::vector<std::optional<std::uint64_t>> previous() const;
  [[nodiscard]] std::vector<smets1kms::audit::DeviceHead> heads(std::uint64_t records) const;
  /// Seals it, and appends to the export in `directory` what it does not have, with a head after
  /// every `every` records and the last.
  void export_to(const std::filesystem::path& directory, const TestKey& key,
                 std::uint64_t every = 7);

  static constexpr const char* origin = "log.example/test";

 private:
  /// Intents that made a device's keys, by key id: later records repeat what they say of it.
  std::map<std::string, smets1kms::audit::Record, std::less<>> made_;
  std::map<std::string, std::uint64_t> generations_;  ///< the last one of each target
  std::string end_ = "op-1";  ///< id of the operation that ended a target last
  [[nodiscard]] smets1kms::audit::Record target_record(const char* operation, const char* phase,
                                                       const char* result, const std::string& name,
                                                       std::uint64_t generation) const;
  [[nodiscard]] smets1kms::audit::Record key_record(std::string_view operation,
                                                    std::string_view phase, std::string_view result,
                                                    std::uint64_t device, const std::string& role,
                                                    std::uint64_t generation, std::string_view from,
                                                    std::string_view to) const;
};

}  // namespace test
