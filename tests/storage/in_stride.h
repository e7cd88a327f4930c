// In stride: every operation of a fixed piece of work once, in an order that visits all of its corners first.
// Promises: 1 to `total`, each once, until the time is up; in the long run to the end.
// Leaves to others: what is done at each.
#pragma once

#include <chrono>
#include <functional>
#include <numeric>

#include "tests/storage/storage_main.h"

namespace egret::test {

// Returns how many were visited.
inline uint64_t in_stride(uint64_t total, std::chrono::seconds short_run, const std::function<void(uint64_t)>& visit) {
  uint64_t stride = total * 5 / 13 | 1;  // no factor in common with the rhythm of the work
  while (std::gcd(stride, total) != 1) stride += 2;
  const auto start = std::chrono::steady_clock::now();
  uint64_t visited = 0;
  for (; visited < total; ++visited) {
    if (!long_run && std::chrono::steady_clock::now() - start > short_run) break;
    visit(visited * stride % total + 1);
  }
  return visited;
}

}  // namespace egret::test
