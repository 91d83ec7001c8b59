// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>

#include "base/clock.hpp"
#include "lifecycle/doctor_stages.hpp"
#include "lifecycle/fleet_duties.hpp"

namespace smets1kms {
namespace lifecycle {
namespace {

/// Returns the permissions of a file, as chmod writes them.
std::string mode_of(const struct stat& status) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(status.st_mode & 07777));
  return text.data();
}

}  // namespace

Examination::~Examination() {
  link_.reset();
  try {
    if (module_) module_->finalize();
  } catch (const std::exception&) {  // the module is gone; there is nobody left to tell
  }
}

Diagnosis Examination::run() {
  static constexpr std::array stages{
      &Examination::configuration, &Examination::pin_source, &Examination::module,
      &Examination::p11_kit,       &Examination::profile,    &Examination::token,
      &Examination::mechanisms,    &Examination::handover,   &Examination::protections,
      &Examination::manufacturers, &Examination::policy,     &Examination::registry,
      &Examination::anchors,       &Examination::orphans,    &Examination::disk,
      &Examination::clock};
  for (const auto stage : stages) (this->*stage)();
  result_.next = next();
  return std::move(result_);
}

void Examination::configuration() {
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

void Examination::pin_source() {
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

void Examination::pin_file(const std::string& path) {
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

void Examination::policy() {
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
        "each ends on its day, and every report shows it");
  } catch (const BadInput& error) {
    add(failure, "policy", error.what(),
        "mend the site file: nothing is done under a policy that can't be read");
  }
}

void Examination::manufacturers() {
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

void Examination::disk() {
  constexpr std::uintmax_t enough = 256u << 20;
  std::error_code error;
  const auto space = std::filesystem::space(config_.database.parent_path(), error);
  if (error)
    add(failure, "disk", config_.database.parent_path().string() + ": " + error.message(),
        "make the directory");
  else
    add(space.available >= enough ? ok : warning, "disk",
        std::to_string(space.available >> 20) + " MiB free",
        "make room: without it no operation starts");
}

void Examination::clock() {
  const Clock clock(callbacks_.clock);
  const auto now = clock.now();
  const bool good = now.quality != "unsynchronised";
  add(good ? ok : warning, "clock", format_time(now.utc) + ", " + std::string(now.quality),
      "run a time service: deadlines and the trail depend on the clock");
}

std::string Examination::next() const {
  const auto failures = std::ranges::count(result_.checks, failure, &Check::verdict);
  if (must_mend_ || failures > (no_registry_ ? 1 : 0))
    return "mend what failed, then smets1-kms doctor";
  const bool officer = config_.token.enrolment == EnrolmentMode::officer;
  if (no_registry_)
    return officer ? "smets1-kms enrol --so-pin-source …  (the security officer's ceremony)"
                   : "smets1-kms init";
  if (waiting_ != 0) return "smets1-kms enrol";
  if (devices_ == 0) return officer ? "smets1-kms enrol FLEET.csv" : "smets1-kms device import";
  if (!has_device_keys_) return "smets1-kms rotate --all --reason post-commissioning";
  return "smets1-kms status";
}

}  // namespace lifecycle

std::string_view to_string(Check::Verdict verdict) {
  return verdict == Check::Verdict::ok        ? "ok"
         : verdict == Check::Verdict::warning ? "warn"
                                              : "fail";
}

bool Diagnosis::failed() const {
  return std::ranges::any_of(
      checks, [](const Check& check) { return check.verdict == Check::Verdict::failure; });
}

Diagnosis diagnose(const Config& config, const Callbacks& callbacks) {
  return lifecycle::Examination(config, callbacks).run();
}

}  // namespace smets1kms
