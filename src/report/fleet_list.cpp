// SPDX-License-Identifier: Apache-2.0
#include "report/fleet_list.hpp"

#include <openssl/evp.h>

#include <fstream>

#include "smets1kms/errors.hpp"

namespace smets1kms::report {
namespace {

constexpr std::string_view header = "device_id,kind,commissioned_at";
constexpr std::size_t longest_line = 200;

struct Listed {
  std::uint64_t device;
  std::uint32_t line;
  DeviceKind kind;
  Time since;
  friend bool operator<(const Listed& a, const Listed& b) {
    return a.device != b.device ? a.device < b.device : a.line < b.line;
  }
};

class Reader {
 public:
  explicit Reader(const std::filesystem::path& file)
      : file_(file), in_(file, std::ios::binary), hash_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (!in_) throw BadInput(file.string() + ": can't be read");
    EVP_DigestInit_ex(hash_.get(), EVP_sha256(), nullptr);
  }

  FleetList read(Events& events) {
    read_header();
    while (next()) try {
        take();
      } catch (const BadInput& error) {
        refuse(number_, error.what());
      }
    const Listed* before = nullptr;
    Listed last{};
    devices_.each([&](const Listed& each) {
      if (before != nullptr && last.device == each.device)
        refuse(each.line, audit::device_name(each.device) + " is in line " +
                              std::to_string(last.line) + " already");
      else
        events.add({.device = each.device,
                    .since = each.since,
                    .generation = each.line,
                    .what = EventKind::listed,
                    .kind = each.kind});
      last = each;
      before = &last;
    });
    if (bad_ != 0) throw BadInput(report());
    std::array<unsigned char, 32> digest{};
    EVP_DigestFinal_ex(hash_.get(), digest.data(), nullptr);
    audit::Hash hash{};
    std::ranges::copy(digest, hash.begin());
    return {.file = file_.filename().string(), .sha256 = audit::to_hex(hash), .lines = number_ - 1};
  }

 private:
  [[noreturn]] void refuse_file(const std::string& what) const {
    throw BadInput(file_.string() + ":1: " + what);
  }
  void read_header() {
    if (!next() || line_.empty())
      refuse_file("the file is empty; its first line has to be " + std::string(header));
    if (line_.starts_with("\xEF\xBB\xBF"))
      refuse_file("it begins with a byte-order mark: save it as UTF-8 without one");
    if (line_.ends_with('\r'))
      refuse_file(
          "its lines end with a carriage return: save it with line feeds alone (dos2unix does it)");
    if (line_ != header) refuse_file("the first line has to be " + std::string(header));
  }
  /// False behind the last line. Of a line that is too long the beginning is kept.
  bool next() {
    line_.clear();
    whole_ = false;
    for (int c = in_.get(); c != std::char_traits<char>::eof(); c = in_.get()) {
      block_.push_back(static_cast<char>(c));
      if (block_.size() == 65536) flush();
      if (c == '\n') {
        whole_ = true;
        break;
      }
      if (line_.size() <= longest_line) line_.push_back(static_cast<char>(c));
    }
    if (in_.bad()) throw BadInput(file_.string() + ": can't be read to its end");
    if (!whole_) flush();
    if (whole_ || !line_.empty()) {
      if (++number_ == UINT32_MAX) throw BadInput(file_.string() + ": it has too many lines");
      return true;
    }
    return false;
  }
  void flush() {
    EVP_DigestUpdate(hash_.get(), block_.data(), block_.size());
    block_.clear();
  }
  void take() {
    const std::string_view line = line_;
    if (!whole_)
      throw BadInput("it has no end of line: the file may have been cut. End it with one");
    if (line.size() > longest_line)
      throw BadInput("it is longer than " + std::to_string(longest_line) + " characters");
    if (audit::printable(line, longest_line) != line)
      throw BadInput(
          "it has a quote, a backslash, a carriage return or another character that does not "
          "belong there");
    const auto first = line.find(','),
               second = line.find(',', first == std::string_view::npos ? first : first + 1);
    if (second == std::string_view::npos || line.find(',', second + 1) != std::string_view::npos)
      throw BadInput("three fields are expected: " + std::string(header));
    devices_.add({.device = DeviceId::parse(line.substr(0, first)).number(),
                  .line = static_cast<std::uint32_t>(number_),
                  .kind = parse_kind(line.substr(first + 1, second - first - 1)),
                  .since = parse_time(line.substr(second + 1))});
  }
  void refuse(std::uint64_t line, const std::string& what) {
    ++bad_;
    if (reasons_.size() < most_reasons)
      reasons_.push_back(file_.string() + ":" + std::to_string(line) + ": " + what);
  }
  [[nodiscard]] std::string report() const {
    std::string text = std::to_string(bad_) + (bad_ == 1 ? " line" : " lines") +
                       " of the fleet list can't be taken; nothing of it was used";
    for (const auto& reason : reasons_) text += "\n" + reason;
    if (bad_ > reasons_.size()) text += "\nand " + std::to_string(bad_ - reasons_.size()) + " more";
    return text;
  }

  static constexpr std::size_t most_reasons = 20;
  std::filesystem::path file_;
  std::ifstream in_;
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash_;
  std::string line_, block_;
  bool whole_ = false;
  std::uint64_t number_ = 0, bad_ = 0;
  std::vector<std::string> reasons_;
  SortedFile<Listed> devices_;
};

}  // namespace

FleetList read_fleet_list(const std::filesystem::path& file, Events& events) {
  return Reader(file).read(events);
}

}  // namespace smets1kms::report
