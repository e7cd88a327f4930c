#include "cloud/merge/moment.h"

#include <algorithm>
#include <cstdlib>

#include "schemas/merge_rules.h"

namespace egret::cloud {
namespace {

// What a synchronised clock of a clinic may be off, and one that has lost its source for a while.
constexpr int64_t kSyncedUs = 1'000'000;
constexpr int64_t kHoldoverUs = 60'000'000;

}  // namespace

Moment correct(int64_t stated_us, const Clocks& clocks) {
  Moment out;
  if (off(Rule::corrected_time)) return {stated_us, stated_us, 0, true};
  out.stated_us = stated_us;
  const int64_t offset_us = int64_t{clocks.offset_ms.value_or(0)} * 1000;
  out.corrected_us = stated_us - offset_us;
  const bool known = clocks.state == ClockState::synced || clocks.state == ClockState::holdover;
  out.trusted = known || clocks.offset_ms.has_value();
  out.uncertainty_us = clocks.state == ClockState::synced ? kSyncedUs : kHoldoverUs + std::abs(offset_us) / 10;
  if (out.corrected_us > clocks.committed_us + out.uncertainty_us) {
    out.trusted = false;
    out.uncertainty_us = std::max(out.uncertainty_us, out.corrected_us - clocks.committed_us);
    out.corrected_us = clocks.committed_us;
  }
  return out;
}

}  // namespace egret::cloud
