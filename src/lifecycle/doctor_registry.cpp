// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "lifecycle/check.hpp"
#include "lifecycle/context.hpp"
#include "lifecycle/doctor_stages.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/targets.hpp"
#include "lifecycle/token_keys.hpp"
#include "vault/orphans.hpp"

namespace smets1kms::lifecycle {

void Examination::registry() {
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
        "chmod 600 " + config_.database.string());
    if (summary.open_operations != 0)
      add(warning, "operations", std::to_string(summary.open_operations) + " unfinished",
          "a process that is at work on them ends them; otherwise the next command that opens the "
          "token settles them");
    if (waiting_ != 0)
      add(warning, "enrolment",
          std::to_string(waiting_) +
              " new KEKs wait for the security officer and wrap nothing until then",
          "smets1-kms enrol");
    sharing(registry);
    vault(registry, !registry.storage().empty());
    keys(registry);
    targets(registry);
    device_map(registry);
  } catch (const StorageError& error) {
    no_registry_ = true;
    struct stat status {};
    const bool is_there = ::stat(config_.database.c_str(), &status) == 0 && status.st_size != 0;
    add(failure, "registry", error.what(),
        is_there ? "as it says" : "smets1-kms " + first_command());
    if (is_there) must_mend_ = true;
  }
}

void Examination::sharing(registry::Registry& registry) {
  constexpr std::size_t most = 20;
  std::string found;
  const auto name = [&](const auto& pairs, const char* what) {
    for (const auto& [a, b] : pairs)
      found += (found.empty() ? "" : "; ") + a.to_string() + " and " + b.to_string() + what;
    if (pairs.size() == most) found += " (and maybe others)";
  };
  name(registry.sharing_title(most), " have one system title");
  name(registry.sharing_kek(most), " have one KEK");
  if (devices_ != 0)
    add(found.empty() ? ok : warning, "devices",
        found.empty() ? "no two have one system title or were given one wrapped KEK" : found,
        "ask their manufacturer which of them is wrong; a KEK that two devices have is known to "
        "whoever opens one of them: 'smets1-kms compromise' marks it, and a fleet file brings "
        "another");
}

void Examination::anchors() {
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
    else if (heads.is_open() && !heads.is_in_token())
      add(warning, "anchors",
          "the token's copy of the last head is older than the registry's last head, of " +
              std::to_string(heads.size()) +
              " records: a process was killed, or the token does not take it; until then a "
              "registry "
              "that is put back to that copy's state is noticed by the file of heads alone",
          "smets1-kms checkpoint puts it there; where it does not, make room in the token");
    else if (heads.is_open())
      add(ok, "anchors",
          "the registry has every head that the file of heads and the token have; its last is "
          "of " +
              std::to_string(heads.size()) + " records");
    anchor_time();
  } catch (const pkcs11::TokenUnavailable& error) {
    add(failure, "anchors", error.what(), "run doctor again");
  } catch (const std::exception& error) {
    add(failure, "anchors", error.what(),
        "smets1-audit verify " + config_.database.string() + " says more");
  }
}

/// Measures what a head costs that is kept in the token, which is slow in some.
void Examination::anchor_time() {
  const auto interval = config_.audit.token_anchor;
  const auto taken = vault::with_token([&] { return vault::measure_anchor(link_->pool()); });
  const bool slow = taken > std::chrono::milliseconds(20) && interval < std::chrono::seconds(1);
  const auto tenths = std::to_string(taken.count() / 100);
  add(slow ? warning : ok, "anchor time",
      (tenths.size() < 2 ? "0" : tenths.substr(0, tenths.size() - 1)) + "." + tenths.back() +
          " ms to keep a head in the token, which is done " +
          (interval.count() == 0 ? "for every group of results"
                                 : "at most every " + std::to_string(interval.count()) + " s") +
          " (audit.token_anchor_seconds)",
      "a longer interval costs less, and leaves more for a registry that is put back");
}

void Examination::vault(registry::Registry& registry, bool holds_keys) {
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

void Examination::targets(registry::Registry& registry) {
  const auto now = Clock(callbacks_.clock).now().utc;
  std::vector<vault::TargetKey> keys;
  for (const auto& target : registry::HandoverTables(registry.database()).targets()) {
    if (target.info.status != TargetStatus::admitted) continue;
    const auto subject = "target " + target.info.label();
    try {
      const auto certificate = read_certificate(target.certificate);
      keys.push_back(key_of(target, certificate));
      add(certificate.not_after < now + std::chrono::days(30) ? warning : ok, subject,
          "certificate SHA-256 " + certificate.fingerprint + ", valid to " +
              format_time(certificate.not_after),
          "admit its next certificate ('enrol --handover'): keys are wrapped for it meanwhile");
      if (target.keep == VaultKind::token && config_.keep == VaultKind::sealed &&
          config_.token.enrolment == EnrolmentMode::officer)
        add(failure, subject,
            "it was admitted while keys rested in the token: nothing made under a sealed KEK can "
            "be wrapped for it",
            "admit its certificate again ('enrol --handover')");
    } catch (const BadInput& error) {
      add(failure, subject, error.what(), "restore the registry from its backup");
    }
  }
  if (keys.empty() && devices_ != 0)
    add(warning, "targets",
        "no handover target is admitted: after a rotation nobody but this token has the new keys, "
        "and no meter can be spoken to under them",
        "admit the party that uses the keys ('" + first_command() + " --handover')");
  if (!link_ || keys.empty()) return;
  try {
    vault::with_token([&] {
      vault::TargetKeys in_token(link_->pool(), *token_profile_);
      in_token.use(std::move(keys));
      link_->pool().run([&](pkcs11::Session& session) {
        in_token.check(session);
        return 0;
      });
    });
    add(ok, "targets", "each public key in the token is the one that was admitted");
  } catch (const Error& error) {
    add(failure, "targets", error.what(),
        "no key that it takes is made meanwhile: admit its certificate again ('enrol --handover'), "
        "or retire it ('enrol --retire-handover')");
  }
}

void Examination::orphans() {
  if (!link_ || no_registry_) return;
  try {
    auto registry = registry::Registry::open(config_.database, sqlite::Mode::read_only);
    const auto found =
        vault::with_token([&] { return vault::find_orphans(registry, link_->pool()); });
    CheckResult result;
    Contradictions contradictions(result);
    constexpr std::size_t devices = 16;
    check_token_sample(registry, *link_, devices, result, contradictions);
    for (const auto& each : result.listed) add(failure, each.what, each.finding, each.remedy);
    if (result.contradictions == 0)
      add(ok, "keys in the token",
          "the token's own, and those of up to " + std::to_string(devices) +
              " devices, are there as they were made; 'check' looks at all");
    add(found.empty() ? ok : warning, "token objects",
        found.empty() ? "each key object is named in the registry" : vault::in_words(found),
        vault::orphan_remedy);
  } catch (const Error& error) {
    add(failure, "token objects", error.what(), "run doctor again");
  }
}

void Examination::device_map(registry::Registry& registry) {
  const auto at = registry.setting(registry::setting::device_map_time);
  if (devices_ == 0 && !at) return;
  const auto now = Clock(callbacks_.clock).now().utc;
  const Time made{std::chrono::milliseconds(at ? std::stoll(*at) : 0)};
  const bool old = now - made > 2 * config_.audit.heartbeat;
  add(old ? warning : ok, "device-head map", at ? "made " + format_time(made) : "none yet",
      "run 'smets1-kms checkpoint' from a timer");
}

}  // namespace smets1kms::lifecycle
