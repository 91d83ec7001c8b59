// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <openssl/bio.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

/// Owners of OpenSSL's objects.
namespace smets1kms {

template <auto release>
struct Releaser {
  template <class T>
  void operator()(T* object) const {
    release(object);
  }
};
template <class T, auto release>
using Owned = std::unique_ptr<T, Releaser<release>>;
using Bio = Owned<BIO, BIO_free_all>;
/// Returns what was written into a BIO in memory.
inline std::string text_of(const Bio& bio) {
  char* text = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(length)};
}
using Certificate = Owned<X509, X509_free>;

}  // namespace smets1kms
