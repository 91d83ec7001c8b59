// SPDX-License-Identifier: Apache-2.0
#include "trail/anchors.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "base/deadline.hpp"
#include "base/files.hpp"

extern char** environ;

namespace smets1kms::trail {
namespace {

/// Upper limit of a note. Notes follow each other; a last one that was cut off when a process died
/// does not count.
constexpr std::uintmax_t most_of_a_note = 8192;

std::optional<audit::Checkpoint> valid_head(std::string_view text, const std::string& origin,
                                            const std::vector<audit::AuditKey>& keys) {
  try {
    const auto note = audit::Note::parse(text);
    if (note.head.origin != origin) return std::nullopt;
    const auto by = audit::check_signatures(note, keys);
    // The registry does not know the signing key: it is from before a change of key.
    if (by == audit::Signed::unknown_keys)
      throw StorageError(
          "a head of this audit trail is anchored that was signed by an audit key which the "
          "registry does not know: the registry is older than "
          "its anchors, from before a change of key. Restore a later copy");
    if (by == audit::Signed::yes) return note.head;
  } catch (const std::invalid_argument&) {  // no note: somebody's text, or half of one
  }
  return std::nullopt;
}

/// Returns the last note at the file's end.
std::optional<audit::Checkpoint> last_in_file(const std::filesystem::path& file,
                                              const std::string& origin,
                                              const std::vector<audit::AuditKey>& keys) {
  std::error_code error;
  const auto length = std::filesystem::file_size(file, error);
  if (error) return std::nullopt;
  const auto kept = static_cast<std::size_t>(std::min(length, most_of_a_note));
  const auto end = read_at(file, length - kept, kept);
  const std::string start = origin + "\n";
  std::size_t until = end.size();
  for (std::size_t at = end.rfind(start); at != std::string::npos; at = end.rfind(start, at - 1)) {
    if (auto head = valid_head(std::string_view(end).substr(at, until - at), origin, keys))
      return head;
    until = at;
    if (at == 0) break;
  }
  return std::nullopt;
}

[[noreturn]] void not_kept(const std::string& where, const std::string& why) {
  throw StorageError("the signed head of the audit trail can't be kept in " + where + ": " + why +
                     ". What was done is recorded, and nothing more is done until this works: "
                     "'smets1-kms device show' tells what was released");
}

/// Runs a program. Returns its exit code; nullopt: not ended in time, and killed.
std::optional<int> run(std::vector<std::string> words, const std::string& input,
                       std::chrono::seconds limit) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return 127;
  // A note fits a pipe's buffer: written at once, whether it is read or not.
  const bool written =
      ::write(ends[1], input.data(), input.size()) == static_cast<ssize_t>(input.size());
  ::close(ends[1]);
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
  // Its output must not stand among the results of the host program.
  ::posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  pid_t child = 0;
  const int failed =
      ::posix_spawnp(&child, arguments.front(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[0]);
  if (failed != 0 || !written) return 127;
  int status = 0;
  for (const auto end = std::chrono::steady_clock::now() + limit;;) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) break;
    if (ended < 0 && errno != EINTR)
      return 127;  // somebody else took its exit code: how it ended is not known
    if (std::chrono::steady_clock::now() > end) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      return std::nullopt;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}  // namespace

Anchors::Anchors(std::shared_ptr<vault::TokenConnection> token, const Config& config,
                 const std::string& origin, const std::string& store)
    : token_(std::move(token)),
      config_(config.audit),
      origin_(origin),
      store_(store),
      object_(std::make_shared<vault::AnchorObject>(token_->pool(), origin, store)) {
  if (config_.anchor_file.empty()) config_.anchor_file = config.database.string() + ".heads";
}

std::vector<AnchoredHead> Anchors::read(const std::vector<audit::AuditKey>& keys) const {
  std::vector<AnchoredHead> all;
  if (auto head = last_in_file(config_.anchor_file, origin_, keys))
    all.push_back({config_.anchor_file.string(), *std::move(head)});
  std::optional<audit::Checkpoint> best;
  for (const auto& [name, store, text] :
       vault::with_token([&] { return vault::read_anchors(token_->pool()); })) {
    if (name != origin_) continue;
    if (store != store_)
      throw StorageError("the registry says that it is the store " + store_ +
                         ", and the token has the head of this audit trail as of the store " +
                         store +
                         ": the registry was changed behind our back. Restore it from its backup");
    if (auto head = valid_head(text, origin_, keys); head && (!best || head->size > best->size))
      best = std::move(head);
  }
  if (best) all.push_back({"the token", *std::move(best)});
  return all;
}

void Anchors::anchor(const audit::Note& note) const {
  const std::string text = note.format();
  const auto written =
      within(config_.deadline, [file = config_.anchor_file, text]() -> std::string {
        try {
          const auto out = open_to_append(file);
          write_all(out.get(), text, file);
          sync_file(out.get(), file);
          return {};
        } catch (const FileError& error) {
          return std::strerror(error.code());
        }
      });
  if (!written)
    not_kept(config_.anchor_file.string(),
             "not written within " + std::to_string(config_.deadline.count()) + " s");
  if (!written->empty()) not_kept(config_.anchor_file.string(), *written);
  if (config_.anchor_command.empty()) return;
  const std::string name = "audit.anchor_command (" + config_.anchor_command.front() + ")";
  const auto code = run(config_.anchor_command, text, config_.deadline);
  if (!code) not_kept(name, "not ended within " + std::to_string(config_.deadline.count()) + " s");
  if (*code != 0) not_kept(name, "it ended with " + std::to_string(*code));
}

bool Anchors::anchor_in_token(const audit::Note& note) const {
  try {
    object_->replace(note.format());
    return true;
  } catch (const pkcs11::Error&) {
    return false;
  } catch (const pkcs11::TokenUnavailable&) {
    return false;
  }
}

}  // namespace smets1kms::trail
