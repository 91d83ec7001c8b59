// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/session.hpp"

#include <algorithm>
#include <utility>

namespace pkcs11 {

namespace {

// PKCS#11 takes inputs through pointers to non-const; no function used here writes to them. SoftHSM
// refuses a null pointer even for no bytes at all.
CK_BYTE* input(ByteView bytes) {
  static CK_BYTE nothing = 0;
  return bytes.empty() ? &nothing : const_cast<CK_BYTE*>(bytes.data());
}

CK_ULONG length(ByteView bytes) { return static_cast<CK_ULONG>(bytes.size()); }

}  // namespace

Session::Session(std::shared_ptr<Module> module, CK_SLOT_ID slot,
                 std::optional<std::uint64_t> generation)
    : module_(std::move(module)),
      slot_(slot),
      generation_(generation.value_or(module_->generation())) {
  constexpr CK_FLAGS flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
  const CK_RV rv = module_->invoke_in(generation_, &CK_FUNCTION_LIST::C_OpenSession, slot, flags,
                                      nullptr, nullptr, &handle_);
  if (rv != CKR_OK) throw Error("C_OpenSession", rv, "slot " + std::to_string(slot));
}

Session::~Session() {
  try {
    (void)invoke(&CK_FUNCTION_LIST::C_CloseSession);
  } catch (...) {  // the parent's session (Forked), or nothing is left to be done about it
  }
}

void Session::login(CK_USER_TYPE user, const Secret& pin) {
  const CK_RV rv =
      invoke(&CK_FUNCTION_LIST::C_Login, user, input(pin.reveal()), length(pin.reveal()));
  if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN) throw Error("C_Login", rv);
}

void Session::logout() { call("C_Logout", &CK_FUNCTION_LIST::C_Logout); }

CK_STATE Session::state() {
  CK_SESSION_INFO info{};
  call("C_GetSessionInfo", &CK_FUNCTION_LIST::C_GetSessionInfo, &info);
  return info.state;
}

Handle Session::generate_key(Mechanism mechanism, const RawTemplate& attributes) {
  return make("C_GenerateKey", &CK_FUNCTION_LIST::C_GenerateKey, mechanism.raw(), attributes.data(),
              attributes.size());
}

std::pair<Handle, Handle> Session::generate_key_pair(Mechanism mechanism,
                                                     const RawTemplate& public_key,
                                                     const RawTemplate& private_key) {
  CK_OBJECT_HANDLE made_public = CK_INVALID_HANDLE;
  const Handle made_private = make("C_GenerateKeyPair", &CK_FUNCTION_LIST::C_GenerateKeyPair,
                                   mechanism.raw(), public_key.data(), public_key.size(),
                                   private_key.data(), private_key.size(), &made_public);
  return {Handle{made_public}, made_private};
}

Handle Session::create_object(const RawTemplate& attributes) {
  return make("C_CreateObject", &CK_FUNCTION_LIST::C_CreateObject, attributes.data(),
              attributes.size());
}

Handle Session::copy_object(Handle object, const RawTemplate& changes) {
  return make("C_CopyObject", &CK_FUNCTION_LIST::C_CopyObject, number(object), changes.data(),
              changes.size());
}

void Session::destroy_object(Handle object) {
  call("C_DestroyObject", &CK_FUNCTION_LIST::C_DestroyObject, number(object));
}

/// Calls the last function of an operation, which may stay active where the call fails.
template <class Step>
CK_RV Session::conclude(Step step) {
  operation_active_ = true;
  const CK_RV rv = step();
  if (rv == CKR_OK || rv == CKR_SIGNATURE_INVALID || rv == CKR_SIGNATURE_LEN_RANGE)
    operation_active_ = false;
  return rv;
}

/// Gets the output of a call. A length query costs one more call on the token (PKCS#11 2.40 section
/// 5.2), so a buffer that is almost always long enough goes first. After CKR_BUFFER_TOO_SMALL the
/// operation is still active.
template <class Step>
Bytes Session::output(const char* name, std::size_t expected, Step step) {
  Bytes bytes(std::max<std::size_t>(expected, 512));
  for (int attempt = 1;; ++attempt) {
    auto size = static_cast<CK_ULONG>(bytes.size());
    const CK_RV rv = step(bytes.data(), &size);
    if (rv == CKR_OK) {
      bytes.resize(size);
      return bytes;
    }
    if (rv != CKR_BUFFER_TOO_SMALL || attempt > 1) throw Error(name, rv);
    bytes.resize(size);
  }
}

Bytes Session::wrap_key(Mechanism mechanism, Handle wrapping_key, Handle key) {
  return output("C_WrapKey", 0, [&](CK_BYTE* out, CK_ULONG* size) {
    return invoke(&CK_FUNCTION_LIST::C_WrapKey, mechanism.raw(), number(wrapping_key), number(key),
                  out, size);
  });
}

Handle Session::unwrap_key(Mechanism mechanism, Handle unwrapping_key, ByteView wrapped,
                           const RawTemplate& attributes) {
  return make("C_UnwrapKey", &CK_FUNCTION_LIST::C_UnwrapKey, mechanism.raw(),
              number(unwrapping_key), input(wrapped), length(wrapped), attributes.data(),
              attributes.size());
}

Handle Session::derive_key(Mechanism mechanism, Handle base, const RawTemplate& attributes) {
  return make("C_DeriveKey", &CK_FUNCTION_LIST::C_DeriveKey, mechanism.raw(), number(base),
              attributes.data(), attributes.size());
}

/// The call that takes all data of an operation and gives its result.
template <class Function>
Bytes Session::transform(const char* name, Function CK_FUNCTION_LIST::*member, ByteView data) {
  return output(name, data.size() + 64, [&](CK_BYTE* out, CK_ULONG* size) {
    return conclude([&] { return invoke(member, input(data), length(data), out, size); });
  });
}

Bytes Session::encrypt(Mechanism mechanism, Handle key, ByteView data) {
  call("C_EncryptInit", &CK_FUNCTION_LIST::C_EncryptInit, mechanism.raw(), number(key));
  return transform("C_Encrypt", &CK_FUNCTION_LIST::C_Encrypt, data);
}

Bytes Session::decrypt(Mechanism mechanism, Handle key, ByteView data) {
  call("C_DecryptInit", &CK_FUNCTION_LIST::C_DecryptInit, mechanism.raw(), number(key));
  return transform("C_Decrypt", &CK_FUNCTION_LIST::C_Decrypt, data);
}

Bytes Session::sign(Mechanism mechanism, Handle key, ByteView data) {
  call("C_SignInit", &CK_FUNCTION_LIST::C_SignInit, mechanism.raw(), number(key));
  return transform("C_Sign", &CK_FUNCTION_LIST::C_Sign, data);
}

bool Session::verify(Mechanism mechanism, Handle key, ByteView data, ByteView signature) {
  call("C_VerifyInit", &CK_FUNCTION_LIST::C_VerifyInit, mechanism.raw(), number(key));
  const CK_RV rv = conclude([&] {
    return invoke(&CK_FUNCTION_LIST::C_Verify, input(data), length(data), input(signature),
                  length(signature));
  });
  if (rv == CKR_SIGNATURE_INVALID || rv == CKR_SIGNATURE_LEN_RANGE) return false;
  if (rv != CKR_OK) throw Error("C_Verify", rv);
  return true;
}

Bytes Session::random(std::size_t length) {
  Bytes bytes(length);
  call("C_GenerateRandom", &CK_FUNCTION_LIST::C_GenerateRandom, bytes.data(),
       static_cast<CK_ULONG>(length));
  return bytes;
}

std::vector<Handle> Session::find_objects(const RawTemplate& match) {
  call("C_FindObjectsInit", &CK_FUNCTION_LIST::C_FindObjectsInit, match.data(), match.size());
  std::vector<Handle> found;
  CK_RV rv = CKR_OK;
  for (CK_ULONG got = 1; got != 0;) {
    CK_OBJECT_HANDLE some[64];
    got = 0;
    rv = invoke(&CK_FUNCTION_LIST::C_FindObjects, some, CK_ULONG{std::size(some)}, &got);
    if (rv != CKR_OK) break;
    for (CK_ULONG i = 0; i < got; ++i) found.push_back(Handle{some[i]});
  }
  // In any case: a search left open would fail the next one with CKR_OPERATION_ACTIVE.
  const CK_RV final_rv = invoke(&CK_FUNCTION_LIST::C_FindObjectsFinal);
  if (rv != CKR_OK) throw Error("C_FindObjects", rv);
  if (final_rv != CKR_OK) throw Error("C_FindObjectsFinal", final_rv);
  return found;
}

}  // namespace pkcs11
