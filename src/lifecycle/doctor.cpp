// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/doctor.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>

#include "lifecycle/context.hpp"
#include "lifecycle/fleet_duties.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/token_keys.hpp"
#include "vault/orphans.hpp"
#include "vault/self_test/self_test.hpp"

namespace smets1kms {
namespace {

using enum Check::Verdict;
using vault::with_token;

std::string_view evidence_in_words(vault::Evidence evidence) {
  switch (evidence) {
    case vault::Evidence::measured: return "measured here";
    case vault::Evidence::documented: return "vendor's document";
    case vault::Evidence::unverified: break;
  }
  return "unverified";
}

/// The permissions of a file, as chmod writes them.
std::string mode_of(const struct stat& status) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(status.st_mode & 07777));
  return text.data();
}

/// Collects checks; a stage leaves out what an earlier failure made impossible.
class Examination {
 public:
  Examination(const Config& config, const Callbacks& callbacks)
      : config_(config), callbacks_(callbacks) {}
  Examination(const Examination&) = delete;
  ~Examination() {
    link_.reset();
    try {
      if (module_) module_->finalize();
    } catch (const std::exception&) {  // the module is gone; there is nobody left to tell
    }
  }

  Diagnosis run() {
    static constexpr std::array stages{
        &Examination::configuration, &Examination::pin_source,  &Examination::module,
        &Examination::p11_kit,       &Examination::profile,     &Examination::token,
        &Examination::mechanisms,    &Examination::protections, &Examination::manufacturers,
        &Examination::policy,        &Examination::registry,    &Examination::anchors,
        &Examination::orphans,       &Examination::disk,        &Examination::clock};
    for (const auto stage : stages) (this->*stage)();
    result_.next = next();
    return std::move(result_);
  }

 private:
  void add(Check::Verdict verdict, std::string subject, std::string finding,
           std::string remedy = {}) {
    result_.checks.push_back({verdict, std::move(subject), std::move(finding), std::move(remedy)});
  }

  void configuration() {
    const std::string file = config_.file.string();
    struct stat status {};
    if (::stat(file.c_str(), &status) == 0 && (status.st_mode & 022) != 0)
      add(warning, "configuration",
          file + " can be changed by others (mode " + mode_of(status) +
              "): they name the module that sees the PIN",
          "chmod go-w " + file);
    else
      add(ok, "configuration", file);
  }

  void pin_source() {
    try {
      using Kind = pkcs11::PinSource::Kind;
      const auto source = vault::pins_of(config_).user;
      if (source.kind == Kind::file) return pin_file(source.path);
      if (source.kind == Kind::prompt)
        return add(warning, "PIN source", "none: asked for on the terminal at each start",
                   "for a service: pin-source=file:token.pin in token.uri");
      add(ok, "PIN source", "descriptor " + std::to_string(source.descriptor) + ", open");
    } catch (const Error& error) {
      add(failure, "PIN source", error.what(), "correct token.uri");
    }
  }

  /// As the login will judge it, without opening it.
  void pin_file(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0)
      return add(failure, "PIN source", path + " is not there",
                 "write the PIN into it: (umask 077; cat > " + path + ")");
    const auto state = pkcs11::judge_pin_file(path, status);
    using enum pkcs11::PinFileState::Verdict;
    add(state.verdict == good     ? ok
        : state.verdict == shared ? warning
                                  : failure,
        "PIN source",
        path + ", mode " + mode_of(status) +
            (state.verdict == good || (status.st_mode & 037) != 0 ? "" : ": it " + state.what),
        state.remedy);
  }

  void module() {
    try {
      module_ = vault::load_module(config_);
      const auto info = vault::with_token([&] { return module_->info(); });
      add(ok, "module",
          config_.token.module + " (" + info.description + " " + info.library_version +
              ", PKCS#11 " + info.cryptoki_version + ")");
    } catch (const Error& error) {
      add(failure, "module", error.what(), "correct token.module");
    }
  }

  /// p11-kit's log-calls prints the PIN and every wrapped key in clear: nobody logs in then.
  void p11_kit() {
    if (!module_) return;
    logs_calls_ = module_->logs_calls();
    if (logs_calls_)
      add(failure, "p11-kit",
          "log-calls is on for this module: it prints PINs and wrapped keys in clear; no login was "
          "tried",
          "take log-calls out of pkcs11.conf and of its module file");
    else
      add(ok, "p11-kit", "calls are not logged");
  }

  void profile() {
    if (!module_) return;
    std::string subject = "token";
    try {
      (void)vault::with_token(
          [&] { return module_->find_token(pkcs11::Uri::parse(config_.token.uri)); });
      subject = "profile";
      token_profile_ = vault::token_profile_for(*module_, config_);
    } catch (const Error& error) {
      return add(failure, subject, error.what(), "mend it and run doctor again");
    }
    const auto& profile = token_profile_->profile;
    const bool named = !config_.token.profile.empty();
    add(ok, "profile",
        profile.name +
            (named ? ", named by token.profile"
                   : ", by what the token says of itself (" +
                         std::string(evidence_in_words(profile.facts.at("match").evidence)) + ")"));
    if (!profile.usable.empty())
      add(warning, "profile", "calls this token unusable: " + profile.usable,
          "never in production");
    for (const auto& [key, fact] : profile.facts) {
      if (key == "usable" || key.starts_with("match")) continue;
      const bool unverified = fact.evidence == vault::Evidence::unverified;
      add(unverified ? warning : ok, "profile " + key,
          fact.text + " (" + std::string(evidence_in_words(fact.evidence)) +
              (unverified ? ": " + fact.source : "") + ")",
          unverified
              ? "try it, or ask the vendor; a copy of the profile can say otherwise (token.profile)"
              : "");
    }
    if (!profile.keeps_local)
      add(warning, "evidence",
          "by its profile a key at rest is not shown to be made in this token (CKA_LOCAL): one put "
          "in its place by a thief of the PIN is not told from it",
          "prove keys to their devices after a suspicion");
    if (!profile.gcm_iv_from_host)
      add(warning, "key proofs",
          "by its profile the token makes the IV of AES-GCM itself: only a GAK can prove itself by "
          "a challenge",
          "resolve doubts about a GUEK by an association");
  }

  void token() {
    if (!token_profile_ || logs_calls_) return;
    try {
      link_ = std::make_shared<vault::TokenConnection>(module_, config_,
                                                       vault::pins_of(config_).user, callbacks_);
      const auto& info = link_->pool().token();
      add(ok, "token", vault::identity_of(info) + ", firmware " + info.firmware + ", logged in");
      if ((info.flags & CKF_USER_PIN_COUNT_LOW) != 0)
        add(warning, "PIN", "a wrong PIN was tried before", "find out who tried it");
      add(ok, "sessions",
          std::to_string(link_->pool().capacity()) + " at most" +
              (info.max_sessions ? ", the token allows " + std::to_string(*info.max_sessions)
                                 : ""));
    } catch (const Error& error) {
      add(failure, "token", error.what(), "mend it and run doctor again");
    }
  }

  void mechanisms() {
    if (!link_) return;
    try {
      const vault::Vault vault(link_->pool(), link_->token_profile());
      add(ok, "mechanisms",
          "key wrap (" + pkcs11::mechanism_name(token_profile_->profile.key_wrap) +
              "), key generation, GCM, CMAC, RSA-OAEP");
    } catch (const pkcs11::TokenUnavailable& error) {
      add(failure, "mechanisms", error.what(), "use a token that has it");
      link_.reset();
    }
  }

  /// What must fail is tried, each time: a token's firmware may have changed since the first use.
  void protections() {
    if (!link_) return;
    const bool officer = config_.token.enrolment == EnrolmentMode::officer;
    try {
      std::size_t held = 0;
      const auto results = vault::with_token([&] {
        return vault::self_test(link_->pool(), token_profile_->profile.key_wrap, officer,
                                config_.keep == VaultKind::sealed);
      });
      for (const auto& each : results) {
        held += each.verdict == vault::Protection::Verdict::held ? 1 : 0;
        if (each.verdict == vault::Protection::Verdict::held) continue;
        const auto verdict =
            each.needed && !config_.token.unprotected_for_testing ? failure : warning;
        add(verdict, "protection " + each.name,
            to_string(each.verdict) + ": " + each.what + " (" + each.seen + ")",
            each.needed ? "this token can't keep the keys; use another" : "wished, not needed");
      }
      add(held == 0 ? failure : ok, "protections",
          std::to_string(held) + " of " + std::to_string(results.size()) +
              " attempts that must fail do fail");
    } catch (const Error& error) {
      add(failure, "protections", error.what(), "run doctor again");
    }
    if (!officer)
      add(warning, "enrolment",
          "plain: a thief of the PIN can have a key that he knows wrapped for a meter, and unwrap "
          "KEKs in clear once more from a manufacturer's file and "
          "transport key",
          token_profile_->profile.trust_by == vault::TrustBy::security_officer
              ? "set enrolment = \"officer\" before the first device"
              : "keep those files off this host");
    if (config_.token.unprotected_for_testing)
      add(warning, "protection", "none-for-testing: every record is marked", "never in production");
  }

  void registry() {
    try {
      auto registry = registry::Registry::open(config_.database, sqlite::Mode::read_only);
      const auto summary = registry.summary();
      devices_ = 0;
      for (const auto& [status, count] : summary.devices_by_status) devices_ += count;
      for (const auto& [role, states] : summary.keys)
        has_device_keys_ = has_device_keys_ || (role != KeyRole::kek && !states.empty());
      waiting_ = summary.awaiting_enrolment;
      struct stat status {};
      const bool open_to_others =
          ::stat(config_.database.c_str(), &status) == 0 && (status.st_mode & 077) != 0;
      add(open_to_others ? warning : ok, "registry",
          config_.database.string() + ": " + std::to_string(devices_) + " devices, " +
              std::to_string(summary.records) + " records" +
              (open_to_others ? "; others can read it" : ""),
          open_to_others ? "chmod 600 " + config_.database.string() : "");
      if (summary.open_operations != 0)
        add(warning, "operations", std::to_string(summary.open_operations) + " unfinished",
            "the next command that opens the token settles them");
      if (waiting_ != 0)
        add(warning, "enrolment",
            std::to_string(waiting_) +
                " new KEKs wait for the security officer and wrap nothing until then",
            "smets1-kms enrol");
      const auto sealed = registry.storage();
      vault(registry, !sealed.empty());
      keys(summary, sealed);
      device_map(registry);
    } catch (const StorageError& error) {
      no_registry_ = true;
      add(failure, "registry", error.what(), "smets1-kms " + first_command());
    }
  }

  /// Whether this is the registry whose heads are kept elsewhere, as the next command that opens it
  /// will judge.
  void anchors() {
    struct stat program {};
    const std::string name =
        config_.audit.anchor_command.empty() ? "" : config_.audit.anchor_command.front();
    if (name.find('/') != std::string::npos &&
        (::stat(name.c_str(), &program) != 0 || !S_ISREG(program.st_mode) ||
         ::access(name.c_str(), X_OK) != 0))
      add(failure, "anchors", "audit.anchor_command: " + name + " is no program that can be run",
          "correct it: without it no head is kept, and nothing is done");
    if (!link_ || no_registry_) return;
    std::optional<registry::WriterLock>
        still;  // heads that are signed meanwhile would look like another registry's
    try {
      still.emplace(config_.database, Clock(callbacks_.clock).now().utc);
    } catch (const StorageError& error) {
      return add(ok, "anchors", std::string("not compared now: ") + error.what());
    }
    try {
      auto registry = registry::Registry::open(config_.database, sqlite::Mode::read_only);
      trail::CheckpointLog heads(registry);
      if (const auto mismatch = heads.open(link_, config_))
        add(failure, "anchors", lifecycle::in_words(*mismatch, config_), "as it says");
      else if (heads.is_open())
        add(ok, "anchors",
            "the registry has every head that the file of heads and the token have; its last is "
            "of " +
                std::to_string(heads.size()) + " records");
    } catch (const pkcs11::TokenUnavailable& error) {
      add(failure, "anchors", error.what(), "run doctor again");
    } catch (const std::exception& error) {
      add(failure, "anchors", error.what(),
          "smets1-audit verify " + config_.database.string() + " says more");
    }
  }

  /// What the sealed vault gives up, and whether it can take keys.
  void vault(registry::Registry& registry, bool holds_keys) {
    if (config_.keep == VaultKind::token && !holds_keys) return;
    add(warning, "vault",
        "sealed: a thief of the PIN and of the registry can open a KEK without its WRAP_TEMPLATE, "
        "and so wrap a key that he knows for that device's meter; "
        "no key that is there is lost to him",
        "keep those who hold the PIN from the registry; a token that nests a template in "
        "CKA_UNWRAP_TEMPLATE ends it");
    if (config_.keep == VaultKind::sealed &&
        !std::ranges::all_of(lifecycle::storage_keys, [&](const auto& each) {
          return registry.setting(each.setting).has_value();
        }))
      add(failure, "storage keys",
          "vault.keep is \"sealed\", and there are none yet: nothing can be sealed",
          "smets1-kms " + first_command());
  }

  [[nodiscard]] std::string first_command() const {
    return config_.token.enrolment == EnrolmentMode::officer ? "enrol" : "init";
  }

  /// Keys that were made after the backup which the registry was restored from.
  void orphans() {
    if (!link_ || no_registry_) return;
    try {
      auto registry = registry::Registry::open(config_.database, sqlite::Mode::read_only);
      const auto found =
          vault::with_token([&] { return vault::find_orphans(registry, link_->pool()); });
      add(found.empty() ? ok : warning, "token objects",
          found.empty() ? "each key object is named in the registry" : vault::in_words(found),
          found.empty() ? "" : vault::orphan_remedy);
    } catch (const Error& error) {
      add(failure, "token objects", error.what(), "run doctor again");
    }
  }

  /// That a device has no other records is stated as often as a heartbeat.
  void device_map(registry::Registry& registry) {
    const auto at = registry.setting(registry::setting::device_map_time);
    if (devices_ == 0 && !at) return;
    const auto now = Clock(callbacks_.clock).now().utc;
    const Time made{std::chrono::milliseconds(at ? std::stoll(*at) : 0)};
    const bool old = now - made > 2 * config_.audit.heartbeat;
    add(old ? warning : ok, "device-head map", at ? "made " + format_time(made) : "none yet",
        old ? "run 'smets1-kms checkpoint' from a timer" : "");
  }

  /// Every key that is not sealed is an object in the token.
  void keys(const FleetSummary& summary, const std::vector<StorageUse>& sealed) {
    if (!token_profile_ || !token_profile_->profile.max_keys) return;
    std::uint64_t held = 0;
    for (const auto& [role, states] : summary.keys)
      for (const auto& [state, count] : states)
        if (state != KeyState::none && state != KeyState::destroyed &&
            state != KeyState::destroyed_compromised)
          held += count;
    for (const auto& each : sealed) held -= std::min(held, each.keys);
    const std::uint64_t most = *token_profile_->profile.max_keys;
    const bool full = held >= most - most / 5;
    add(full ? warning : ok, "keys",
        std::to_string(held) + " of " + std::to_string(most) + " that the token holds (" +
            std::string(evidence_in_words(token_profile_->profile.facts.at("max_keys").evidence)) +
            ")",
        full ? "retire and destroy superseded keys; a larger fleet needs a larger token, or "
               "vault.keep = \"sealed\""
             : "");
  }

  /// By which rules the site judges, and what it changed of them.
  void policy() {
    try {
      const auto policy = lifecycle::policy_of(config_);
      const auto deviations =
          std::ranges::count_if(policy.adjustments(), &policy::Adjustment::deviation);
      std::string editions;
      for (const auto& each : policy.editions())
        editions += (editions.empty() ? "" : ", ") + each.name;
      add(deviations == 0 ? ok : warning, "policy",
          editions + "; " + std::to_string(policy.adjustments().size()) + " numbers adjusted, " +
              std::to_string(deviations) + " of them the regulator's",
          deviations == 0 ? "" : "each ends on its day, and every report shows it");
    } catch (const BadInput& error) {
      add(failure, "policy", error.what(),
          "mend the site file: nothing is done under a policy that can't be read");
    }
  }

  /// Who may send KEKs.
  void manufacturers() {
    if (config_.manufacturers.empty())
      add(warning, "manufacturers", "unsigned fleet files are taken",
          "for testing only: set import.manufacturers");
    else if (std::ifstream(config_.manufacturers))
      add(ok, "manufacturers", config_.manufacturers.string());
    else
      add(warning, "manufacturers",
          config_.manufacturers.string() + " can't be read: no fleet file is taken",
          "put the certificates (PEM) of those whom you trust to send KEKs there");
  }

  void disk() {
    constexpr std::uintmax_t enough = 256u << 20;
    std::error_code error;
    const auto space = std::filesystem::space(config_.database.parent_path(), error);
    if (error)
      add(failure, "disk", config_.database.parent_path().string() + ": " + error.message(),
          "make the directory");
    else
      add(space.available >= enough ? ok : warning, "disk",
          std::to_string(space.available >> 20) + " MiB free",
          space.available >= enough ? "" : "make room: without it no operation starts");
  }

  void clock() {
    const Clock clock(callbacks_.clock);
    const auto now = clock.now();
    const bool good = now.quality != "unsynchronised";
    add(good ? ok : warning, "clock", format_time(now.utc) + ", " + std::string(now.quality),
        good ? "" : "run a time service: deadlines and the trail depend on the clock");
  }

  [[nodiscard]] std::string next() const {
    const auto failures = std::ranges::count(result_.checks, failure, &Check::verdict);
    if (failures > (no_registry_ ? 1 : 0)) return "mend what failed, then smets1-kms doctor";
    const bool officer = config_.token.enrolment == EnrolmentMode::officer;
    if (no_registry_)
      return officer ? "smets1-kms enrol --so-pin-source …  (the security officer's ceremony)"
                     : "smets1-kms init";
    if (waiting_ != 0) return "smets1-kms enrol";
    if (devices_ == 0) return officer ? "smets1-kms enrol FLEET.csv" : "smets1-kms device import";
    if (!has_device_keys_) return "smets1-kms rotate --all --reason post-commissioning";
    return "smets1-kms status";
  }

  const Config& config_;
  const Callbacks& callbacks_;
  Diagnosis result_;
  std::shared_ptr<pkcs11::Module> module_;
  std::optional<vault::TokenProfile> token_profile_;
  std::shared_ptr<vault::TokenConnection> link_;
  bool logs_calls_ = false, no_registry_ = false;
  bool has_device_keys_ = false;
  std::uint64_t devices_ = 0, waiting_ = 0;
};

}  // namespace

std::string_view to_string(Check::Verdict verdict) {
  return verdict == ok ? "ok" : verdict == warning ? "warn" : "fail";
}

bool Diagnosis::failed() const {
  return std::ranges::any_of(checks, [](const Check& check) { return check.verdict == failure; });
}

Diagnosis diagnose(const Config& config, const Callbacks& callbacks) {
  return Examination(config, callbacks).run();
}

}  // namespace smets1kms
