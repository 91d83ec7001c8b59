// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <p11-kit/pkcs11.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "functions.hpp"
#include "quirk_pin.hpp"
#include "quirk_sessions.hpp"
#include "quirk_templates.hpp"
#include "settings.hpp"

namespace shim {

template <Function Which>
struct Call {};

/// The real token, behaving as another vendor's does (SHIM_QUIRKS). One `answer` for each function
/// that behaves differently; the others are not asked here.
class Quirks {
 public:
  explicit Quirks(const QuirkSettings& settings) : settings_(settings), pin_(settings.pin_state) {}

  /// Without a quirk set, every call is to go to the real token as it came.
  [[nodiscard]] bool any() const {
    return !(settings_ == QuirkSettings{.pin_state = settings_.pin_state});
  }
  /// throttle=N: whether this call is turned away, and with what.
  [[nodiscard]] CK_RV turned_away(Function function) {
    if (!settings_.throttle) return CKR_OK;
    switch (function) {
      case Function::C_GenerateKey:
      case Function::C_GenerateKeyPair:
      case Function::C_WrapKey:
      case Function::C_UnwrapKey:
      case Function::C_Sign:
      case Function::C_Encrypt: break;
      default: return CKR_OK;
    }
    const std::uint64_t call = ++throttled_calls_;
    if (call % *settings_.throttle != 0) return CKR_OK;
    return call / *settings_.throttle % 2 == 1 ? CKR_FUNCTION_FAILED
                                               : CKR_DEVICE_ERROR;  // by turns
  }

  using List = CK_FUNCTION_LIST;

  CK_RV answer(Call<Function::C_Finalize>, List& real, void* reserved) {
    const CK_RV rv = real.C_Finalize(reserved);
    if (rv == CKR_OK) {
      sessions_.clear();
      pretences_.clear();
    }
    return rv;
  }
  CK_RV answer(Call<Function::C_GetInfo>, List& real, CK_INFO* info) {
    const CK_RV rv = real.C_GetInfo(info);
    if (rv == CKR_OK && !settings_.manufacturer.empty()) {
      pad(info->manufacturerID, settings_.manufacturer);
      pad(info->libraryDescription, settings_.model);
    }
    return rv;
  }
  CK_RV answer(Call<Function::C_GetTokenInfo>, List& real, CK_SLOT_ID slot, CK_TOKEN_INFO* info) {
    const CK_RV rv = real.C_GetTokenInfo(slot, info);
    if (rv != CKR_OK) return rv;
    if (!settings_.manufacturer.empty()) {
      pad(info->manufacturerID, settings_.manufacturer);
      pad(info->model, settings_.model);
    }
    if (settings_.session_cap) {
      info->ulMaxSessionCount = info->ulMaxRwSessionCount = *settings_.session_cap;
      info->ulSessionCount = sessions_.count(slot);
    }
    if (settings_.pin_locks) {
      info->flags &= ~static_cast<CK_FLAGS>(CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY |
                                            CKF_USER_PIN_LOCKED);
      info->flags |= pin_.flags();
    }
    return rv;
  }
  CK_RV answer(Call<Function::C_GetMechanismList>, List& real, CK_SLOT_ID slot,
               CK_MECHANISM_TYPE* list, CK_ULONG* count) {
    const CK_RV rv = real.C_GetMechanismList(slot, list, count);
    if (rv != CKR_OK || list == nullptr) return rv;
    if (settings_.vendor_key_wrap)
      std::ranges::replace(std::span(list, *count), CKM_AES_KEY_WRAP, *settings_.vendor_key_wrap);
    if (settings_.no_mechanism)
      *count -= std::ranges::remove(std::span(list, *count), *settings_.no_mechanism).size();
    return rv;
  }
  CK_RV answer(Call<Function::C_GetMechanismInfo>, List& real, CK_SLOT_ID slot,
               CK_MECHANISM_TYPE type, CK_MECHANISM_INFO* info) {
    if (type == settings_.no_mechanism) return CKR_MECHANISM_INVALID;
    return real.C_GetMechanismInfo(slot, other_name(type, settings_), info);
  }
  CK_RV answer(Call<Function::C_EncryptInit>, List& real, CK_SESSION_HANDLE session,
               CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key) {
    if (settings_.own_gcm_iv && mechanism != nullptr && mechanism->mechanism == CKM_AES_GCM)
      return CKR_MECHANISM_PARAM_INVALID;
    return real.C_EncryptInit(session, mechanism, key);
  }
  CK_RV answer(Call<Function::C_OpenSession>, List& real, CK_SLOT_ID slot, CK_FLAGS flags,
               void* application, CK_NOTIFY notify, CK_SESSION_HANDLE* session) {
    if (!settings_.session_cap)
      return real.C_OpenSession(slot, flags, application, notify, session);
    return sessions_.open(slot, *settings_.session_cap, [&](CK_SESSION_HANDLE& opened) {
      const CK_RV rv = real.C_OpenSession(slot, flags, application, notify, session);
      if (rv == CKR_OK) opened = *session;
      return rv;
    });
  }
  CK_RV answer(Call<Function::C_CloseSession>, List& real, CK_SESSION_HANDLE session) {
    const CK_RV rv = real.C_CloseSession(session);
    if (rv == CKR_OK) sessions_.closed(session);
    return rv;
  }
  CK_RV answer(Call<Function::C_CloseAllSessions>, List& real, CK_SLOT_ID slot) {
    const CK_RV rv = real.C_CloseAllSessions(slot);
    if (rv == CKR_OK) sessions_.all_closed(slot);
    return rv;
  }
  CK_RV answer(Call<Function::C_Login>, List& real, CK_SESSION_HANDLE session, CK_USER_TYPE user,
               CK_UTF8CHAR* pin, CK_ULONG length) {
    const auto attempt = [&] { return real.C_Login(session, user, pin, length); };
    return settings_.pin_locks && user == CKU_USER ? pin_.login(attempt) : attempt();
  }
  CK_RV answer(Call<Function::C_InitPIN>, List& real, CK_SESSION_HANDLE session, CK_UTF8CHAR* pin,
               CK_ULONG length) {
    const CK_RV rv = real.C_InitPIN(session, pin, length);
    if (rv == CKR_OK && settings_.pin_locks) pin_.unlock();
    return rv;
  }

  CK_RV answer(Call<Function::C_CreateObject>, List& real, CK_SESSION_HANDLE session,
               CK_ATTRIBUTE* attributes, CK_ULONG count, CK_OBJECT_HANDLE* object) {
    RewrittenTemplate rewritten(settings_, attributes, count);
    return made(rewritten, object, [&] {
      return real.C_CreateObject(session, rewritten.data(), rewritten.size(), object);
    });
  }
  CK_RV answer(Call<Function::C_CopyObject>, List& real, CK_SESSION_HANDLE session,
               CK_OBJECT_HANDLE from, CK_ATTRIBUTE* attributes, CK_ULONG count,
               CK_OBJECT_HANDLE* object) {
    if (settings_.no_copy) return CKR_FUNCTION_NOT_SUPPORTED;
    RewrittenTemplate rewritten(settings_, attributes, count);
    if (settings_.no_nested_templates && rewritten.has_nested()) return CKR_ATTRIBUTE_TYPE_INVALID;
    const CK_RV rv = real.C_CopyObject(session, from, rewritten.data(), rewritten.size(), object);
    if (rv == CKR_OK) {
      pretences_.note(*object, pretences_.of(from));
      pretences_.note(*object, rewritten.pretended());
    }
    return rv;
  }
  CK_RV answer(Call<Function::C_GetAttributeValue>, List& real, CK_SESSION_HANDLE session,
               CK_OBJECT_HANDLE object, CK_ATTRIBUTE* attributes, CK_ULONG count) {
    // A stripped template would read back as another than was asked for: not shown at all then.
    const bool hide_nested = settings_.no_nested_templates || settings_.no_wrap_with_trusted;
    const CK_RV rv = hide_nested ? get_without_nested(real, session, object, attributes, count)
                                 : real.C_GetAttributeValue(session, object, attributes, count);
    if (rv == CKR_OK || rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE ||
        rv == CKR_BUFFER_TOO_SMALL) {
      rename_mechanisms(settings_, attributes, count);
      pretences_.answer(object, attributes, count);
    }
    return rv;
  }
  CK_RV answer(Call<Function::C_SetAttributeValue>, List& real, CK_SESSION_HANDLE session,
               CK_OBJECT_HANDLE object, CK_ATTRIBUTE* attributes, CK_ULONG count) {
    RewrittenTemplate rewritten(settings_, attributes, count);
    if (rewritten.size() == 0 && !rewritten.pretended().nothing()) {
      pretences_.note(object, rewritten.pretended());
      return CKR_OK;
    }
    return made(rewritten, &object, [&] {
      return real.C_SetAttributeValue(session, object, rewritten.data(), rewritten.size());
    });
  }
  CK_RV answer(Call<Function::C_FindObjectsInit>, List& real, CK_SESSION_HANDLE session,
               CK_ATTRIBUTE* attributes, CK_ULONG count) {
    RewrittenTemplate rewritten(settings_, attributes, count);
    return real.C_FindObjectsInit(session, rewritten.data(), rewritten.size());
  }
  CK_RV answer(Call<Function::C_GenerateKey>, List& real, CK_SESSION_HANDLE session,
               CK_MECHANISM* mechanism, CK_ATTRIBUTE* attributes, CK_ULONG count,
               CK_OBJECT_HANDLE* object) {
    RewrittenTemplate rewritten(settings_, attributes, count);
    return made(rewritten, object, [&] {
      return real.C_GenerateKey(session, mechanism, rewritten.data(), rewritten.size(), object);
    });
  }
  CK_RV answer(Call<Function::C_GenerateKeyPair>, List& real, CK_SESSION_HANDLE session,
               CK_MECHANISM* mechanism, CK_ATTRIBUTE* public_attributes, CK_ULONG public_count,
               CK_ATTRIBUTE* private_attributes, CK_ULONG private_count,
               CK_OBJECT_HANDLE* public_key, CK_OBJECT_HANDLE* private_key) {
    RewrittenTemplate for_public(settings_, public_attributes, public_count);
    RewrittenTemplate for_private(settings_, private_attributes, private_count);
    if (settings_.no_nested_templates && for_public.has_nested()) return CKR_ATTRIBUTE_TYPE_INVALID;
    const CK_RV rv = made(for_private, private_key, [&] {
      return real.C_GenerateKeyPair(session, mechanism, for_public.data(), for_public.size(),
                                    for_private.data(), for_private.size(), public_key,
                                    private_key);
    });
    if (rv == CKR_OK) pretences_.note(*public_key, for_public.pretended());
    return rv;
  }
  CK_RV answer(Call<Function::C_WrapKey>, List& real, CK_SESSION_HANDLE session,
               CK_MECHANISM* mechanism, CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key,
               CK_BYTE* wrapped, CK_ULONG* length) {
    CK_MECHANISM renamed = other_mechanism(mechanism);
    return real.C_WrapKey(session, mechanism == nullptr ? nullptr : &renamed, wrapping_key, key,
                          wrapped, length);
  }
  CK_RV answer(Call<Function::C_UnwrapKey>, List& real, CK_SESSION_HANDLE session,
               CK_MECHANISM* mechanism, CK_OBJECT_HANDLE unwrapping_key, CK_BYTE* wrapped,
               CK_ULONG length, CK_ATTRIBUTE* attributes, CK_ULONG count,
               CK_OBJECT_HANDLE* object) {
    CK_MECHANISM renamed = other_mechanism(mechanism);
    RewrittenTemplate rewritten(settings_, attributes, count, settings_.value_len_required);
    if (settings_.value_len_required) {
      const auto value_len = rewritten.pretended().value_len;
      if (!value_len) return CKR_TEMPLATE_INCOMPLETE;
      // RFC 3394: a wrapped key is 8 bytes longer than the key. Of other mechanisms the length is
      // not known here.
      if (renamed.mechanism == CKM_AES_KEY_WRAP && *value_len + 8 != length)
        return CKR_TEMPLATE_INCONSISTENT;
    }
    return made(rewritten, object, [&] {
      return real.C_UnwrapKey(session, mechanism == nullptr ? nullptr : &renamed, unwrapping_key,
                              wrapped, length, rewritten.data(), rewritten.size(), object);
    });
  }
  CK_RV answer(Call<Function::C_DeriveKey>, List& real, CK_SESSION_HANDLE session,
               CK_MECHANISM* mechanism, CK_OBJECT_HANDLE base, CK_ATTRIBUTE* attributes,
               CK_ULONG count, CK_OBJECT_HANDLE* object) {
    RewrittenTemplate rewritten(settings_, attributes, count);
    return made(rewritten, object, [&] {
      return real.C_DeriveKey(session, mechanism, base, rewritten.data(), rewritten.size(), object);
    });
  }

 private:
  /// A call that makes or changes an object by a template.
  template <class Attempt>
  CK_RV made(const RewrittenTemplate& rewritten, const CK_OBJECT_HANDLE* object, Attempt attempt) {
    if (settings_.no_nested_templates && rewritten.has_nested()) return CKR_ATTRIBUTE_TYPE_INVALID;
    const CK_RV rv = attempt();
    if (rv == CKR_OK && object != nullptr) pretences_.note(*object, rewritten.pretended());
    return rv;
  }
  /// PKCS#11 2.40 section 5.7, C_GetAttributeValue: an attribute that the object has not is
  /// answered with a length of CK_UNAVAILABLE_INFORMATION, and the others all the same.
  CK_RV get_without_nested(List& real, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                           CK_ATTRIBUTE* attributes, CK_ULONG count) {
    if (attributes == nullptr) return real.C_GetAttributeValue(session, object, attributes, count);
    const std::span all(attributes, count);
    std::vector<CK_ATTRIBUTE> known;
    for (const CK_ATTRIBUTE& attribute : all) {
      if (!is_nested(attribute.type)) known.push_back(attribute);
    }
    if (known.size() == count) return real.C_GetAttributeValue(session, object, attributes, count);
    const CK_RV rv = known.empty()
                         ? CKR_OK
                         : real.C_GetAttributeValue(session, object, known.data(), known.size());
    auto next = known.begin();
    for (CK_ATTRIBUTE& attribute : all)
      attribute.ulValueLen =
          is_nested(attribute.type) ? CK_UNAVAILABLE_INFORMATION : (next++)->ulValueLen;
    return rv == CKR_OK ? CKR_ATTRIBUTE_TYPE_INVALID : rv;
  }
  [[nodiscard]] CK_MECHANISM other_mechanism(const CK_MECHANISM* mechanism) const {
    if (mechanism == nullptr) return {};
    CK_MECHANISM renamed = *mechanism;
    renamed.mechanism = other_name(mechanism->mechanism, settings_);
    return renamed;
  }
  template <std::size_t Size>
  static void pad(CK_UTF8CHAR (&field)[Size], const std::string& text) {
    std::fill(std::begin(field), std::end(field), ' ');
    std::copy_n(text.begin(), std::min(text.size(), Size), std::begin(field));
  }

  const QuirkSettings settings_;
  PinLock pin_;
  OpenSessions sessions_;
  Pretences pretences_;
  std::atomic<std::uint64_t> throttled_calls_{0};
};

}  // namespace shim
