// SPDX-License-Identifier: Apache-2.0
#include "audit/random_story.hpp"

#include <algorithm>

#include "audit/rich_story.hpp"

namespace test {

using namespace smets1kms::audit;

namespace {

/// A role's keys on one device: generations count up, and at most one is on its way.
struct Role {
  std::string name;
  std::uint64_t last = 0, active = 0;  ///< generations; 0: none
  bool pending = false, withheld = false;
  std::vector<std::uint64_t> deactivated{};
};

struct Meter {
  std::uint64_t id;
  bool in_service = false, suspended = false, gone = false;
  std::uint64_t kek = 0;  ///< the generation in use; 0: none
  std::array<Role, 3> roles{{{.name = "guek"}, {.name = "gbek"}, {.name = "gak"}}};
};

class Fleet {
 public:
  Fleet(SampleLog& log, const Below& below) : log_(log), below_(below) {}

  /// Takes one step; false: what was chosen is not legal now.
  bool step() {
    if (meters_.empty() || (meters_.size() < 4 && below_(8) == 0)) return add_meter();
    auto& meter = meters_.at(static_cast<std::size_t>(below_(static_cast<int>(meters_.size()))));
    switch (below_(12)) {
      case 0: return change(meter);
      case 1: return targets();
      case 2: return about_the_log();
      case 3: return lose_kek(meter);
      case 4: return refuse(meter);
      default: break;
    }
    auto& role = meter.roles.at(static_cast<std::size_t>(below_(3)));
    if (role.pending) return answer(meter, role);
    if (!role.deactivated.empty() && below_(3) == 0) return destroy(meter, role);
    if (role.active != 0 && below_(4) == 0) return about_key(meter, role);
    return rotate(meter, role);
  }

 private:
  void at_key(std::uint64_t generation, const Meter& meter, const Role& role,
              std::string_view operation, std::string_view result, std::string_view from,
              std::string_view to, bool dual, const std::string& detail) {
    auto made = SampleLog::record(operation, "note", result,
                                  "op-note-" + std::to_string(log_.entries.size()));
    made.set(Field::role, role.name)
        .set(Field::generation, generation)
        .set(Field::key_id, key_id(meter.id, role.name, generation))
        .set(Field::state_from, from)
        .set(Field::state_to, to);
    if (operation == "transfer.reply")
      made.set(Field::op_id, "op-key.generate-" + role.name + std::to_string(role.last));
    if (dual) log_.two_identities(made);
    if (!detail.empty()) made.set(Field::detail, detail);
    log_.add(made, meter.id);
  }

  void note(std::string_view operation, std::string_view result, const std::string& detail) {
    auto made = SampleLog::record(operation, "note", result,
                                  "op-note-" + std::to_string(log_.entries.size()));
    log_.add(made.set(Field::detail, detail), {});
  }

  bool add_meter() {
    Meter meter{.id = 0x00DB123456780000 + meters_.size()};
    meter.in_service = below_(3) != 0;
    auto begun = SampleLog::record("fleet.import", "note", "begun");
    log_.two_identities(begun);
    log_.add(begun.set(Field::detail, "fleet file sha256 " + to_hex(sha256("fleet")) +
                                          ", KEKs 1, of them moved 0, devices without one 0, "
                                          "unsigned"),
             {});
    log_.register_device(meter.id, "ESME", "guek+gbek+gak+kek",
                         meter.in_service ? "2026-11-20T00:00:00.000Z" : "");
    log_.import_kek(meter.id);
    meter.kek = 1;
    meters_.push_back(meter);
    return true;
  }

  bool change(Meter& meter) {
    const char* at = "2026-11-21T00:00:00.000Z";
    if (meter.gone) {
      meter = {.id = meter.id, .in_service = true, .kek = meter.kek, .roles = meter.roles};
      log_.change_device(meter.id, "recommission", at);
    } else if (!meter.in_service) {
      log_.change_device(meter.id, "commission", at);
      meter.in_service = true;
    } else if (meter.suspended || below_(2) == 0) {
      log_.change_device(meter.id, meter.suspended ? "resume" : "suspend", at);
      meter.suspended = !meter.suspended;
    } else {
      log_.change_device(meter.id, "decommission", at);
      meter.gone = true;
    }
    return true;
  }

  bool rotate(Meter& meter, Role& role) {
    if (!meter.in_service || meter.gone || meter.suspended || meter.kek != 1) return false;
    if (std::ranges::any_of(meter.roles, [](const Role& each) { return each.withheld; }))
      return false;
    log_.release(meter.id, role.name, ++role.last);
    role.pending = true;
    role.withheld = log_.entries.back().record.text(Field::result) == "withheld";
    return true;
  }

  bool answer(Meter& meter, Role& role) {
    if (role.withheld) {
      for (const auto& [name, target] : log_.targets)
        if (!target.before_transfer ||
            log_.handovers(meter.id, role.name, role.last).find(name + "/") == std::string::npos)
          continue;
        else
          log_.receive(meter.id, role.name, role.last,
                       name + "/" + std::to_string(target.generation));
      log_.release_withheld(meter.id, role.name, role.last);
      return !(role.withheld = false);
    }
    switch (below_(4)) {
      case 0: log_.answer(meter.id, role.name, role.last, "not-held"); break;
      case 1:
        log_.answer(meter.id, role.name, role.last, "in-doubt");
        at_key(role.last, meter, role, "transfer.resolve", "not-held", "pre-active", "pre-active",
               true, "never sent");
        break;
      default:
        log_.answer(meter.id, role.name, role.last, "confirmed");
        if (role.last > 1 && role.active != role.last - 1)
          log_.entries.pop_back();  // the sample's last generation is not the one that was active
        if (role.active != 0 && role.active != role.last - 1)
          at_key(role.active, meter, role, "transfer.reply", "superseded", "active", "deactivated",
                 false, "");
        if (role.active != 0) role.deactivated.push_back(role.active);
        role.active = role.last;
    }
    role.pending = false;
    return true;
  }

  bool destroy(Meter& meter, Role& role) {
    const auto which = static_cast<std::size_t>(below_(static_cast<int>(role.deactivated.size())));
    const auto generation = role.deactivated.at(which);
    if (meter.kek != 1) return false;
    role.deactivated.erase(role.deactivated.begin() + static_cast<std::ptrdiff_t>(which));
    log_.destroy(meter.id, role.name, generation);
    return true;
  }

  bool about_key(Meter& meter, Role& role) {
    if (meter.kek != 1) return false;
    if (below_(2) == 0) {
      at_key(role.active, meter, role, "key.prove", "asked", "active", "active", false,
             "challenge sha256 " + to_hex(sha256(role.name)));
    } else {
      log_.compromise(meter.id, role.name, role.active, "active");
      role.active = 0;
    }
    return true;
  }

  /// The KEK is suspected, with all that it has wrapped; the manufacturer provides another one.
  bool lose_kek(Meter& meter) {
    if (meter.kek != 1 || below_(4) != 0) return false;
    for (auto& role : meter.roles)
      if (role.pending) return false;
    log_.compromise_kek(meter.id, 1);
    log_.import_kek(meter.id, meter.kek = 2);
    return true;
  }

  bool refuse(const Meter& meter) {
    log_.refuse(meter.id, "key.generate", "in-doubt");
    return true;
  }

  /// Targets come and go only while nothing is withheld for one.
  bool targets() {
    for (const auto& meter : meters_)
      for (const auto& role : meter.roles)
        if (role.withheld) return false;
    const std::string name = below_(2) == 0 ? "head-end" : "tool";
    if (!log_.targets.contains(name) || below_(3) == 0) {
      log_.admit(name, below_(2) == 0 ? "guek+gak" : "gak", name == "tool" && below_(2) == 0);
    } else {
      const auto generation = log_.targets.at(name).generation;
      log_.end_target(name, "retire");
      log_.destroy_target(name, generation);
    }
    return true;
  }

  bool about_the_log() {
    switch (below_(5)) {
      case 0: note("audit.heartbeat", "", "interval-s 3600"); break;
      case 1: log_.state_map(); break;
      case 2: note("audit.anchor", "", "the token does not keep the head"); break;
      case 3: note("clock.step", "", "from 2026-11-22T00:00:20.000Z"); break;
      default:
        note("token.self-test", "ok",
             "30 of 30 held; needed and not held: none; wished and not held: none");
    }
    return true;
  }

  SampleLog& log_;
  const Below& below_;
  std::vector<Meter> meters_;
};

}  // namespace

SampleLog random_story(const Below& below, int steps) {
  SampleLog log = opening_story(last_key());
  Fleet fleet(log, below);
  for (int taken = 0, tried = 0; taken < steps && tried < 20 * steps; ++tried)
    taken += fleet.step() ? 1 : 0;
  log.seal();
  return log;
}

}  // namespace test
