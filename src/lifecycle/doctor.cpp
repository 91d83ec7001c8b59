#include "smets1kms/doctor.hpp"

#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "lifecycle/core.hpp"
#include "vault/self_test.hpp"

namespace smets1kms {
namespace {

using enum Check::Verdict;

/// Collects checks; each stage ends the examination if what follows needs it.
class Examination {
 public:
  Examination(const Config& config, const Surroundings& surroundings) : config_(config), surroundings_(surroundings) {}

  std::vector<Check> run() {
    for (const auto stage : {&Examination::p11_kit, &Examination::token, &Examination::registry, &Examination::disk, &Examination::clock}) (this->*stage)();
    return std::move(checks_);
  }

 private:
  void add(Check::Verdict verdict, std::string subject, std::string finding, std::string remedy = {}) {
    checks_.push_back({verdict, std::move(subject), std::move(finding), std::move(remedy)});
  }

  /// p11-kit's log-calls prints the PIN and every wrapped key in clear.
  void p11_kit() {
    std::string found;
    std::error_code ignored;
    std::vector<std::filesystem::path> files{"/etc/pkcs11/pkcs11.conf"};
    for (const char* directory : {"/etc/pkcs11/modules", "/usr/share/p11-kit/modules"})
      for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) files.push_back(entry.path());
    for (const auto& file : files) {
      std::ifstream in(file);
      for (std::string line; std::getline(in, line);)
        if (line.find("log-calls") != std::string::npos && line.find("yes") != std::string::npos && !line.starts_with('#')) found = file.string();
    }
    if (found.empty())
      add(ok, "p11-kit", "calls are not logged");
    else
      add(failure, "p11-kit", found + " has log-calls: yes, which prints PINs and wrapped keys", "take it out");
  }

  void token() {
    try {
      lifecycle::TokenLink link(config_, surroundings_);
      const auto& info = link.pool().token();
      add(ok, "module", config_.token.module);
      add(ok, "token", lifecycle::identity_of(info) + ", logged in");
      if ((info.flags & CKF_USER_PIN_COUNT_LOW) != 0) add(warning, "PIN", "a wrong PIN was tried before", "find out who tried it");
      add(ok, "sessions",
          std::to_string(link.pool().capacity()) + " at most" + (info.max_sessions ? ", the token allows " + std::to_string(*info.max_sessions) : ""));
      try {
        const vault::TokenVault vault(link.pool(), config_.token.enrolment);
        add(ok, "mechanisms", "key wrap, key generation, GCM, CMAC, RSA-OAEP");
        protections(link.pool());
      } catch (const pkcs11::TokenUnavailable& error) {
        add(failure, "mechanisms", error.what(), "use a token that has it");
      }
    } catch (const Error& error) {
      add(failure, "token", error.what(), "mend it and run doctor again");
    }
  }

  /// What must fail is tried, each time: a token's firmware may have changed since the first use.
  void protections(pkcs11::Pool& pool) {
    const bool officer = config_.token.enrolment == EnrolmentMode::officer;
    std::size_t held = 0;
    const auto results = vault::self_test(pool, CKM_AES_KEY_WRAP, officer);
    for (const auto& each : results) {
      held += each.verdict == vault::Protection::Verdict::held ? 1 : 0;
      if (each.verdict == vault::Protection::Verdict::held) continue;
      const auto verdict = each.needed && !config_.token.unprotected_for_testing ? failure : warning;
      add(verdict, "protection " + each.name, to_string(each.verdict) + ": " + each.what + " (" + each.seen + ")",
          each.needed ? "this token can't keep the keys; use another" : "wished, not needed");
    }
    add(held == 0 ? failure : ok, "protections", std::to_string(held) + " of " + std::to_string(results.size()) + " attempts that must fail do fail");
    if (!officer)
      add(warning, "enrolment",
          "plain: a thief of the PIN can have a key that he knows wrapped for a meter, and unwrap KEKs in clear once more from a manufacturer's file and "
          "transport key",
          "set enrolment = \"officer\" where the token's security officer can mark keys trusted");
    if (config_.token.unprotected_for_testing) add(warning, "protection", "none-for-testing: every record is marked", "never in production");
  }

  void registry() {
    try {
      auto registry = registry::Registry::open(config_.database, sqlite::Mode::read_only);
      const auto open = registry.open_operations().size();
      if (open != 0)
        add(warning, "registry", std::to_string(open) + " unfinished operations", "the next command that opens the token settles them");
      else
        add(ok, "registry", config_.database.string());
      struct stat status {};
      if (::stat(config_.database.c_str(), &status) == 0 && (status.st_mode & 077) != 0)
        add(warning, "registry", config_.database.string() + " can be read by others", "chmod 600 " + config_.database.string());
    } catch (const NotRecorded& error) {
      add(failure, "registry", error.what(), "run 'smets1-kms init'");
    }
  }

  void disk() {
    constexpr std::uintmax_t enough = 256u << 20;
    std::error_code error;
    const auto space = std::filesystem::space(config_.database.parent_path(), error);
    if (error)
      add(failure, "disk", config_.database.parent_path().string() + ": " + error.message(), "make the directory");
    else
      add(space.available >= enough ? ok : warning, "disk", std::to_string(space.available >> 20) + " MiB free",
          space.available >= enough ? "" : "make room: without it no operation starts");
  }

  void clock() {
    const lifecycle::Clock clock(surroundings_.clock);
    const auto now = clock.now();
    const bool good = now.quality != "unsynchronised";
    add(good ? ok : warning, "clock", format_time(now.utc) + ", " + std::string(now.quality),
        good ? "" : "run a time service: deadlines and the trail depend on the clock");
  }

  const Config& config_;
  const Surroundings& surroundings_;
  std::vector<Check> checks_;
};

}  // namespace

std::string_view to_string(Check::Verdict verdict) { return verdict == ok ? "ok" : verdict == warning ? "warn" : "fail"; }

std::vector<Check> diagnose(const Config& config, const Surroundings& surroundings) { return Examination(config, surroundings).run(); }

}  // namespace smets1kms
