// Remap: what this program makes of records that an older one refused, shown before it is committed: which are taken now, which
// are still refused and why, and what becomes of the results that they speak of.
// Promises: looking changes nothing; what is committed is what was shown, or nothing; numbers and names, no value and no
// patient. Leaves to others: reading and writing them (quarantine.h), what is said of results (merge/).
#pragma once

#include "cloud/quarantine.h"
#include "cloud/view_tables.h"

namespace egret::cloud {

struct Remapped {
  struct Record {
    Facility fac;
    Reread read;
  };
  struct Change {
    ResultName name;
    std::optional<ResultView> before;  // nullopt: nothing was ever said of it
    ResultView after;
  };
  std::vector<Record> records;
  std::vector<Change> results;          // that would be another than they are
  bool more = false;                    // of one facility more than kRetriesAtOnce: once more after this
  Hash digest{};                        // over what would be written
  uint64_t count(Reread::Becomes becomes) const;
};

// Of one facility, or of all when `fac` is empty; of records whose id begins with `id`. The views must have followed: what
// they do not know of is not in `before`. Errors: corrupt, store_failed.
Result<Remapped> remap(const Kv& kv, const std::vector<Facility>& facs, const std::string& id);

std::string to_json(const Remapped& seen);
// Lines as of a diff: "- refused (…)", "+ applied".
std::string to_text(const Remapped& seen);

}  // namespace egret::cloud
