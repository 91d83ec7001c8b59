// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <iostream>
#include <set>

#include "report.hpp"
#include "service.hpp"

/// Every attack on a token that smets1-kms provisioned, and on a naive one beside it. README.md
/// says more.
namespace {

using namespace attack;

constexpr const char* usage =
    "usage: attack_tests run --mode officer|plain|sealed --dir DIR --kms PROGRAM --audit PROGRAM "
    "--meter PROGRAM --out FILE.json\n"
    "       attack_tests table FILE.json …\n";
constexpr const char* module_path = "/usr/lib/softhsm/libsofthsm2.so";
constexpr const char* naive_label = "naive";

struct Options {
  std::string mode, out;
  Place place;
};

pkcs11::Secret read_pin(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string pin;
  std::getline(in, pin);
  return pkcs11::Secret(std::span(reinterpret_cast<std::uint8_t*>(pin.data()), pin.size()));
}

/// Everything secret or private that a provisioned token holds, before and after each attack.
/// SoftHSM keeps an object in a file: objects are asked only where a file is not as it was, since a
/// question to each takes 100 ms.
class Watch {
 public:
  Watch(Session& session, std::filesystem::path tokens)
      : session_(session), tokens_(std::move(tokens)) {
    look();
  }
  /// What an attack changed; what it left behind is removed.
  std::vector<std::string> changes() {
    std::vector<std::string> found;
    if (files() == files_) return found;
    std::set<Handle> now;
    for (const auto object : session_.find_objects(Template().add(attr::token, true))) {
      now.insert(object);
      const auto known = before_.find(object);
      if (known == before_.end())
        session_.destroy_object(object);
      else if (known->second != describe(session_, object))
        found.push_back("an object was changed: " + known->second + " -> " +
                        describe(session_, object));
    }
    for (const auto& [object, text] : before_)
      if (!now.contains(object)) found.push_back("an object is gone: " + text);
    look();
    return found;
  }

 private:
  using Files = std::map<std::string, std::filesystem::file_time_type>;
  [[nodiscard]] Files files() const {
    Files all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(tokens_))
      if (entry.path().extension() == ".object") all[entry.path()] = entry.last_write_time();
    return all;
  }
  void look() {
    before_.clear();
    for (const auto object : session_.find_objects(Template().add(attr::token, true)))
      before_[object] = describe(session_, object);
    files_ = files();
  }
  Session& session_;
  std::filesystem::path tokens_;
  Files files_;
  std::map<Handle, std::string> before_;
};

template <class Run>
Outcome outcome_of(const Target& target, const std::function<Judge()>& judge, Run&& run) {
  Attacker attacker(target);
  Outcome outcome;
  try {
    run(attacker);
  } catch (const pkcs11::Error& error) {
    attacker.note(error);
  }
  outcome.gained = judge().verdict(attacker.loot);
  outcome.answers = attacker.answers();
  return outcome;
}

Row row_of(const Attack& each) {
  const auto text = [](const char* given) {
    return given == nullptr ? std::string() : std::string(given);
  };
  return {.name = each.name,
          .source = each.source,
          .impossible = text(each.impossible),
          .open_in_plain = text(each.open_in_plain),
          .remains = text(each.remains),
          .open_in_sealed = text(each.open_in_sealed),
          .outcomes = {}};
}

class Run {
 public:
  Run(const Options& options, std::shared_ptr<pkcs11::Module> module)
      : options_(options),
        module_(module),
        provisioned_(module, slot_of(*module, provisioned_label)),
        naive_session_(module, slot_of(*module, naive_label)) {
    provisioned_.login(CKU_USER, read_pin(options.place.file("token.pin")));
    naive_session_.login(CKU_USER, read_pin(options.place.file("naive.pin")));
    if (options.place.sealed) open_sealed(provisioned_, options.place);
    naive_ = std::make_unique<NaiveToken>(module, naive_session_.slot(),
                                          read_bytes(options_.place.file("headend.key.der")));
  }

  Report all() {
    std::vector<Attack> on_tokens;
    for (const auto& room :
         {wrap_attacks(), attribute_attacks(), injection_attacks(), oracle_attacks(),
          import_attacks(), handover_attacks(), remaining_attacks()})
      on_tokens.insert(on_tokens.end(), room.begin(), room.end());
    const auto with_enrolment = on_tokens.size();
    for (const auto& each : enrolment_attacks()) on_tokens.push_back(each);
    const auto with_storage = on_tokens.size();
    for (const auto& each : sealed_attacks()) on_tokens.push_back(each);
    auto target = provisioned_target(module_, options_.place);
    const auto judge = provisioned_judge(provisioned_, options_.place);
    overhear(target, judge);
    Watch watch(provisioned_, token_directory(*module_, options_.place, provisioned_label));
    for (std::size_t i = 0; i < on_tokens.size(); ++i) {
      auto& row = report_.rows.emplace_back(row_of(on_tokens[i]));
      Judge naive_judge;
      auto naive_target = fresh_naive(naive_judge, target);
      overhear(naive_target, naive_judge);
      row.outcomes["naive"] = outcome_of(
          naive_target, [&] { return naive_judge; }, on_tokens[i].run);
      const bool no_enrolment =
          i >= with_enrolment && i < with_storage && target.enrolment == Handle::none;
      if (no_enrolment || (i >= with_storage && target.mac == Handle::none)) {
        row.outcomes[options_.mode].not_applicable =
            no_enrolment ? "no enrolment key" : "no storage keys";
        continue;
      }
      auto& outcome = row.outcomes[options_.mode] = outcome_of(
          target, [&] { return judge; }, on_tokens[i].run);
      for (auto& change : watch.changes()) outcome.gained.push_back(std::move(change));
    }
    service_rows(target);
    return std::move(report_);
  }

 private:
  Target fresh_naive(Judge& judge, const Target& provisioned) {
    auto target = naive_->fresh(judge);
    target.former_private = provisioned.former_private;
    target.thief_private = provisioned.thief_private;
    return target;
  }

  void service_rows(const Target& target) {
    const auto service = commands(options_.place);
    const auto& first = service->devices().front();
    const auto on_targets = handover_service_attacks();
    auto attacks = on_targets;
    for (const auto& each : service_attacks()) attacks.push_back(each);
    for (const auto& each : attacks) {
      if (&each == &attacks[on_targets.size()]) verify(*service);
      const Attack as_attack{.name = each.name,
                             .source = each.source,
                             .run = nullptr,
                             .impossible = each.impossible,
                             .open_in_plain = each.open_in_plain,
                             .remains = each.remains,
                             .open_in_sealed = each.open_in_sealed};
      auto& row = report_.rows.emplace_back(row_of(as_attack));
      Judge naive_judge;
      const auto naive_target = fresh_naive(naive_judge, target);
      const auto naive = naive_service(module_, naive_session_.slot(), naive_judge);
      row.outcomes["naive"] = outcome_of(
          naive_target, [&] { return naive_judge; },
          [&](Attacker& attacker) { each.run(attacker, *naive); });
      if (options_.mode == "plain" && each.not_in_plain != nullptr) {
        row.outcomes["plain"].not_applicable = each.not_in_plain;
        continue;
      }
      row.outcomes[options_.mode] = outcome_of(
          target, [&] { return provisioned_judge(provisioned_, options_.place); },
          [&](Attacker& attacker) { each.run(attacker, *service); });
      if (const bool next_destroys = std::string(each.name).starts_with("fleet file");
          next_destroys)
        still_works(*service, first, "the attacks that destroy nothing");
    }
    still_works(*service, first, "all attacks");
    report_.notes.push_back(
        options_.mode +
        ": a thief of the PIN who destroys objects denies service: KEKs, keys and the import key "
        "of the devices so attacked are gone (out of scope)");
  }

  /// The trail after the attacks on handover targets: under plain enrolment keys were wrapped for a
  /// target that was retired, which an assessor sees.
  void verify(Service& service) {
    const auto verdict = service.verdict();
    const bool is_seen = verdict.starts_with("FAILED") && verdict.find("former/1") != verdict.npos;
    report_.damaged |= options_.mode == "plain" ? !is_seen : !verdict.starts_with("VERIFIED");
    report_.notes.push_back(
        options_.mode + ": after the attacks on handover targets smets1-audit says: " + verdict);
  }

  void still_works(Service& service, const std::string& device, const std::string& after) {
    const auto answer = service.rotate({device}, {"guek", "gak"});
    const bool accepted = !answer.transfers.empty() && service.deliver();
    if (!accepted) {
      report_.damaged = true;
      report_.notes.push_back("DAMAGE (" + options_.mode + "), after " + after +
                              ": a device that was not attacked gets no new keys: " +
                              (answer.said.empty() ? "its meter refuses them" : answer.said));
    } else if (after == "all attacks") {
      report_.notes.push_back(options_.mode +
                              ": after all attacks a device that was not attacked gets new keys, "
                              "and its meter accepts them");
    }
  }

  const Options& options_;
  std::shared_ptr<pkcs11::Module> module_;
  Session provisioned_, naive_session_;
  std::unique_ptr<NaiveToken> naive_;
  Report report_;
};

int run(const Options& options) {
  const auto module = pkcs11::Module::load({module_path, {}});
  Report report;
  {
    Run all(options, module);
    report = all.all();
  }
  module->finalize();
  std::ofstream(options.out) << to_json(report).dump(1) << '\n';
  return 0;
}

int table(const std::vector<std::string>& files) {
  Report report;
  for (const auto& file : files) {
    std::ifstream in(file);
    merge(report, from_json(nlohmann::json::parse(in)));
  }
  return print(report) ? 0 : 1;
}

}  // namespace

int main(int count, char** given) {
  const std::vector<std::string> arguments(given + 1, given + count);
  try {
    if (arguments.size() >= 2 && arguments[0] == "table")
      return table({arguments.begin() + 1, arguments.end()});
    Options options;
    if (arguments.size() == 13 && arguments[0] == "run") {
      const std::map<std::string, std::string*> known{{"--mode", &options.mode},
                                                      {"--kms", &options.place.kms},
                                                      {"--audit", &options.place.audit},
                                                      {"--meter", &options.place.meter},
                                                      {"--out", &options.out}};
      for (std::size_t i = 1; i + 1 < arguments.size(); i += 2) {
        if (arguments[i] == "--dir")
          options.place.directory = arguments[i + 1];
        else if (known.contains(arguments[i]))
          *known.at(arguments[i]) = arguments[i + 1];
      }
      options.place.sealed = options.mode == "sealed";
      options.place.officer = options.mode == "officer" || options.place.sealed;
      if ((options.place.officer || options.mode == "plain") && !options.place.directory.empty())
        return run(options);
    }
    std::cerr << usage;
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "attack_tests: " << error.what() << '\n';
    return 1;
  }
}
