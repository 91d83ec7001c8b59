// SPDX-License-Identifier: Apache-2.0
#include "dlms/action_response.hpp"

#include <algorithm>

#include "smets1kms/errors.hpp"

namespace smets1kms::dlms {
namespace {

using namespace std::string_view_literals;

// APDU tags (DLMS UA Green Book, COSEM APDUs).
constexpr std::uint8_t action_response = 0xC7, exception_response = 0xD8, service_error = 0x0E;
constexpr std::uint8_t normal_response = 1, invocation_counter_error = 6;

/// A reply that is no ACTION response, known by its first bytes: what it is, and what to do with
/// it.
struct OtherApdu {
  std::string_view begins, what, remedy;
};
constexpr auto decipher = "decipher it first", unframe = "give the APDU inside it",
               not_it = "give the meter's answer to the ACTION request",
               assemble = "assemble the blocks, and give the APDU that they carry";
constexpr OtherApdu others[] = {
    {"\xCF"sv, "ciphered reply", decipher},                  // glo-action-response
    {"\xD7"sv, "ciphered reply", decipher},                  // ded-action-response
    {"\xDB"sv, "ciphered reply", decipher},                  // general-glo-ciphering
    {"\xDC"sv, "ciphered reply", decipher},                  // general-ded-ciphering
    {"\xDD"sv, "ciphered reply", decipher},                  // general-ciphering
    {"\xDF"sv, "signed reply", "verify and open it first"},  // general-signing
    {"\xCC"sv, "ciphered GET response", decipher},
    {"\xCD"sv, "ciphered SET response", decipher},
    {"\xCB"sv, "ciphered ACTION request", not_it},
    {"\xE0"sv, "block of a general block transfer", assemble},
    {"\x00\x01"sv, "wrapper frame", unframe},
    {"\xE6\xE7\x00"sv, "frame with an LLC header", unframe},
    {"\xE6\xE6\x00"sv, "frame with an LLC header", unframe},
    {"\x7E"sv, "HDLC frame", unframe},
    {"\xC0"sv, "GET request", not_it},
    {"\xC1"sv, "SET request", not_it},
    {"\xC3"sv, "ACTION request", not_it},
    {"\xC4"sv, "GET response", not_it},
    {"\xC5"sv, "SET response", not_it},
    {"\xC7\x02"sv, "block of an ACTION response", assemble},
    {"\xC7\x04"sv, "block of an ACTION response", assemble},
    {"\xC7\x03"sv, "ACTION response with a list, which has a result for each key",
     "record each key's transfer by its own result"},
};

/// Number of bytes behind the tags of COSEM data (Blue Book, Data), or the unit that a length
/// behind them counts.
constexpr int counts_bytes = -1, counts_bits = -2, counts_elements = -3;
constexpr std::pair<int, std::string_view> data_types[] = {
    {0, "\x00\xFF"sv},                 // null-data, don't-care
    {1, "\x03\x0D\x0F\x11\x16"sv},     // boolean, bcd, integer, unsigned, enum
    {2, "\x10\x12"sv},                 // long, long-unsigned
    {4, "\x05\x06\x17\x1B"sv},         // double-long, double-long-unsigned, float32, time
    {5, "\x1A"sv},                     // date
    {8, "\x14\x15\x18"sv},             // long64, long64-unsigned, float64
    {12, "\x19"sv},                    // date-time
    {counts_bytes, "\x09\x0A\x0C"sv},  // octet-string, visible-string, utf8-string
    {counts_bits, "\x04"sv},           // bit-string
    {counts_elements, "\x01\x02"sv},   // array, structure
};

[[noreturn]] void refuse(const std::string& what) {
  throw BadInput("the reply is no ACTION response: " + what + "; nothing was changed");
}

std::string hex(std::string_view bytes) {
  return to_hex({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }
  void skip(std::size_t count) {
    if (count > left())
      refuse("it is cut off behind its " + std::to_string(bytes_.size()) + " bytes");
    at_ += count;
  }
  std::uint8_t take() {
    skip(1);
    return bytes_[at_ - 1];
  }
  /// Reads a length in A-XDR: one byte below 80, or 8N and N bytes.
  std::size_t length() {
    const std::size_t first = take();
    if (first < 0x80) return first;
    if (first > 0x84) refuse("its data has a length of " + std::to_string(first - 0x80) + " bytes");
    std::size_t value = 0;
    for (auto more = first - 0x80; more > 0; --more) value = value << 8 | take();
    return value;
  }
  void skip_data() {
    for (std::size_t pending = 1; pending > 0; --pending) {
      const auto tag = take();
      const auto* type = std::ranges::find_if(data_types, [&](const auto& each) {
        return each.second.find(static_cast<char>(tag)) != std::string_view::npos;
      });
      if (type == std::end(data_types))
        refuse("its return parameters have a type that is not known, " + to_hex({&tag, 1}));
      const auto size = type->first;
      const std::size_t count = size < 0 ? length() : static_cast<std::size_t>(size);
      if (size == counts_elements)
        pending += count;
      else
        skip(size == counts_bits ? (count + 7) / 8 : count);
    }
  }

 private:
  ByteView bytes_;
  std::size_t at_ = 0;
};

/// Reads what follows the tag of an ACTION-Response-Normal.
bool read_response(Reader& in, std::optional<std::uint8_t> invoke) {
  if (in.take() != normal_response) refuse("it is of no kind that there is");
  if (const auto came = in.take(); invoke && came != *invoke)
    refuse("its invoke byte is " + to_hex({&came, 1}) + ", the request had " +
           to_hex({&*invoke, 1}) + ": it answers another request");
  const bool success = in.take() == 0;
  if (!success && in.left() == 0) return false;  // some stacks end a refusal here
  const auto returns = in.take();
  if (returns == 0) return success;
  const auto choice = returns == 1 ? in.take() : returns;
  if (choice > 1) refuse("its return parameters are not readable");
  if (choice == 0)
    in.skip_data();
  else
    in.skip(1);  // data-access-result
  return success && choice == 0;
}

}  // namespace

bool reports_success(ByteView reply, std::optional<std::uint8_t> invoke) {
  const std::string_view text(reinterpret_cast<const char*>(reply.data()), reply.size());
  if (reply.empty()) refuse("it is empty; where no answer came, say so");
  for (const auto& [begins, what, remedy] : others)
    if (text.starts_with(begins))
      refuse(std::string(what) + (begins.size() == 1 ? ", tag " : ", which begins with ") +
             hex(begins) + ": " + std::string(remedy));
  Reader in(reply);
  bool success = false;
  switch (const auto tag = in.take()) {
    case action_response: success = read_response(in, invoke); break;
    case exception_response:
      in.skip(1);
      if (in.take() == invocation_counter_error) in.skip(4);
      break;
    case service_error: in.skip(3); break;
    default: refuse("an APDU or a frame that is not known, tag " + to_hex({&tag, 1}));
  }
  if (in.left() != 0)
    refuse(std::to_string(in.left()) + " bytes follow its end: give one reply at a time");
  return success;
}

}  // namespace smets1kms::dlms
