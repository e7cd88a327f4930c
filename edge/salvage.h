// Salvage: what can still be read of a store that was set aside goes into the one that took over (es1 5.7).
// Promises: each block that can be read whole is appended again, in order, in its lane; nothing is invented; the
// damaged store is only read. Running it twice is harmless: the cloud knows every statement by its natural key.
// Leaves to others: setting the store aside (agent/store), when (daemon).
#pragma once

#include "edge/buffer.h"
#include "schemas/kv_rocksdb.h"

namespace egret::edge {

struct Salvaged {
  uint64_t records = 0;
  uint64_t blocks = 0;
  uint64_t unreadable = 0;  // blocks that a border names and that could not be read
};
// `damaged`: where the old store lies; opened read-mostly. Errors: corrupt, store_failed (nothing can be opened).
Result<Salvaged> salvage(KvOptions damaged, const Facility& fac, Buffer& into);

}  // namespace egret::edge
