// SPDX-License-Identifier: Apache-2.0
#include "audit/external_sort.hpp"

#include <cerrno>
#include <cstring>

#include "audit/verdict.hpp"

namespace smets1kms::audit {

void no_room() {
  throw VerificationInconclusive(
      std::string("the temporary files of the verification can't be written (") +
      std::strerror(errno) + "); name a directory with more room in TMPDIR");
}

Stream open_temporary() {
  try {
    return temporary_file();
  } catch (const FileError& error) {
    errno = error.code();
    no_room();
  }
}

}  // namespace smets1kms::audit
