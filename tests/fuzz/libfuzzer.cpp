// SPDX-License-Identifier: Apache-2.0
// One target of libFuzzer's; FUZZ_TARGET names it.
#include "fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, unsigned long size) {
  fuzz::FUZZ_TARGET({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
