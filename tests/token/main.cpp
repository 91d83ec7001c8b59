// SPDX-License-Identifier: Apache-2.0
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "support/test_token.hpp"

int main(int count, char** arguments) {
  const TestToken
      token;  // finalised when main returns, not later: SoftHSM can't be in a static destructor
  return doctest::Context(count, arguments).run();
}
