// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "registry/registry.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::registry {

WriterLock::WriterLock(const std::filesystem::path& database, Time now) {
  const std::string file = database.string() + ".lock";
  descriptor_ = Descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (descriptor_.get() < 0)
    throw StorageError(file + " can't be opened for writing: " + std::strerror(errno));
  if (::flock(descriptor_.get(), LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 256> holder{};
    const auto length = ::pread(descriptor_.get(), holder.data(), holder.size() - 1, 0);
    throw StorageError("another process writes to " + database.string() + ": " +
                       (length > 0 ? std::string(holder.data(), static_cast<std::size_t>(length))
                                   : "its name is not readable") +
                       ". Wait for it to end; reading (list, show, status) is possible meanwhile");
  }
  std::array<char, 128> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::string text =
      "process " + std::to_string(::getpid()) + " on " + host.data() + " since " + format_time(now);
  if (::ftruncate(descriptor_.get(), 0) != 0 ||
      ::pwrite(descriptor_.get(), text.data(), text.size(), 0) < 0)
    throw StorageError(file + " can't be written: " + std::strerror(errno));
}

}  // namespace smets1kms::registry
