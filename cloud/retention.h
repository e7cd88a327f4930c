// Retention: takes the bytes of records away once they were kept for as long as they had to be.
// Promises: age counts from the region's commit, so no clock of a site and no late arrival matters; what a hold covers
// stays; of telemetry a minute and an hour of each series are kept in the same commit in which its points go; leaves and
// natural keys stay, so that `verify` holds and a late copy is a duplicate; a clock that leaps deletes nothing; it may stop
// anywhere and go on. Leaves to others: when it runs (server), copies elsewhere (backups, sites).
//
//   'k' number u64    at i64: all blocks up to this number of the feed were committed by then; one a day
//   'j' class u8      number u64: how far in the feed this class has been seen to
//   'j' 255           at i64: when it was last taken down how far the feed is, whether or not it had grown
#pragma once

#include "cloud/access.h"
#include "cloud/retention_policy.h"

namespace egret::cloud {

inline constexpr int64_t kRetentionLeapDays = 30;

struct Retained {
  std::array<uint64_t, kRetentionClasses> expired{};  // records; of results: results
  uint64_t held = 0;                                  // records that a hold keeps
  uint64_t blocks = 0;                                // looked at
  uint64_t audit = 0;                                 // entries of the audit log
  bool more = false;                                  // there are more that may be due
};
// One step of at most `blocks`. Errors: config (since it last looked the clock has gone more than kRetentionLeapDays;
// with `clock_is_right` it is believed), locked (results are due and the views are behind: try again), corrupt,
// store_failed.
Result<Retained> retain(OpenedStore& store, const RetentionPolicy& policy, WallTime now, size_t blocks, bool clock_is_right = false);

struct RetentionState {
  WallTime looked;           // when retention last took down how far the feed is; us == 0: never
  uint64_t newest = 0;       // number of the feed
  std::array<uint64_t, kRetentionClasses> done{}, due{};
};
Result<RetentionState> retention_state(const Kv& kv, const RetentionPolicy& policy, WallTime now);
// After this every class is looked through from the beginning: a hold was released.
void look_at_all_again(KvBatch& batch);

std::string to_json(const Retained& done);
std::string to_json(const RetentionState& state, const RetentionPolicy& policy);

}  // namespace egret::cloud
