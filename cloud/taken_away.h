// TakenAway: how often something was taken away from those who may read it: erased, or restricted.
// Promises: the number rises in the very write that takes away, whichever process does it; so a copy that was made at another
// number may hold what is not to be had any more. Leaves to others: what becomes of copies (fhir/exports).
#pragma once

#include "cloud/tables.h"

namespace egret::cloud {

inline uint64_t times_in(const std::optional<Bytes>& row) { return row && row->size() == sizeof(uint64_t) ? get_u64(*row, 0) : 0; }
// The row after once more.
inline Bytes once_more(const std::optional<Bytes>& row) {
  Bytes out;
  put_u64(out, times_in(row) + 1);
  return out;
}
// Errors: store_failed.
inline Result<uint64_t> times_taken_away(const Kv& kv) {
  const auto row = kv.get(kMetaSpace, taken_away_key());
  if (!row) return row.error();
  return times_in(*row);
}

}  // namespace egret::cloud
