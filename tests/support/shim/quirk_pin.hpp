// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

namespace shim {

/// How often in a row the user's PIN was wrong, in a file: a lock outlives the process that caused
/// it.
class PinLock {
 public:
  static constexpr int tries = 3;

  explicit PinLock(std::string file) : file_(std::move(file)) {}

  /// C_Login of the user. `attempt` asks the real token; no two processes are in here at once.
  template <class Attempt>
  CK_RV login(Attempt attempt) {
    const File file(file_);
    if (!file.open()) return CKR_DEVICE_ERROR;
    const int wrong = file.read();
    if (wrong >= tries) return CKR_PIN_LOCKED;
    const CK_RV rv = attempt();
    if (rv == CKR_PIN_INCORRECT) file.write(wrong + 1);
    if (rv == CKR_OK && wrong != 0) file.write(0);
    return rv;
  }
  /// The security officer has set a new PIN.
  void unlock() {
    const File file(file_);
    if (file.open()) file.write(0);
  }
  /// PKCS#11 2.40 section 3.2: of CK_TOKEN_INFO.
  [[nodiscard]] CK_FLAGS flags() const {
    const File file(file_);
    const int wrong = file.open() ? file.read() : 0;
    CK_FLAGS flags = 0;
    if (wrong >= 1) flags |= CKF_USER_PIN_COUNT_LOW;
    if (wrong == tries - 1) flags |= CKF_USER_PIN_FINAL_TRY;
    if (wrong >= tries) flags |= CKF_USER_PIN_LOCKED;
    return flags;
  }

 private:
  /// The file, open and locked.
  class File {
   public:
    explicit File(const std::string& path)
        : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
      if (fd_ >= 0 && ::flock(fd_, LOCK_EX) != 0) close();
    }
    File(const File&) = delete;
    ~File() { close(); }
    [[nodiscard]] bool open() const { return fd_ >= 0; }
    [[nodiscard]] int read() const {
      std::array<char, 8> text{};
      return ::pread(fd_, text.data(), text.size() - 1, 0) > 0 ? std::atoi(text.data()) : 0;
    }
    void write(int wrong) const {
      const std::string text = std::to_string(wrong) + "\n";
      const bool ignored =
          ::ftruncate(fd_, 0) == 0 && ::pwrite(fd_, text.data(), text.size(), 0) > 0;
      static_cast<void>(ignored);
    }

   private:
    void close() {
      if (fd_ >= 0) ::close(fd_);
      fd_ = -1;
    }
    int fd_;
  };
  std::string file_;
};

}  // namespace shim
