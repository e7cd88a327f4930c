// EachOf: runs pieces of work that do not depend on each other, and returns when all are done.
// Promises: each of [0, n) is done exactly once. Leaves to others: on whose hands (Crew); without
// any, as in the simulator, one piece follows the other.
#pragma once

#include <cstddef>
#include <functional>

namespace egret::cloud {

using EachOf = std::function<void(size_t n, const std::function<void(size_t)>& piece)>;

inline void one_by_one(size_t n, const std::function<void(size_t)>& piece) {
  for (size_t i = 0; i < n; ++i) piece(i);
}

}  // namespace egret::cloud
