// SPDX-License-Identifier: Apache-2.0
// Where there is no libFuzzer: random changes of the corpus, for so many seconds, under the
// sanitizers that this was built with. usage: fuzz_mutate TARGET CORPUS SECONDS SEED
// SEED is a number, or "random".
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "fuzz/targets.hpp"

namespace {

std::string changed(std::string text, const std::vector<std::string>& corpus,
                    std::mt19937& random) {
  const auto below = [&](std::size_t limit) { return limit == 0 ? 0 : random() % limit; };
  for (std::size_t times = 1 + below(4); times > 0; --times) {
    const auto at = below(text.size()), length = below(64);
    switch (below(6)) {
      case 0:
        if (!text.empty()) text[at] = static_cast<char>(random());
        break;
      case 1:
        if (!text.empty()) text[at] = static_cast<char>(text[at] ^ (1U << below(8)));
        break;
      case 2: text.erase(at, length); break;
      case 3: text.insert(at, text.substr(below(text.size()), length)); break;
      case 4: {
        const auto& other = corpus[below(corpus.size())];
        text.replace(at, length, other.substr(below(other.size()), length));
        break;
      }
      default: text.insert(at, std::to_string(random())); break;
    }
  }
  return text;
}

}  // namespace

int main(int count, char** arguments) {
  const std::map<std::string, void (*)(std::string_view)> targets{{"record", fuzz::record},
                                                                  {"note", fuzz::note},
                                                                  {"bundle", fuzz::bundle},
                                                                  {"exported", fuzz::exported}};
  if (count != 5 || !targets.contains(arguments[1])) {
    std::fprintf(stderr, "usage: fuzz_mutate record|note|bundle|exported CORPUS SECONDS SEED|random\n");
    return 2;
  }
  std::vector<std::string> corpus;
  for (const auto& file : std::filesystem::directory_iterator(arguments[2])) {
    std::ifstream in(file.path(), std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  if (corpus.empty()) return 2;
  const auto target = targets.at(arguments[1]);
  for (const auto& each : corpus) target(each);
  const std::string wanted = arguments[4];
  const auto seed =
      wanted == "random" ? std::random_device()() : static_cast<unsigned>(std::stoul(wanted));
  std::printf("seed %u\n", seed);
  std::fflush(stdout);
  std::mt19937 random(seed);
  std::size_t runs = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(arguments[3]));
  for (; std::chrono::steady_clock::now() < end; ++runs)
    target(changed(corpus[random() % corpus.size()], corpus, random));
  std::printf("%zu runs\n", runs);
  return 0;
}
