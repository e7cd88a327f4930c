// Feed: the order in which blocks were committed, as a number for each.
// Promises: a number is given once and never changes; whoever has read up to one finds everything later behind it.
// Leaves to others: a store with one writer, whose transactions number their blocks themselves (txn_kv).
#pragma once

#include "cloud/shared_kv.h"

namespace egret::cloud {

// Gives numbers to at most `limit` blocks that have none. How many got one. Any process may do so; of two at once one is
// refused. Errors: conflict, store_failed.
Result<size_t> number_arrived(SharedKv& kv, size_t limit);
// The last number given; 0: none yet.
Result<uint64_t> newest_number(const Kv& kv);

}  // namespace egret::cloud
