// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <p11-kit/pkcs11.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "settings.hpp"

namespace shim {

/// What a caller was told that the real token does not hold: remembered here, for this process.
struct Pretended {
  std::optional<CK_BBOOL> wrap_with_trusted;
  std::optional<CK_ULONG> value_len;
  [[nodiscard]] bool nothing() const { return !wrap_with_trusted && !value_len; }
};

inline bool is_nested(CK_ATTRIBUTE_TYPE type) {
  return type == CKA_WRAP_TEMPLATE || type == CKA_UNWRAP_TEMPLATE;
}

/// CKM_AES_KEY_WRAP and the vendor's number change places, both ways: a caller that names the
/// standard's number in CKA_ALLOWED_MECHANISMS is then refused at the wrap, as the vendor's token
/// would.
inline CK_MECHANISM_TYPE other_name(CK_MECHANISM_TYPE type, const QuirkSettings& quirks) {
  if (!quirks.vendor_key_wrap) return type;
  if (type == CKM_AES_KEY_WRAP) return *quirks.vendor_key_wrap;
  return type == *quirks.vendor_key_wrap ? CKM_AES_KEY_WRAP : type;
}

/// A template as the real token is to see it; owns what it changed.
class RewrittenTemplate {
 public:
  RewrittenTemplate(const QuirkSettings& quirks, const CK_ATTRIBUTE* attributes, CK_ULONG count,
                    bool strip_value_len = false)
      : null_(attributes == nullptr), null_count_(count) {
    if (null_) return;
    for (const CK_ATTRIBUTE& attribute : std::span(attributes, count))
      add(quirks, attribute, strip_value_len);
  }
  RewrittenTemplate(const RewrittenTemplate&) = delete;

  /// NULL only where the caller's was: tokens tell an empty template from none.
  [[nodiscard]] CK_ATTRIBUTE* data() {
    return null_ ? nullptr : attributes_.empty() ? &nothing_ : attributes_.data();
  }
  [[nodiscard]] CK_ULONG size() const { return null_ ? null_count_ : attributes_.size(); }
  [[nodiscard]] bool has_nested() const { return has_nested_; }
  [[nodiscard]] const Pretended& pretended() const { return pretended_; }

 private:
  void add(const QuirkSettings& quirks, CK_ATTRIBUTE attribute, bool strip_value_len) {
    if (is_nested(attribute.type)) {
      has_nested_ = true;
      if (attribute.pValue != nullptr) {
        RewrittenTemplate& inner =
            nested_.emplace_back(quirks, static_cast<CK_ATTRIBUTE*>(attribute.pValue),
                                 attribute.ulValueLen / sizeof(CK_ATTRIBUTE));
        attribute.pValue = inner.data();
        attribute.ulValueLen = inner.size() * sizeof(CK_ATTRIBUTE);
      }
    } else if (attribute.type == CKA_ALLOWED_MECHANISMS && attribute.pValue != nullptr) {
      const std::span given(static_cast<CK_MECHANISM_TYPE*>(attribute.pValue),
                            attribute.ulValueLen / sizeof(CK_MECHANISM_TYPE));
      auto& list = mechanisms_.emplace_back(given.begin(), given.end());
      for (CK_MECHANISM_TYPE& type : list) type = other_name(type, quirks);
      attribute.pValue = list.data();
    } else if (attribute.type == CKA_WRAP_WITH_TRUSTED && quirks.no_wrap_with_trusted) {
      if (attribute.pValue != nullptr && attribute.ulValueLen == sizeof(CK_BBOOL))
        pretended_.wrap_with_trusted = *static_cast<CK_BBOOL*>(attribute.pValue);
      return;
    } else if (attribute.type == CKA_VALUE_LEN && strip_value_len) {
      if (attribute.pValue != nullptr && attribute.ulValueLen == sizeof(CK_ULONG))
        pretended_.value_len = *static_cast<CK_ULONG*>(attribute.pValue);
      return;
    }
    attributes_.push_back(attribute);
  }

  bool null_;
  CK_ULONG null_count_;
  CK_ATTRIBUTE nothing_{};
  std::vector<CK_ATTRIBUTE> attributes_;
  std::deque<std::vector<CK_MECHANISM_TYPE>> mechanisms_;
  std::deque<RewrittenTemplate> nested_;
  Pretended pretended_;
  bool has_nested_ = false;
};

/// Turns an answer of C_GetAttributeValue round, in place.
inline void rename_mechanisms(const QuirkSettings& quirks, CK_ATTRIBUTE* attributes,
                              CK_ULONG count) {
  if (attributes == nullptr || !quirks.vendor_key_wrap) return;
  for (const CK_ATTRIBUTE& attribute : std::span(attributes, count)) {
    if (attribute.pValue == nullptr || attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION) continue;
    if (is_nested(attribute.type)) {
      rename_mechanisms(quirks, static_cast<CK_ATTRIBUTE*>(attribute.pValue),
                        attribute.ulValueLen / sizeof(CK_ATTRIBUTE));
    } else if (attribute.type == CKA_ALLOWED_MECHANISMS) {
      for (CK_MECHANISM_TYPE& type : std::span(static_cast<CK_MECHANISM_TYPE*>(attribute.pValue),
                                               attribute.ulValueLen / sizeof(CK_MECHANISM_TYPE)))
        type = other_name(type, quirks);
    }
  }
}

/// Which object was told what. SoftHSM never gives a handle to a second object of the same process.
class Pretences {
 public:
  void note(CK_OBJECT_HANDLE object, const Pretended& pretended) {
    if (pretended.nothing()) return;
    const std::lock_guard lock(mutex_);
    Pretended& known = objects_[object];
    if (pretended.wrap_with_trusted) known.wrap_with_trusted = pretended.wrap_with_trusted;
    if (pretended.value_len) known.value_len = pretended.value_len;
  }
  [[nodiscard]] Pretended of(CK_OBJECT_HANDLE object) const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(object);
    return found == objects_.end() ? Pretended{} : found->second;
  }
  /// Into the answer of C_GetAttributeValue.
  void answer(CK_OBJECT_HANDLE object, CK_ATTRIBUTE* attributes, CK_ULONG count) const {
    const Pretended pretended = of(object);
    if (attributes == nullptr || pretended.nothing()) return;
    for (const CK_ATTRIBUTE& attribute : std::span(attributes, count)) {
      if (attribute.pValue == nullptr) continue;
      if (attribute.type == CKA_WRAP_WITH_TRUSTED && pretended.wrap_with_trusted &&
          attribute.ulValueLen == sizeof(CK_BBOOL))
        *static_cast<CK_BBOOL*>(attribute.pValue) = *pretended.wrap_with_trusted;
      if (attribute.type == CKA_VALUE_LEN && pretended.value_len &&
          attribute.ulValueLen == sizeof(CK_ULONG))
        *static_cast<CK_ULONG*>(attribute.pValue) = *pretended.value_len;
    }
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    objects_.clear();
  }

 private:
  mutable std::mutex mutex_;
  std::map<CK_OBJECT_HANDLE, Pretended> objects_;
};

}  // namespace shim
