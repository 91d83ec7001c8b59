// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <bitset>

#include "attacker.hpp"

/// What no template stops: said in SECURITY.md, shown here.
namespace attack {
namespace {

constexpr std::size_t unknowns = 128;
using Equation = std::bitset<unknowns + 1>;  ///< coefficients, and the right-hand side last

constexpr std::size_t guessed_at_most =
    12;  ///< bits that the messages leave open: each guess is a candidate

/// Gauss-Jordan over GF(2): every solution, where few bits are left open.
std::vector<Bytes> solve(std::vector<Equation> equations) {
  std::vector<std::size_t> bound,
      open;  // columns with a pivot, in the order of their rows; and the others
  for (std::size_t column = 0; column < unknowns; ++column) {
    const std::size_t rank = bound.size();
    std::size_t pivot = rank;
    while (pivot < equations.size() && !equations[pivot][column]) ++pivot;
    if (pivot == equations.size()) {
      open.push_back(column);
      continue;
    }
    std::swap(equations[rank], equations[pivot]);
    for (std::size_t i = 0; i < equations.size(); ++i)
      if (i != rank && equations[i][column]) equations[i] ^= equations[rank];
    bound.push_back(column);
  }
  std::vector<Bytes> solutions;
  if (open.size() > guessed_at_most) return solutions;
  for (std::size_t guess = 0; guess < std::size_t{1} << open.size(); ++guess) {
    Bytes solution(unknowns / 8);
    const auto set = [&](std::size_t i) {
      solution[i / 8] = static_cast<std::uint8_t>(solution[i / 8] | (0x80 >> i % 8));
    };
    for (std::size_t row = 0; row < bound.size(); ++row) {
      bool value = equations[row][unknowns];
      for (std::size_t i = 0; i < open.size(); ++i)
        value ^= equations[row][open[i]] && (guess >> i & 1) != 0;
      if (value) set(bound[row]);
    }
    for (std::size_t i = 0; i < open.size(); ++i)
      if ((guess >> i & 1) != 0) set(open[i]);
    solutions.push_back(std::move(solution));
  }
  return solutions;
}

bool bit(const Bytes& bytes, std::size_t i) { return (bytes[i / 8] >> (7 - i % 8) & 1) != 0; }

/// GHASH is linear: each bit of the GAK in the additional data adds its own constant to the tag.
/// The token, asked to encrypt the overheard message anew with one bit after another, says which; a
/// few tags are then linear equations for the whole GAK. It takes the use of the GUEK, which the
/// service has to have.
void gak_from_guek(Attacker& a) {
  std::map<std::size_t, std::vector<Equation>> systems;
  for (const auto& message : a.target.overheard) {
    const auto guek = a.target.keys[message.key].handle;
    const auto done = a.attempt([&] {
      const Bytes stream = a.s().encrypt(Mechanism::aes_gcm(message.iv, {}), guek,
                                         Bytes(message.cipher_text.size()));
      const Bytes plain = exclusive_or(message.cipher_text, stream);
      const auto tag_with = [&](const Bytes& gak) {
        Bytes additional_data{Overheard::security_control};
        additional_data.insert(additional_data.end(), gak.begin(), gak.end());
        const Bytes sealed =
            a.s().encrypt(Mechanism::aes_gcm(message.iv, additional_data), guek, plain);
        return Bytes(sealed.end() - 16, sealed.end());
      };
      const Bytes zero = tag_with(Bytes(16));
      std::array<Equation, 8 * Overheard::tag_length> equations;
      for (std::size_t i = 0; i < unknowns; ++i) {
        Bytes one_bit(16);
        one_bit[i / 8] = static_cast<std::uint8_t>(0x80 >> i % 8);
        const Bytes change = exclusive_or(tag_with(one_bit), zero);
        for (std::size_t j = 0; j < equations.size(); ++j) equations[j][i] = bit(change, j);
      }
      for (std::size_t j = 0; j < equations.size(); ++j) {
        equations[j][unknowns] = bit(message.tag, j) != bit(zero, j);
        systems[message.key].push_back(equations[j]);
      }
    });
    if (!done) return;
  }
  for (const auto& [key, equations] : systems)
    for (auto& gak : solve(equations)) a.loot.keys.push_back(std::move(gak));
}

}  // namespace

std::vector<Attack> remaining_attacks() {
  const char* const linear =
      "a GAK can't be kept from whoever may use the GUEK: GHASH is linear, and the GAK its "
      "additional data";
  return {{"GAK from the use of the GUEK and three overheard messages", "linearity of GHASH",
           gak_from_guek, nullptr, linear, linear}};
}

}  // namespace attack
