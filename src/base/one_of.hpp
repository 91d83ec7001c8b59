// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace smets1kms {

/// True if `value` equals one of `others`.
template <class T, class... Others>
[[nodiscard]] constexpr bool is_one_of(const T& value, const Others&... others) {
  return ((value == others) || ...);
}

}  // namespace smets1kms
