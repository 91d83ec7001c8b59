// SPDX-License-Identifier: Apache-2.0
#include "report/html.hpp"

namespace smets1kms::report::html {

std::string handovers(const Capped<HandoverTarget>& targets) {
  if (targets.count == 0) return "<p>No handover target was ever admitted.</p>\n";
  struct Row {
    const HandoverTarget& target;
    KeyRole role;
    const HandedKeys& keys;
  };
  std::vector<Row> rows;
  for (const auto& target : targets.first)
    for (const auto& [role, keys] : target.keys) rows.push_back({target, role, keys});
  return capped_table(
             targets, "admissions", "Handover targets, by certificate",
             {"Target", "Takes", "Admitted", "Until", "Who"},
             [](const HandoverTarget& target) {
               const auto& admission = target.admission;
               return cell(escape(target.name()) +
                           small_line("certificate <span class=\"hash\">" +
                                      escape(target.certificate) + "</span>")) +
                      cell(names_of(roles_of(admission.roles)) +
                           small_line("OAEP with " + admission.hash +
                                      (admission.before_transfer ? "; before the transfer" : ""))) +
                      cell(time(target.admitted) +
                           small_line("record " + std::to_string(target.record))) +
                      cell(target.until ? time(*target.until) +
                                              small_line(escape(target.status) + ", record " +
                                                         std::to_string(target.until_record))
                                        : "still admitted") +
                      cell(escape(target.who));
             }) +
         table("Keys handed over, by target and role",
               {"Target", "Role", "Keys", "Receipt shown", "Not shown", "By state"}, rows,
               [](const Row& row) {
                 std::string states;
                 for (const auto& [state, count] : row.keys.states)
                   states += (states.empty() ? "" : ", ") + std::string(to_string(state)) + " " +
                             std::to_string(count);
                 const auto number = [](std::uint64_t count) {
                   return cell(std::to_string(count), number_column);
                 };
                 return cell(escape(row.target.name())) + cell(to_string(row.role)) +
                        number(row.keys.count) + number(row.keys.received) +
                        number(row.keys.count - row.keys.received) + cell(states);
               });
}

}  // namespace smets1kms::report::html
