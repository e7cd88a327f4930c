// WaitingFindings: critical findings that are open and that nobody has acknowledged, for the metrics.
// Promises: a look costs what is new in the log of alerts, not what is in the store; others may write to it meanwhile.
// Leaves to others: what an alert is (alerts.h), when to look (store_thread).
#pragma once

#include <map>

#include "cloud/alerts.h"

namespace egret::cloud {

struct FindingFigures {
  uint64_t waiting = 0;
  uint64_t overdue = 0;  // of those, past the time in which they should have been acknowledged
  WallTime oldest;       // when the oldest of them was opened; us 0: none waits
};

// Of one store, as long as it is open.
class WaitingFindings {
 public:
  // Errors: corrupt, store_failed.
  Result<FindingFigures> look(const Kv& kv, WallTime now);

 private:
  Result<void> begin(const Kv& kv);
  Result<void> catch_up(const Kv& kv);
  struct Waits {
    WallTime opened;
    uint32_t deadline_s = 0;
  };
  bool begun_ = false;
  uint64_t last_ = 0;  // event
  std::map<ResultName, Waits> waiting_;
};

}  // namespace egret::cloud
