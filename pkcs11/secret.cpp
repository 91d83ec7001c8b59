// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/secret.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <new>

namespace pkcs11 {

void wipe(std::span<std::uint8_t> bytes) noexcept {
  if (!bytes.empty()) explicit_bzero(bytes.data(), bytes.size());
}

Secret::Secret(std::span<std::uint8_t> bytes) {
  if (bytes.empty()) return;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t length = (bytes.size() + page - 1) / page * page;
  void* pages = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) {
    wipe(bytes);
    throw std::bad_alloc();
  }
  // Each of these calls is a further defence, not a condition: RLIMIT_MEMLOCK may be too low for
  // mlock.
  (void)mlock(pages, length);
  (void)madvise(pages, length, MADV_DONTDUMP);
#ifdef MADV_WIPEONFORK
  (void)madvise(pages, length, MADV_WIPEONFORK);  // a child has no login to make
#endif
  pages_ = {static_cast<std::uint8_t*>(pages), WipeAndUnmap{bytes.size(), length}};
  std::memcpy(pages, bytes.data(), bytes.size());
  wipe(bytes);
}

void Secret::WipeAndUnmap::operator()(std::uint8_t* pages) const noexcept {
  wipe({pages, mapped});
  (void)munmap(pages, mapped);
}

}  // namespace pkcs11
