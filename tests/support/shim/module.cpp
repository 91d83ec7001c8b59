// SPDX-License-Identifier: Apache-2.0
// A PKCS#11 module that hands every call on to another and goes wrong where the environment says
// so.

#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "counters.hpp"
#include "functions.hpp"
#include "quirks.hpp"
#include "real_module.hpp"
#include "settings.hpp"

namespace shim {
namespace {

constexpr int killed = 137;  // what a shell says of a process that died by SIGKILL

/// A reading of the environment and everything counted since.
struct Shim {
  explicit Shim(Settings from) : settings(std::move(from)), quirks(settings.quirks) {}
  Settings settings;
  Quirks quirks;
  CK_FUNCTION_LIST* real = nullptr;
  int log_fd = -1;
  Counters counters;
};

std::atomic<Shim*> active{nullptr};

// Held shared by every call under way, so that the end of the process falls into none of another
// thread's: a token ends the calls that it has begun, and SoftHSM, a library, would leave half an
// object.
std::shared_mutex calls;
std::atomic<bool> ending = false;

[[noreturn]] void end_process() {
  ending = true;
  const std::unique_lock none_under_way(calls);
  ::_exit(killed);
}

// One write(2) a line: it is in the file when the process dies right after, and threads don't mix.
// No arguments are ever logged, so no PIN and no key.
void log_call(const Shim& shim, Function function, const CallNumbers& numbers,
              const char* outcome) {
  if (shim.log_fd < 0) return;
  std::array<char, 160> line{};
  std::array<char, 24> killable{'-'};
  if (numbers.killable != 0) {
    static_cast<void>(std::snprintf(killable.data(), killable.size(), "%llu",
                                    static_cast<unsigned long long>(numbers.killable)));
  }
  const int length = std::snprintf(line.data(), line.size(), "%llu %s %s %s\n",
                                   static_cast<unsigned long long>(numbers.sequence),
                                   name_of(function).data(), outcome, killable.data());
  const ssize_t ignored = ::write(shim.log_fd, line.data(), static_cast<std::size_t>(length));
  static_cast<void>(ignored);
}

void log_result(const Shim& shim, Function function, const CallNumbers& numbers, CK_RV rv) {
  std::array<char, 24> outcome{};
  static_cast<void>(std::snprintf(outcome.data(), outcome.size(), "0x%08lX", rv));
  log_call(shim, function, numbers, outcome.data());
}

const Failure* failure_of(const Shim& shim, Function function, std::uint64_t nth) {
  const auto& failures = shim.settings.failures;
  const auto found = std::find_if(failures.begin(), failures.end(), [&](const Failure& failure) {
    return failure.function == function && failure.nth.value_or(nth) == nth;
  });
  return found == failures.end() ? nullptr : &*found;
}

bool dies_here(const Shim& shim, const CallNumbers& numbers, When when) {
  return numbers.killable != 0 && shim.settings.kill_at == numbers.killable &&
         shim.settings.kill_when == when;
}

void write_counts(const Shim& shim) {
  if (shim.settings.count_file.empty()) return;
  const std::string text = shim.counters.json();
  const int fd =
      ::open(shim.settings.count_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    std::perror("kms_shim: SHIM_COUNT_FILE");
  }
  if (fd >= 0) ::close(fd);
}

template <auto Member, Function Which>
struct Forwarder;

template <typename... Args, CK_RV (*CK_FUNCTION_LIST::*Member)(Args...), Function Which>
struct Forwarder<Member, Which> {
  static CK_RV call(Args... args) {
    Shim& shim = *active.load();
    if (shim.settings.delay_us != 0 &&
        (shim.settings.delay_of.empty() || shim.settings.delay_of == name_of(Which)))
      std::this_thread::sleep_for(std::chrono::microseconds(shim.settings.delay_us));
    const CallNumbers numbers = shim.counters.next(Which);
    if (dies_here(shim, numbers, When::before)) {
      log_call(shim, Which, numbers, "killed-before");
      end_process();
    }
    const Failure* failure = failure_of(shim, Which, numbers.nth);
    CK_RV rv = failure != nullptr ? failure->rv : CKR_OK;
    if (failure == nullptr || failure->when == When::after) {
      const CK_RV refusal = failure == nullptr ? shim.quirks.turned_away(Which) : CKR_OK;
      const CK_RV real_rv = refusal != CKR_OK ? refusal : forward(shim, args...);
      if (failure == nullptr) rv = real_rv;
    }
    log_result(shim, Which, numbers, rv);
    if (dies_here(shim, numbers, When::after)) {
      log_call(shim, Which, numbers, "killed-after");
      end_process();
    }
    if constexpr (Which == Function::C_Finalize) write_counts(shim);
    return rv;
  }

 private:
  static CK_RV forward(Shim& shim, Args... args) {
    if (shim.real->*Member == nullptr) return CKR_FUNCTION_NOT_SUPPORTED;
    while (ending) ::pause();  // begun after the end
    const std::shared_lock under_way(calls);
    return ask(shim, args...);
  }
  static CK_RV ask(Shim& shim, Args... args) {
    if constexpr (requires { shim.quirks.answer(Call<Which>{}, *shim.real, args...); }) {
      if (shim.quirks.any()) return shim.quirks.answer(Call<Which>{}, *shim.real, args...);
    }
    return (shim.real->*Member)(args...);
  }
};

CK_FUNCTION_LIST forwarders() {
  CK_FUNCTION_LIST list{};
  list.version = {2, 40};
#define SHIM_FORWARD(name) list.name = &Forwarder<&CK_FUNCTION_LIST::name, Function::name>::call;
  SHIM_FUNCTIONS(SHIM_FORWARD)
#undef SHIM_FORWARD
  list.C_GetFunctionList = &C_GetFunctionList;
  return list;
}

// Counting starts anew when the environment differs from the last reading, and only then: asking
// for the list twice in one run must not move the place where the process is to die.
void read_environment() {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  Settings settings = settings_of_environment();
  const Shim* before = active.load();
  if (before != nullptr && before->settings == settings) return;

  auto next = std::make_unique<Shim>(std::move(settings));
  next->real = load_real_module(next->settings.module);
  if (const std::string& log = next->settings.log; !log.empty()) {
    next->log_fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (next->log_fd < 0) throw std::runtime_error("SHIM_LOG: can't open " + log);
  }
  active.store(next.release());  // the one before is never freed: a thread may still be in it
}

}  // namespace
}  // namespace shim

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(
    CK_FUNCTION_LIST_PTR_PTR list) {
  if (list == nullptr) return CKR_ARGUMENTS_BAD;
  try {
    shim::read_environment();
    static CK_FUNCTION_LIST ours = shim::forwarders();
    *list = &ours;
    return CKR_OK;
  } catch (const std::exception& error) {
    static_cast<void>(std::fprintf(stderr, "kms_shim: %s\n", error.what()));
    return CKR_GENERAL_ERROR;
  }
}
