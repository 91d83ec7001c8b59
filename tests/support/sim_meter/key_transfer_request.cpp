// SPDX-License-Identifier: Apache-2.0
#include "sim_meter/key_transfer_request.hpp"

#include <algorithm>
#include <initializer_list>

namespace sim_meter {
namespace {

using support::ByteView;

class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  std::optional<ByteView> take(std::size_t count) {
    if (rest_.size() < count) return std::nullopt;
    const ByteView taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }

  std::optional<std::uint8_t> byte() {
    const std::optional<ByteView> taken = take(1);
    if (!taken) return std::nullopt;
    return taken->front();
  }

  bool expect(std::initializer_list<std::uint8_t> wanted) {
    const std::optional<ByteView> taken = take(wanted.size());
    return taken && std::equal(taken->begin(), taken->end(), wanted.begin());
  }

  bool at_end() const { return rest_.empty(); }

 private:
  ByteView rest_;
};

// structure of 2: enum, octet-string. Lengths are one byte: nothing here needs the A-XDR long form.
std::optional<TransferElement> parse_element(Reader& in) {
  if (!in.expect({0x02, 0x02, 0x16})) return std::nullopt;
  const std::optional<std::uint8_t> key_id = in.byte();
  if (!key_id || *key_id > 3 || !in.expect({0x09})) return std::nullopt;
  const std::optional<std::uint8_t> length = in.byte();
  if (!length || (*length != 24 && *length != 40)) return std::nullopt;
  const std::optional<ByteView> wrapped = in.take(*length);
  if (!wrapped) return std::nullopt;
  return TransferElement{*key_id, support::Bytes(wrapped->begin(), wrapped->end())};
}

}  // namespace

std::optional<KeyTransferRequest> parse_key_transfer_request(ByteView bytes) {
  Reader in(bytes);
  KeyTransferRequest request{};
  if (!in.expect({0xC3, 0x01})) return std::nullopt;
  const std::optional<std::uint8_t> invoke_id = in.byte();
  if (!invoke_id || !in.expect({0x00, 0x40})) return std::nullopt;
  request.invoke_id_and_priority = *invoke_id;
  const std::optional<ByteView> name = in.take(request.logical_name.size());
  if (!name) return std::nullopt;
  std::copy(name->begin(), name->end(), request.logical_name.begin());
  if (!in.expect({0x02, 0x01, 0x01})) return std::nullopt;  // method 2, parameter present, array
  const std::optional<std::uint8_t> count = in.byte();
  if (!count || *count > 0x7F) return std::nullopt;
  for (std::uint8_t i = 0; i < *count; ++i) {
    std::optional<TransferElement> element = parse_element(in);
    if (!element) return std::nullopt;
    request.elements.push_back(std::move(*element));
  }
  if (!in.at_end()) return std::nullopt;
  return request;
}

}  // namespace sim_meter
