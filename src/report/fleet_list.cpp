// SPDX-License-Identifier: Apache-2.0
#include "report/fleet_list.hpp"

#include "audit/text.hpp"
#include "base/text_reader.hpp"

namespace smets1kms::report {
namespace {

constexpr std::string_view header = "device_id,kind,commissioned_at";
constexpr std::size_t longest_line = 200;

class Reader {
 public:
  explicit Reader(const std::filesystem::path& file)
      : file_(file),
        in_(
            file, "", [this](std::string_view bytes) { hash_.add(bytes); }, FileKind::prompt) {}

  FleetList read(Events& events) {
    const auto first = in_.next();
    if (!first || *first != header)
      in_.refuse(1, (first ? "" : "the file is empty; ") +
                        std::string("the first line has to be ") + std::string(header));
    for (bool is_more = true; is_more;) try {
        const auto line = in_.next();
        is_more = line.has_value() && bad_ < most_bad;
        if (line) process(*line);
      } catch (const BadFile& error) {
        refuse(error.what());
      } catch (const BadInput& error) {
        refuse(in_.number(), error.what());
      }
    std::optional<Event> last;
    devices_.for_each([&](Event each) {
      if (last && last->device == each.device) {
        refuse(each.generation, audit::device_name(each.device) + " is in line " +
                                    std::to_string(last->generation) + " already");
      } else {
        each.index = Event().index;
        events.add(each);
      }
      last = each;
    });
    if (bad_ != 0) throw BadInput(report());
    return {.file = file_.filename().string(),
            .sha256 = audit::to_hex(hash_.so_far()),
            .lines = in_.number() - 1};
  }

 private:
  void process(std::string_view line) {
    if (!in_.has_end())
      throw BadInput("it has no end of line: the file may have been cut. End it with one");
    if (in_.number() == UINT32_MAX) throw BadInput("it is one line too many");
    if (line.size() > longest_line)
      throw BadInput("it is longer than " + std::to_string(longest_line) + " characters");
    if (audit::printable(line, longest_line) != line)
      throw BadInput("it has a quote, a backslash or another character that does not belong there");
    if (std::ranges::count(line, ',') != 2)
      throw BadInput("three fields are expected: " + std::string(header));
    const auto number = static_cast<std::uint32_t>(in_.number());
    const auto device = DeviceId::parse(audit::take_word(line, ',')).number();
    const auto kind = parse_kind(audit::take_word(line, ','));
    devices_.add({.device = device,
                  .index = number,  // until they are sorted
                  .since = parse_time(line),
                  .generation = number,
                  .what = EventKind::listed,
                  .kind = kind});
  }
  void refuse(std::uint64_t line, const std::string& what) {
    refuse(file_.string() + ":" + std::to_string(line) + ": " + what);
  }
  void refuse(const std::string& what) {
    ++bad_;
    if (reasons_.size() < most_reasons) reasons_.push_back(what);
  }
  [[nodiscard]] std::string report() const {
    std::string text = std::to_string(bad_) + (bad_ == 1 ? " line" : " lines") +
                       " of the fleet list can't be taken; nothing of it was used";
    for (const auto& reason : reasons_) text += "\n" + reason;
    if (bad_ > reasons_.size()) text += "\nand " + std::to_string(bad_ - reasons_.size()) + " more";
    return text;
  }

  static constexpr std::size_t most_reasons = 20, most_bad = 1'000'000;
  std::filesystem::path file_;
  audit::RunningHash hash_;
  TextReader in_;
  std::uint64_t bad_ = 0;
  std::vector<std::string> reasons_;
  Events devices_;
};

}  // namespace

FleetList read_fleet_list(const std::filesystem::path& file, Events& events) {
  return Reader(file).read(events);
}

}  // namespace smets1kms::report
