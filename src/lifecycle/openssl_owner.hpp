// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <openssl/bio.h>
#include <openssl/x509.h>

#include <memory>

/// Owners of OpenSSL's objects.
namespace smets1kms::lifecycle {

template <class T, void (*release)(T*)>
struct Releaser {
  void operator()(T* object) const { release(object); }
};
using Bio = std::unique_ptr<BIO, Releaser<BIO, BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Releaser<X509, X509_free>>;

}  // namespace smets1kms::lifecycle
