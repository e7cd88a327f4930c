// Holds: legal holds: what no retention may touch, whatever its age. Table 'h' of space 0.
// Promises: a hold counts from the moment it is written; it is never deleted: released, it says by whom, when and why.
// Leaves to others: retention (retention.h); an owner's order to erase is not stopped by a hold, but refused by the person
// who gives it.
//
//   'h' id u64    facility text (empty: all), class u8 (255: all), result: facility text, id 16 (zero: none), at i64, by text, reason text,
//                 released: at i64 (0: it counts), by text, reason text
#pragma once

#include "cloud/merge/read.h"
#include "cloud/retention_policy.h"
#include "cloud/tables.h"

namespace egret::cloud {

struct Hold {
  uint64_t id = 0;  // given by the store
  Facility fac;     // whose records; empty: everybody's
  std::optional<RetentionClass> what;  // nothing: all classes
  std::optional<ResultName> result;    // this one alone
  WallTime at;
  std::string by, reason;
  WallTime released;  // us == 0: it counts
  std::string released_by, released_reason;

  bool counts() const { return released.us == 0; }
  // Records of a class that a facility stated; of results `result` is asked as well.
  bool covers(const Facility& fac, RetentionClass what) const;
};

inline constexpr size_t kHoldsMax = 10'000;
inline constexpr size_t kHoldTextBytes = 512;

// In the order they were given. Errors: corrupt, store_failed.
Result<std::vector<Hold>> holds(const Kv& kv);
// Its id. One writer at a time. Errors: bad_input (who or why is missing or too long, too many), corrupt, store_failed.
Result<uint64_t> add_hold(Kv& kv, Hold hold);
// What was passed over on its account is looked at again. Errors: not_found, bad_input (released already), as above.
Result<void> release_hold(Kv& kv, uint64_t id, WallTime at, const std::string& by, const std::string& reason);

std::string to_json(const Hold& hold);

}  // namespace egret::cloud
