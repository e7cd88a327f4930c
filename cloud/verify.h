// Verify: proves the store from its own bytes: every chain from leaves and data, every disposition, the digest.
// Promises: reads only; names the exact place of what is wrong and goes on; what was deleted on purpose still verifies.
// Leaves to others: mending (restore, or the edges that still hold the data).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cloud/tables.h"

namespace egret::cloud {

struct Finding {
  Facility fac;
  StreamKey key;
  Seq first, last;   // 0: the row as a whole
  std::string what;  // for a person
};
struct Verdict {
  uint64_t facilities = 0, rows = 0, blocks = 0, records = 0, gap_records = 0, quarantined = 0;
  std::vector<Finding> findings;  // at most kFindingsKept; `wrong` counts all
  uint64_t wrong = 0;
  Hash digest{};                  // tables.h: over the natural keys of what is applied
  uint64_t digest_records = 0;
};
// `progress` hears done and all, in rows of the ledger, now and then.
using VerifyProgress = std::function<void(uint64_t done, uint64_t all)>;
// Of a store that others write (SharedKv) all reads should see one state: AtOnce around it.
// Errors: only when not even the tables can be walked; damage in a file is a finding where it can be placed.
Result<Verdict> verify(const Kv& kv, const VerifyProgress& progress);
std::string text_of(const Finding& finding);

}  // namespace egret::cloud
