// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <span>

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

  [[nodiscard]] std::span<const std::uint8_t> reveal() const { return {pages_.get(), size()}; }
  [[nodiscard]] std::size_t size() const { return empty() ? 0 : pages_.get_deleter().size; }
  [[nodiscard]] bool empty() const { return pages_ == nullptr; }

 private:
  struct WipeAndUnmap {
    std::size_t size, mapped;
    void operator()(std::uint8_t* pages) const noexcept;
  };
  std::unique_ptr<std::uint8_t, WipeAndUnmap> pages_;
};

/// Overwrites bytes with zeros in a way that the compiler keeps.
void wipe(std::span<std::uint8_t> bytes) noexcept;

}  // namespace pkcs11
