// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "smets1kms/enrolment.hpp"
#include "smets1kms/key_manager.hpp"
#include "support/test_fleet.hpp"

/// A fleet's life from 2020 on, lived through the real lifecycle on a real token with an injected
/// clock: a device for every way in which a duty can end. Records say "injected" of their clock.
namespace test {

class History {
 public:
  using Time = smets1kms::Time;
  /// What has to be done to a fleet file before it is given to the key manager: signed. Returns the
  /// signature's file.
  using Sign = std::function<std::filesystem::path(const std::filesystem::path& file)>;

  /// `end`: the day on which the life is told; `directory`: for its fleet files.
  History(smets1kms::Config config, std::string officer_pin, std::filesystem::path directory,
          Time end, Sign sign = {});
  /// Makes the registry where there is none, and lives.
  void live(const std::function<void(const std::string&)>& tell = {});
  /// By the name of its story.
  [[nodiscard]] DeviceId device(const std::string& story) const {
    return lives_.at(story).meter->id();
  }
  /// Names in the order of the stories.
  [[nodiscard]] const std::vector<std::string>& stories() const { return names_; }
  /// The operator's own list of the devices that were commissioned: header, then a line each.
  [[nodiscard]] std::string operators_list() const;

 private:
  struct Life {
    Order order;
    std::optional<Meter> meter;
    std::vector<smets1kms::KeyTransfer> open;  ///< released and not answered
  };
  /// What a meter does with a transfer.
  enum class Answer { takes, lost };

  void write_stories();
  void add(const std::string& story, const std::string& kind, const std::string& supports,
           const std::string& commissioned_at, const std::string& imported_at = {});
  void at(Time when, std::function<void()> what) { plan_.emplace(when, std::move(what)); }
  void rotate(const std::string& story, Time when, smets1kms::Reason reason, Time answered,
              std::vector<KeyRole> roles = {}, const std::string& justification = {});
  void answer(const std::string& story, Answer how);
  void change(const std::string& story, smets1kms::DeviceChange to, Time when);
  void suspect(const std::string& story, KeyRole role, std::uint32_t generation, Time when);
  void import(const std::vector<std::string>& stories, bool another_kek);
  void open();
  [[nodiscard]] smets1kms::Callbacks callbacks();
  [[nodiscard]] smets1kms::Authority authority() const;

  smets1kms::Config config_;
  std::string officer_pin_;
  std::filesystem::path directory_;
  Time end_, now_;
  Sign sign_;
  std::optional<Manufacturer> manufacturer_;
  std::optional<smets1kms::KeyManager> kms_;
  std::map<std::string, Life> lives_;
  std::vector<std::string> names_;
  std::multimap<Time, std::function<void()>> plan_;
  std::map<Time, std::vector<std::string>> arrivals_;
};

}  // namespace test
