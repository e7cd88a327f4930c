#include "schemas/entropy.h"

#include <catch2/catch.hpp>
#include <set>

using namespace egret;

TEST_CASE("the operating system's chance does not repeat and fills odd lengths whole") {
  OsEntropy entropy;
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(entropy.next());
  CHECK(seen.size() == 1000);

  // Each of 13 bytes takes many values; a byte left unfilled would show one.
  std::array<std::set<uint8_t>, 13> values;
  for (int i = 0; i < 200; ++i) {
    std::array<uint8_t, 13> bytes{};
    entropy.fill(bytes.data(), bytes.size());
    for (size_t k = 0; k < bytes.size(); ++k) values[k].insert(bytes[k]);
  }
  for (const auto& v : values) CHECK(v.size() > 50);
}
