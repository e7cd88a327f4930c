// VerifyViews: are the views what the records say, as if they were made anew?
// Promises: reads only, and keeps nothing of a result in memory: what blocks and rows hold is added up and compared, as
// sums of 256-bit hashes. Leaves to others: making them anew (`egret-cloud views --rebuild`), damage in blocks (verify).
#pragma once

#include <string>
#include <vector>

#include "cloud/view_tables.h"

namespace egret::cloud {

struct ViewsVerdict {
  // Blocks that the views have not seen; then nothing is compared. nullopt: they are being made anew.
  std::optional<uint64_t> behind;
  uint64_t results = 0, statements = 0;
  std::vector<std::string> wrong;  // for a person
  bool compared() const { return behind && *behind == 0; }
};
// Errors: corrupt (a view cannot be read), store_failed.
Result<ViewsVerdict> verify_views(const Kv& kv);
// What the views say, whatever the store and the order in which it came: equal on equal records, places and the names of
// patients left out. Errors: as above.
Result<Hash> views_digest(const Kv& kv);

}  // namespace egret::cloud
