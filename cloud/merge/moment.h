// Moment: when something really happened, judged from the clocks that came with it.
// Promises: what was written stays beside it; a clock that cannot be trusted is said to be so. No precedence reads it.
// Leaves to others: showing it.
#pragma once

#include <cstdint>
#include <optional>

namespace egret::cloud {

inline constexpr int64_t kDayUs = 86'400'000'000;

enum class ClockState : uint8_t { unstated = 0, synced = 1, holdover = 2, unsynced = 3 };

struct Clocks {
  int64_t wall_us = 0;  // of the agent, when the record came in there
  ClockState state = ClockState::unstated;
  std::optional<int32_t> offset_ms;  // of that clock, positive: ahead
  int64_t committed_us = 0;          // of the region, when the record was committed
};

struct Moment {
  int64_t stated_us = 0;       // as it was written
  int64_t corrected_us = 0;    // as far as it can be known
  int64_t uncertainty_us = 0;  // half width of what is possible
  bool trusted = false;
};

// `stated_us` was read from a clock of the same site. A result cannot have been stated after the region had it: what is
// ahead of that is taken back to it.
Moment correct(int64_t stated_us, const Clocks& clocks);

}  // namespace egret::cloud
