// SPDX-License-Identifier: Apache-2.0
#include "base/enum_names.hpp"
#include "lifecycle/doctor_stages.hpp"
#include "vault/self_test/self_test.hpp"
#include "vault/vault.hpp"

namespace smets1kms::lifecycle {
namespace {

constexpr EnumNames<vault::Evidence, 3> evidence_in_words{
    {"measured here", "vendor's document", "unverified"}};

}  // namespace

void Examination::module() {
  try {
    module_ = vault::load_module(config_);
    const auto info = vault::with_token([&] { return module_->info(); });
    add(ok, "module",
        config_.token.module + " (" + info.description + " " + info.library_version + ", PKCS#11 " +
            info.cryptoki_version + ")");
  } catch (const Error& error) {
    add(failure, "module", error.what(), "correct token.module");
  }
}

void Examination::p11_kit() {
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

void Examination::profile() {
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
                       std::string(evidence_in_words.name(profile.facts.at("match").evidence)) +
                       ")"));
  if (!profile.usable.empty())
    add(warning, "profile", "calls this token unusable: " + profile.usable, "never in production");
  for (const auto& [key, fact] : profile.facts) {
    if (key == "usable" || key.starts_with("match")) continue;
    const bool unverified = fact.evidence == vault::Evidence::unverified;
    add(unverified ? warning : ok, "profile " + key,
        fact.text + " (" + std::string(evidence_in_words.name(fact.evidence)) +
            (unverified ? ": " + fact.source : "") + ")",
        "try it, or ask the vendor; a copy of the profile can say otherwise (token.profile)");
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

void Examination::token() {
  if (!token_profile_ || logs_calls_) return;
  try {
    link_ = std::make_shared<vault::TokenConnection>(module_, config_, vault::pins_of(config_).user,
                                                     callbacks_);
    const auto& info = link_->pool().token();
    add(ok, "token", vault::identity_of(info) + ", firmware " + info.firmware + ", logged in");
    if ((info.flags & CKF_USER_PIN_COUNT_LOW) != 0)
      add(warning, "PIN", "a wrong PIN was tried before", "find out who tried it");
    add(ok, "sessions",
        std::to_string(link_->pool().capacity()) + " at most" +
            (info.max_sessions ? ", the token allows " + std::to_string(*info.max_sessions) : ""));
  } catch (const Error& error) {
    add(failure, "token", error.what(), "mend it and run doctor again");
  }
}

void Examination::mechanisms() {
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

void Examination::handover() {
  if (!link_) return;
  const auto hash = token_profile_->profile.oaep_hash;
  if (hash == vault::OaepHash::none)
    return add(warning, "handover", "by its profile the token does not wrap by RSA-OAEP",
               "keys can't be handed to those who use them: use another token");
  try {
    vault::with_token([&] {
      link_->pool().run([&](pkcs11::Session& session) {
        vault::try_handover(session, *token_profile_);
        return 0;
      });
    });
    add(ok, "handover",
        "the token wraps for handover targets: RSA-OAEP with " +
            std::string(vault::to_string(hash)));
  } catch (const Error& error) {
    add(warning, "handover",
        "RSA-OAEP with " + std::string(vault::to_string(hash)) + " was tried: " + error.what(),
        "a copy of the profile can name another hash (oaep_hash, token.profile)");
  }
}

void Examination::protections() {
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

void Examination::keys(registry::Registry& registry) {
  if (!token_profile_ || !token_profile_->profile.max_keys) return;
  const std::uint64_t held = registry.keys_in_token();
  const std::uint64_t most = *token_profile_->profile.max_keys;
  const bool full = held >= most - most / 5;
  add(full ? warning : ok, "keys",
      std::to_string(held) + " of " + std::to_string(most) + " that the token holds (" +
          std::string(
              evidence_in_words.name(token_profile_->profile.facts.at("max_keys").evidence)) +
          ")",
      "retire and destroy superseded keys; a larger fleet needs a larger token, or "
      "vault.keep = \"sealed\"");
}

}  // namespace smets1kms::lifecycle
