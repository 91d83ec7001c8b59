// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pkcs11/attribute.hpp"
#include "pkcs11/module.hpp"
#include "pkcs11/secret.hpp"

namespace pkcs11 {

/// An object handle, valid for one login epoch of one token, never stored.
enum class Handle : CK_OBJECT_HANDLE { none = CK_INVALID_HANDLE };
[[nodiscard]] constexpr CK_OBJECT_HANDLE number(Handle handle) {
  return static_cast<CK_OBJECT_HANDLE>(handle);
}

/// A mechanism with its parameter. Key wrap takes no IV parameter (NULL: the default IV of RFC
/// 3394).
class Mechanism {
 public:
  explicit Mechanism(CK_MECHANISM_TYPE type) : type_(type) {}
  Mechanism(CK_MECHANISM_TYPE type, Bytes parameter)
      : type_(type), parameter_(std::move(parameter)) {}
  /// Makes OAEP with MGF1 over the same hash, no label.
  static Mechanism rsa_oaep(CK_MECHANISM_TYPE hash, CK_RSA_PKCS_MGF_TYPE mgf);
  /// Makes AES-GCM. `iv`: 12 bytes; tag: 16 bytes.
  static Mechanism aes_gcm(Bytes iv, Bytes additional_data);
  /// Makes a mechanism whose parameter is a C struct; memory that the struct points to must outlive
  /// the mechanism.
  template <class Parameter>
  static Mechanism with(CK_MECHANISM_TYPE type, const Parameter& parameter) {
    static_assert(std::is_trivially_copyable_v<Parameter>);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&parameter);
    return {type, Bytes(bytes, bytes + sizeof parameter)};
  }
  [[nodiscard]] CK_MECHANISM_TYPE type() const { return type_; }
  /// Fills a C struct that is a part of this object and points into it.
  [[nodiscard]] CK_MECHANISM* raw();

 private:
  CK_MECHANISM_TYPE type_;
  Bytes parameter_, iv_, additional_data_;
  CK_GCM_PARAMS gcm_{};  ///< in place of `parameter_` where there is an IV
  CK_MECHANISM raw_{};
};

/// One session. Not shared between threads. The destructor closes it; it never logs out (that
/// would log out the whole process).
class Session {
 public:
  /// Opens a read-write session. Throws Error (C_OpenSession): CKR_SESSION_HANDLE_INVALID if the
  /// module has been initialised again since `generation` (slots move then); nullopt: since now.
  Session(std::shared_ptr<Module> module, CK_SLOT_ID slot,
          std::optional<std::uint64_t> generation = std::nullopt);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Calls C_Login. CKR_USER_ALREADY_LOGGED_IN passes (it proves nothing about this PIN).
  void login(CK_USER_TYPE user, const Secret& pin);
  void
  logout();  ///< for the security officer's ceremony only: it voids every handle of the process
  [[nodiscard]] CK_STATE state();

  Handle generate_key(Mechanism mechanism, const RawTemplate& attributes);
  /// Returns public key, private key.
  std::pair<Handle, Handle> generate_key_pair(Mechanism mechanism, const RawTemplate& public_key,
                                              const RawTemplate& private_key);
  Handle create_object(const RawTemplate& attributes);
  Handle copy_object(Handle object, const RawTemplate& changes);
  void destroy_object(Handle object);
  [[nodiscard]] Bytes wrap_key(Mechanism mechanism, Handle wrapping_key, Handle key);
  Handle unwrap_key(Mechanism mechanism, Handle unwrapping_key, ByteView wrapped,
                    const RawTemplate& attributes);
  Handle derive_key(Mechanism mechanism, Handle base, const RawTemplate& attributes);
  [[nodiscard]] Bytes encrypt(Mechanism mechanism, Handle key, ByteView data);
  [[nodiscard]] Bytes decrypt(Mechanism mechanism, Handle key, ByteView data);
  [[nodiscard]] Bytes sign(Mechanism mechanism, Handle key, ByteView data);
  /// False for a signature that doesn't verify; throws for any other error.
  [[nodiscard]] bool verify(Mechanism mechanism, Handle key, ByteView data, ByteView signature);
  [[nodiscard]] Bytes random(std::size_t length);

  /// Returns every match: calls C_FindObjects to its end.
  [[nodiscard]] std::vector<Handle> find_objects(const RawTemplate& match);
  /// Returns an attribute; nullopt where it is absent, unset or unreadable.
  template <class T>
  [[nodiscard]] std::optional<T> get(Handle object, Attribute<T> attribute) {
    auto value = read_value(object, attribute.type);
    if (!value) return std::nullopt;
    if constexpr (std::is_same_v<T, Template>)
      return std::get<std::vector<Template>>(*std::move(value)).front();
    else
      return std::get<T>(*std::move(value));
  }
  /// Returns several attributes by one call; false for one that is not shown.
  [[nodiscard]] std::vector<bool> flags(Handle object, std::span<const Attribute<bool>> attributes);
  /// Returns an attribute. Throws Error(C_GetAttributeValue, CKR_ATTRIBUTE_TYPE_INVALID) where it
  /// can't be read.
  template <class T>
  [[nodiscard]] T need(Handle object, Attribute<T> attribute) {
    if (auto value = get(object, attribute)) return *std::move(value);
    throw Error("C_GetAttributeValue", CKR_ATTRIBUTE_TYPE_INVALID, attribute_name(attribute.type));
  }
  void set(Handle object, const RawTemplate& changes);
  /// Returns every difference between `expected` and the object in the token, as text
  /// ("CKA_EXTRACTABLE: expected false, is true"); empty where there is none. CKA_VALUE,
  /// CKA_CHECK_VALUE and nested templates, which not every token shows, differ only if the token
  /// shows another value; of all others the token must show the value expected.
  [[nodiscard]] std::vector<std::string> differences(Handle object, const Template& expected);

  [[nodiscard]] CK_SESSION_HANDLE raw() const { return handle_; }
  [[nodiscard]] CK_SLOT_ID slot() const { return slot_; }
  /// Returns the module's generation when this session was opened.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  /// True if a failed call may have left an operation active: such a session is to be closed.
  [[nodiscard]] bool operation_active() const { return operation_active_; }
  /// Calls a function that has no member here, with this session's handle in front.
  template <class Function, class... Arguments>
  void call(const char* name, Function CK_FUNCTION_LIST::*member, Arguments... arguments) {
    if (const CK_RV rv = invoke(member, arguments...); rv != CKR_OK) throw Error(name, rv);
  }

 private:
  template <class Function, class... Arguments>
  [[nodiscard]] CK_RV invoke(Function CK_FUNCTION_LIST::*member, Arguments... arguments) {
    return module_->invoke_in(generation_, member, handle_, arguments...);
  }
  /// Calls a function whose last argument receives the handle of what it makes.
  template <class Function, class... Arguments>
  Handle make(const char* name, Function CK_FUNCTION_LIST::*member, Arguments... arguments) {
    CK_OBJECT_HANDLE made = CK_INVALID_HANDLE;
    call(name, member, arguments..., &made);
    return Handle{made};
  }
  template <class Step>
  [[nodiscard]] CK_RV conclude(Step step);
  template <class Step>
  [[nodiscard]] Bytes output(const char* name, std::size_t expected, Step step);
  template <class Function>
  [[nodiscard]] Bytes transform(const char* name, Function CK_FUNCTION_LIST::*member,
                                ByteView data);
  CK_RV read(Handle object, std::span<CK_ATTRIBUTE> wanted, bool may_be_longer = false);
  [[nodiscard]] std::optional<Bytes> read_attribute(Handle object, CK_ATTRIBUTE_TYPE type);
  [[nodiscard]] std::optional<Template> read_template(Handle object, CK_ATTRIBUTE_TYPE type);
  [[nodiscard]] std::vector<bool> compare_together(Handle object, const Template& like);
  [[nodiscard]] std::optional<Template::Value> read_value(Handle object, CK_ATTRIBUTE_TYPE type);
  std::shared_ptr<Module> module_;
  CK_SLOT_ID slot_;
  std::uint64_t generation_;
  bool operation_active_ = false;
  CK_SESSION_HANDLE handle_ = CK_INVALID_HANDLE;
};

}  // namespace pkcs11
