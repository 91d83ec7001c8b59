// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/crypto.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace support {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

/// Upper-case hex, no separators.
std::string hex_of(ByteView bytes);

/// Nothing for an odd number of digits or any character that isn't one.
std::optional<Bytes> bytes_of_hex(std::string_view hex);

/// Frees memory only after wiping it, so every way a vector can move or grow is covered.
template <typename T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <typename U>
  WipingAllocator(const WipingAllocator<U>& /*other*/) {}
  T* allocate(std::size_t n) { return std::allocator<T>{}.allocate(n); }
  void deallocate(T* p, std::size_t n) {
    OPENSSL_cleanse(p, n * sizeof(T));
    std::allocator<T>{}.deallocate(p, n);
  }
  friend bool operator==(const WipingAllocator& /*a*/, const WipingAllocator& /*b*/) {
    return true;
  }
};

/// A clear key of a simulated device. `reveal` is the only way in.
class Secret {
 public:
  explicit Secret(std::size_t length) : bytes_(length) {}
  explicit Secret(ByteView bytes) : bytes_(bytes.begin(), bytes.end()) {}

  ByteView reveal() const { return bytes_; }
  std::span<std::uint8_t> reveal() { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  friend bool operator==(const Secret& a, const Secret& b) = default;

 private:
  std::vector<std::uint8_t, WipingAllocator<std::uint8_t>> bytes_;
};

/// 16 or 32 bytes of hex; nothing for any other text.
std::optional<Secret> aes_key_of_hex(std::string_view hex);

}  // namespace support
