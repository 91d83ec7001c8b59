// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace smets1kms::audit {

/// Proof that the log is false: a verdict of FAILED.
class VerificationFailed : public std::runtime_error {
 public:
  explicit VerificationFailed(const std::string& why,
                              std::optional<std::uint64_t> index = std::nullopt)
      : std::runtime_error((index ? "record " + std::to_string(*index) + ": " : "") + why),
        index_(index) {}
  [[nodiscard]] std::optional<std::uint64_t> index() const { return index_; }

 private:
  std::optional<std::uint64_t> index_;
};

/// Lack of what is needed for a verdict: INCONCLUSIVE.
class VerificationInconclusive : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A fact that a person should look at: an open intent, a doubt, a silence.
struct Finding {
  std::string kind;  ///< a short stable word
  std::string text;
  std::optional<std::uint64_t> index;
};

enum class Verdict : std::uint8_t { verified, failed, inconclusive };
/// Returns "VERIFIED", "FAILED", "INCONCLUSIVE".
[[nodiscard]] std::string_view to_string(Verdict verdict);

}  // namespace smets1kms::audit
