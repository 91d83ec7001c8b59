// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "audit/record.hpp"
#include "base/text_reader.hpp"
#include "lifecycle/check.hpp"
#include "lifecycle/target_certificate.hpp"
#include "lifecycle/targets.hpp"
#include "lifecycle/token_keys.hpp"
#include "vault/audit_key.hpp"
#include "vault/enrolment.hpp"
#include "vault/objects.hpp"
#include "vault/orphans.hpp"

namespace smets1kms::lifecycle {
namespace {

namespace attr = pkcs11::attr;
using vault::ObjectPurpose;

constexpr const char* restore_token =
    "restore the token's copy that has the object as it was made, and find out who has its PIN; a "
    "key of a device that can't be brought back is replaced by a rotation";

/// Comparison of the token's objects with what the registry says must be there.
class TokenCheck {
 public:
  TokenCheck(registry::Registry& registry, pkcs11::Session& session,
             const vault::TokenProfile& profile, CheckResult& result, Contradictions& found)
      : registry_(registry), session_(session), profile_(profile), found_(found) {
    objects_ = vault::own_objects(session);
    result.token_objects = objects_.size();
  }
  void run_sample(std::size_t devices) {
    own_keys();
    // Devices behind places that are as far apart as their ids allow.
    for (auto row = registry_.database().query("SELECT min(id),max(id) FROM device"); row.step();) {
      if (row.is_null(0)) return;
      const auto first = row.integer(0);
      const auto step = static_cast<std::uint64_t>(row.integer(1) - first) / devices + 1;
      for (std::size_t i = 0; i < devices; ++i) {
        const auto from = static_cast<std::int64_t>(static_cast<std::uint64_t>(first) + i * step);
        const auto to = static_cast<std::int64_t>(static_cast<std::uint64_t>(from) + step - 1);
        auto id = registry::query(registry_.database(),
                                  "SELECT min(id) FROM device WHERE id BETWEEN ? AND ?", from, to);
        if (id.step() && !id.is_null(0)) device_keys(id.integer(0), id.integer(0));
      }
    }
  }
  void run() {
    own_keys();
    targets();
    device_keys(INT64_MIN, INT64_MAX);
    for (const auto& operation : registry_.open_operations())
      for (const auto part : split(operation.detail, '\n'))
        if (part.size() == 32) forget(part);  // the id of a key of the token's own
    for (const auto& [id, object] : objects_)
      found_.add("token object " + id.to_string(),
                 "nothing names it; its label is " + audit::printable(object.label, 100), {},
                 vault::orphan_remedy);
  }

 private:
  void forget(std::string_view id) try {
    objects_.erase(KeyId::parse(std::string(id)));
  } catch (const BadInput&) {  // no id
  }
  /// Compares the one object of a class that has an id. Returns its handle where it is as it must
  /// be.
  std::optional<pkcs11::Handle> compare(const std::string& what, const KeyId& id,
                                        CK_OBJECT_CLASS object_class,
                                        const pkcs11::Template& expected) {
    const auto [first, last] = objects_.equal_range(id);
    std::optional<pkcs11::Handle> handle;
    std::size_t count = 0;
    for (auto each = first; each != last; ++each)
      if (each->second.object_class == object_class) {
        handle = each->second.handle;
        ++count;
      }
    if (count != 1) {
      fail(what, id,
           count == 0 ? "it is not in the token"
                      : std::to_string(count) + " objects in the token have its id");
      return std::nullopt;
    }
    const auto differences = session_.differences(*handle, expected);
    if (!differences.empty()) fail(what, id, "its object differs: " + differences.front());
    return differences.empty() ? handle : std::nullopt;
  }
  void fail(const std::string& what, const KeyId& id, const std::string& finding) {
    found_.add(what + " (" + id.to_string() + ")", finding, {}, restore_token);
  }

  /// Calls `look` with the id that a setting has, and takes its objects off those that are left.
  template <class Look>
  void of_setting(std::string_view name, Look look) {
    const auto text = registry_.setting(name);
    if (!text) return;
    try {
      const auto id = KeyId::parse(*text);
      look(id);
      objects_.erase(id);
    } catch (const BadInput&) {  // the comparison of the settings names it
    }
  }
  void own_keys() {
    of_setting(setting::audit_key, [&](const KeyId& id) {
      (void)compare("audit key", id, CKO_PRIVATE_KEY,
                    vault::attributes(ObjectPurpose::audit_private_key, {}, profile_));
      const auto half = compare("audit key's public half", id, CKO_PUBLIC_KEY, {});
      if (half && vault::audit_key_pem(session_, *half) !=
                      registry_.setting(setting::audit_key_pem).value_or(""))
        fail("audit key's public half", id, "it is not the one that the registry has");
    });
    of_setting(setting::import_key, [&](const KeyId& id) {
      try {
        const auto pem = vault::import_key_pem(session_, id, profile_);
        RecordReader records(registry_.database());
        const auto index = registry_.setting(setting::import_key_record).value_or("");
        const auto& made =
            records.at(index.empty() || index.size() > 18 ? -1 : std::atoll(index.c_str()));
        if (made.text(Field::public_key_sha256) != audit::to_hex(audit::sha256(pem)))
          fail("import key", id, "its public half is not the one that the trail recorded");
      } catch (const pkcs11::Error& error) {
        if (vault::is_tokens_fault(error)) throw;
        fail("import key", id, error.what());
      }
    });
    of_setting(setting::enrolment_key, [&](const KeyId& id) {
      (void)compare("enrolment key", id, CKO_SECRET_KEY,
                    vault::attributes(ObjectPurpose::enrolment_key, {}, profile_));
    });
    for (const auto& each : storage_keys) {
      const auto look = [&](const KeyId& id) {
        (void)compare(std::string(vault::purpose_of(each.which)), id, CKO_SECRET_KEY,
                      vault::storage_at_rest(each.which, profile_));
      };
      std::vector<std::string> older;
      registry_.for_each_setting(setting::older(each.setting, {}),
                                 [&](const std::string& id) { older.push_back(id); });
      of_setting(each.setting, look);
      for (const auto& id : older) of_setting(setting::older(each.setting, id), look);
    }
  }
  void targets() {
    for (const auto& target : registry::HandoverTables(registry_.database()).targets()) {
      if (target.info.status != TargetStatus::admitted) continue;
      if (!vault::has_target(session_, key_of(target, read_certificate(target.certificate)),
                             profile_))
        fail("public key of target " + target.info.label(), target.info.id,
             "it is not in the token as it was admitted");
      objects_.erase(target.info.id);
    }
  }
  void device_keys(std::int64_t from, std::int64_t to) {
    for (auto row = registry::query(
             registry_.database(),
             "SELECT key.device,role,generation,key.id,state,transfer,suite,awaiting IS NOT NULL,"
             "sealed IS NOT NULL FROM key JOIN device ON device.id=key.device WHERE key.device "
             "BETWEEN ? AND ?",
             from, to);
         row.step();) {
      const KeyRef ref{registry::device_id(row.integer(0)), registry::read<KeyRole>(row, 1),
                       registry::read<std::uint32_t>(row, 2)};
      const auto id = registry::key_id(row.blob(3));
      const auto state = registry::read<KeyState>(row, 4);
      const bool may_be = state == KeyState::none || row.integer(7) != 0;
      const bool must_be = !may_be && state != KeyState::destroyed &&
                           state != KeyState::destroyed_compromised && row.integer(8) == 0;
      // What an operation is making, admitting or destroying may be there or not.
      if (must_be && !registry_.is_listed_by_open(op::key_destroy, ref)) {
        const vault::KeyName name{.id = id,
                                  .device = ref.device,
                                  .role = ref.role,
                                  .generation = ref.generation,
                                  .suite = registry::read<SecuritySuite>(row, 6),
                                  .sent = row.integer(5) == 0};
        (void)compare(
            "key " + std::string(to_string(ref.role)) + " " + std::to_string(ref.generation) +
                " of " + ref.device.to_string(),
            id, CKO_SECRET_KEY,
            vault::read_back(ref.role, name.suite, profile_, name.from_outside(profile_.mode))
                .add(attr::label, name.label()));
        objects_.erase(id);
      } else if (may_be || must_be) {
        objects_.erase(id);
      }
    }
  }

  registry::Registry& registry_;
  pkcs11::Session& session_;
  const vault::TokenProfile& profile_;
  Contradictions& found_;
  std::multimap<KeyId, vault::KeyObject> objects_;
};

}  // namespace

/// Runs a comparison in a session.
template <class Work>
static void compare_token(registry::Registry& registry, vault::TokenConnection& token,
                          CheckResult& result, Contradictions& found, Work work) try {
  vault::with_token([&] {
    token.pool().run([&](pkcs11::Session& session) {
      TokenCheck check(registry, session, token.token_profile(), result, found);
      work(check);
      return 0;
    });
  });
} catch (const registry::DamagedRow& error) {
  result.not_checked.emplace_back(std::string("the rest of the token: ") + error.what());
}

void check_token_objects(registry::Registry& registry, vault::TokenConnection& token,
                         CheckResult& result, Contradictions& found) {
  compare_token(registry, token, result, found, [](TokenCheck& check) { check.run(); });
}

void check_token_sample(registry::Registry& registry, vault::TokenConnection& token,
                        std::size_t devices, CheckResult& result, Contradictions& found) {
  compare_token(registry, token, result, found,
                [&](TokenCheck& check) { check.run_sample(devices); });
}

}  // namespace smets1kms::lifecycle
