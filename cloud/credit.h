// Credit: how many batches each facility may have in flight, so that no queue on the way overflows
// (es1 section 9). Promises: what sites with a backlog may have in flight stays under half of the
// smallest queue; a site without one takes nothing from them; a lease that ended counts no more.
// Leaves to others: safety (nothing depends on credit).
#pragma once

#include <map>

#include "schemas/limits.h"
#include "schemas/types.h"

namespace egret::cloud {

struct CreditLimits {
  uint64_t broker_queue_messages = 10'000;  // max_queued_messages of the broker, per client
  uint64_t own_queue_messages = 4'096;
};

struct Grant {
  uint32_t credit = 0;  // beyond stream 0's own batch
  bool retry = false;   // come back later: not even one batch is left to give
  int64_t retry_after_ms = 0;
};

class Credit {
 public:
  explicit Credit(CreditLimits limits) : limits_(limits) {}
  Grant grant(const Facility& fac, bool has_backlog, int64_t lease_ms, MonoTime now,
              Entropy& entropy);
  // What `fac` holds now, beyond stream 0's own batch; 0 without a lease.
  uint32_t current(const Facility& fac) const;
  // Batches that may be in flight now, of all facilities with a backlog.
  uint64_t granted() const { return total_; }

 private:
  struct Lease {
    uint32_t batches = 0;  // that the site may have in flight
    uint32_t counted = 0;  // of the room
    MonoTime ends;
  };
  void expire(MonoTime now);
  CreditLimits limits_;
  std::map<Facility, Lease> leases_;
  uint64_t total_ = 0;
  MonoTime next_sweep_;
};

}  // namespace egret::cloud
