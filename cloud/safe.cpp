#include "cloud/safe.h"

#include <algorithm>

#include "schemas/limits.h"

namespace egret::cloud {

Seq safe_of(const LedgerRow& row, SafePolicy policy, int64_t age_ms, bool backup_confirmed,
            WallTime now) {
  if (policy == SafePolicy::by_default)
    policy = backup_confirmed ? SafePolicy::backup : SafePolicy::age;
  Seq safe;
  switch (policy) {
    case SafePolicy::by_default:
      break;
    case SafePolicy::backup:
      safe = row.safe;
      break;
    case SafePolicy::commit:
      safe = row.w;
      break;
    case SafePolicy::age:
      for (const LedgerRow::Mark& mark : row.marks) {
        if (now.us - mark.at.us >= age_ms * 1000) safe = std::max(safe, mark.w);
      }
      break;
  }
  return std::min(safe, row.w);
}

void mark_w(LedgerRow& row, int64_t age_ms, WallTime now) {
  // The last mark moves along with W until it is far enough from the one before it to stay.
  int64_t spacing_us = std::max<int64_t>(age_ms * 1000 / static_cast<int64_t>(kMarksPerRow - 2), 1);
  size_t n = row.marks.size();
  bool last_stays = n < 2 || now.us < row.marks[n - 2].at.us ||
                    row.marks[n - 1].at.us - row.marks[n - 2].at.us >= spacing_us;
  if (n > 0 && !last_stays) {
    row.marks.back() = {now, row.w};
  } else {
    row.marks.push_back({now, row.w});
  }
  if (row.marks.size() > kMarksPerRow) row.marks.erase(row.marks.begin());
}

}  // namespace egret::cloud
