#include "edge/lanes.h"

#include <algorithm>
#include <numeric>

#include "schemas/limits.h"
#include "schemas/mutants.h"

namespace egret::edge {
namespace {

constexpr size_t kCritical = static_cast<size_t>(StreamId::critical);

}  // namespace

void Lanes::slide(MonoTime now) {
  int64_t half = kLaneWindowMs / 2;
  if (now - half_started_ < half) return;
  bool skipped = now - half_started_ >= 2 * half;
  for (auto& w : window_) {
    w[1] = skipped ? 0 : w[0];
    w[0] = 0;
  }
  half_started_ = now;
}

std::optional<StreamId> Lanes::pick(const std::array<bool, kStreamCount>& may_send,
                                    const std::array<bool, kStreamCount>& waits, MonoTime now) {
  slide(now);
  std::array<uint64_t, kStreamCount> recent{};
  std::ranges::transform(window_, recent.begin(), [](const auto& w) { return w[0] + w[1]; });
  uint64_t all = std::accumulate(recent.begin(), recent.end(), uint64_t{0});
  bool others = waits[1] || waits[2] || waits[3];
  bool critical_over =
      all > 0 && others && recent[kCritical] * 100 > all * kCriticalSharePercentMax;
  if (may_send[kCritical] && !critical_over) return StreamId::critical;

  if (mutant(Mutant::telemetry_starves)) {
    for (size_t i = 0; i < kStreamCount; i++) {
      if (may_send[i]) return static_cast<StreamId>(i);
    }
    return std::nullopt;
  }
  // A lane under its floor goes before the weights are looked at.
  for (size_t i = kStreamCount - 1; i > 0; i--) {
    if (may_send[i] && all > 0 && recent[i] * 100 < all * kLaneSharePercentMin)
      return static_cast<StreamId>(i);
  }
  std::optional<size_t> best;
  for (size_t i = 1; i < kStreamCount; i++) {
    if (may_send[i] && (!best || deficit_[i] > deficit_[*best])) best = i;
  }
  if (best) {
    if (deficit_[*best] <= 0) {
      // All that may send have used their turn up: a new round. What a lane saves up is bounded by
      // one turn.
      for (size_t i = 1; i < kStreamCount; i++) {
        int64_t turn = static_cast<int64_t>(kLaneWeight[i]) * kLaneQuantumBytes;
        deficit_[i] = waits[i] ? std::min(deficit_[i] + turn, turn) : 0;
      }
    }
    return static_cast<StreamId>(*best);
  }
  if (may_send[kCritical])
    return StreamId::critical;  // the others wait for credit: nobody is starved
  return std::nullopt;
}

void Lanes::sent(StreamId lane, size_t bytes, MonoTime now) {
  slide(now);
  size_t i = static_cast<size_t>(lane);
  window_[i][0] += bytes;
  if (i != kCritical) deficit_[i] -= static_cast<int64_t>(bytes);
}

}  // namespace egret::edge
