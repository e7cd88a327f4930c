// LogLimit: how often one event may be written: kLogBurst at once, then kLogPerS a second.
// Promises: what is left out is counted, and the count is told once.
// Leaves to others: the clock, what is written (log.h).
#pragma once

#include <algorithm>
#include <cstdint>

#include "schemas/types.h"

namespace egret {

inline constexpr int64_t kLogBurst = 50;
inline constexpr int64_t kLogPerS = 5;

class LogLimit {
 public:
  // False: left out.
  bool take(MonoTime now) {
    refill(now);
    if (budget_ms_ < kCostMs) return left_out_++, false;
    budget_ms_ -= kCostMs;
    return true;
  }
  // Quiet again: what was left out may be told of now.
  bool quiet(MonoTime now) {
    refill(now);
    return budget_ms_ >= kFullMs / 2;
  }
  uint64_t left_out() const { return left_out_; }
  uint64_t tell_left_out() {
    const uint64_t n = left_out_;
    left_out_ = 0;
    return n;
  }

 private:
  static constexpr int64_t kCostMs = 1'000 / kLogPerS, kFullMs = kLogBurst * kCostMs;
  void refill(MonoTime now) {
    budget_ms_ = std::min(kFullMs, budget_ms_ + std::clamp<int64_t>(now - at_, 0, kFullMs));
    at_ = now;
  }
  int64_t budget_ms_ = kFullMs;
  MonoTime at_;
  uint64_t left_out_ = 0;
};

}  // namespace egret
