// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace pkcs11 {

/// Bytes that must not outlive their use: a PIN here, clear key material in tests. They are held in
/// pages of their own, locked where the system allows it, left out of core files (MADV_DONTDUMP),
/// wiped on destruction. They can't be copied or printed; `reveal` is the one name under which
/// every place that opens a secret is found.
class Secret {
 public:
  Secret() = default;
  /// Takes a copy of `bytes` (any length) and wipes the source.
  explicit Secret(std::span<std::uint8_t> bytes);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  [[nodiscard]] std::span<const std::uint8_t> reveal() const;
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  void release() noexcept;
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;
};

/// Overwrites bytes with zeros in a way that the compiler keeps.
void wipe(std::span<std::uint8_t> bytes) noexcept;

}  // namespace pkcs11
