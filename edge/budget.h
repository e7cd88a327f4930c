// Budget: what to do about the disk, as a pure decision (es1 5.6, schemas/es1.md section 7).
// Promises: the order of es1: confirmed telemetry, confirmed results, unconfirmed telemetry, 429, 507; room for
// stream 0 and re-homing is kept; a refusal ends by itself when space is back.
// Leaves to others: measuring the disk, carrying it out (daemon, Buffer).
#pragma once

#include <cstdint>

#include "schemas/types.h"

namespace egret::edge {

struct DiskState {
  uint64_t used_bytes = 0;    // of the store, everything counted
  uint64_t budget_bytes = 0;  // configuration
  uint64_t free_bytes = 0;    // of the file system
  uint64_t owed_bytes = 0;    // of those, what the ballast will take back
};

struct BudgetDecision {
  bool purge_exposed_telemetry = false;  // what is confirmed but above S
  bool purge_exposed_results = false;
  uint64_t shed_bytes = 0;               // unconfirmed telemetry to drop now
  bool refuse_telemetry = false;         // 429
  bool refuse_results = false;           // 507
  bool refuse_critical = false;          // 507: even the reserve is used up
  bool release_ballast = false;          // the file system is full: make deleting possible
};

class Budget {
 public:
  BudgetDecision decide(const DiskState& disk);
  // Of the budget, in thousandths.
  static uint32_t used_permille(const DiskState& disk);
  // Days until the budget is full at the growth of about the last hour; negative: it is not growing. What comes at once and
  // goes again is no growth, and after a start an hour is needed to see all of it.
  double days_left(const DiskState& disk, MonoTime now);

 private:
  bool refusing_telemetry_ = false;
  bool refusing_results_ = false;
  uint64_t sampled_bytes_ = 0;
  MonoTime sampled_at_;
  double growth_per_ms_ = 0;
};

}  // namespace egret::edge
