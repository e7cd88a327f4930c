// Timers: the session's waits as small values: reconnect backoff, HELLO spacing, retransmission.
// Promises: no clock and no chance inside; `now` and jitter come in.
// Leaves to others: when to ask them (session).
#pragma once

#include <algorithm>

#include "schemas/limits.h"
#include "schemas/types.h"

namespace egret::edge {

// Reconnect: first uniform in [0, herd window), then with full jitter below a ceiling that doubles
// to `max_ms` and is never below the herd window: what is too many for the broker at the first try
// is too many at the second. Reset only by a stable link.
class Backoff {
 public:
  explicit Backoff(int64_t max_ms = kBackoffMaxMs) : max_ms_(max_ms) {}
  // The wait before the next attempt, in milliseconds.
  int64_t next(Entropy& entropy, int64_t herd_window_ms) {
    int64_t ceiling = std::max(herd_window_ms, kBackoffFirstMs << std::min(attempts_, 9));
    if (attempts_ > 0) ceiling = std::min(max_ms_, ceiling);
    attempts_ = std::min(attempts_ + 1, 16);
    return static_cast<int64_t>(entropy.below(static_cast<uint64_t>(ceiling)));
  }
  // The link was up for `up_ms`.
  void link_was_up(int64_t up_ms) {
    if (up_ms >= kBackoffStableMs) attempts_ = 0;
  }

 private:
  int64_t max_ms_;
  int attempts_ = 0;
};

// Doubling wait with jitter U(1, 1.25) between a floor and a ceiling: HELLO repeats and
// retransmissions.
class Doubling {
 public:
  Doubling(int64_t floor_ms, int64_t ceiling_ms)
      : floor_(floor_ms), ceiling_(ceiling_ms), wait_(floor_ms) {}
  void reset(int64_t floor_ms) { wait_ = floor_ = std::clamp<int64_t>(floor_ms, 1, ceiling_); }
  int64_t next(Entropy& entropy) {
    int64_t jittered =
        wait_ + static_cast<int64_t>(entropy.below(static_cast<uint64_t>(wait_ / 4 + 1)));
    wait_ = std::min(wait_ * 2, ceiling_);
    return jittered;
  }

 private:
  int64_t floor_, ceiling_, wait_;
};

// Smoothed time from PUBACK to ACK, and the retransmission timeout made of it.
class AckTime {
 public:
  void measured(int64_t ms) { smoothed_ = smoothed_ < 0 ? ms : smoothed_ + (ms - smoothed_) / 8; }
  int64_t rto_ms() const {
    return std::clamp(4 * std::max<int64_t>(smoothed_, 0), kRtoMinMs, kRtoMaxMs);
  }

 private:
  int64_t smoothed_ = -1;
};

// Bytes per second from sent frames: size over the time to PUBACK, smoothed.
class LinkRate {
 public:
  void measured(size_t bytes, int64_t ms) {
    double rate =
        static_cast<double>(bytes) * 1000.0 / static_cast<double>(std::max<int64_t>(ms, 1));
    rate_ = rate_ == 0 ? rate : rate_ + (rate - rate_) / 8;
  }
  int64_t bytes_per_s() const { return static_cast<int64_t>(rate_); }

 private:
  double rate_ = 0;
};

}  // namespace egret::edge
