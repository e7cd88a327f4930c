// StatusFacts of a site on a good day.
// Promises: linked for 2 h 5 min, nothing waits, nothing to do. Leaves to others: the trouble that a test adds.
#pragma once

#include "agent/status.h"

namespace egret::agent {

inline StatusFacts well() {
  StatusFacts f;
  f.facility = "clinic-1";
  f.store_state = "open";
  f.now_ms = 1'800'000'000'000;
  f.since_ms = f.now_ms - 7'500'000;
  f.session.state = edge::State::active;
  f.disk_budget_bytes = uint64_t{4} << 30;
  f.disk_free_bytes = uint64_t{1} << 40;
  return f;
}

}  // namespace egret::agent
