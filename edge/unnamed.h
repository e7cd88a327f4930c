// Unnamed: do tables that the list of files does not name hold anything that the store lacks?
// Promises: no for what a crash leaves behind (halves of a compaction, a flush whose log is still there); yes when the list
// has lost its end, and with it numbers, borders or blocks that were synced.
// Leaves to others: keeping the tables meanwhile (schemas/kv_unnamed), setting the store aside (agent/store).
#pragma once

#include "schemas/kv.h"
#include "schemas/types.h"

namespace egret::edge {

// Errors: corrupt (something is missed, or rows cannot be read). To be asked before the Buffer is opened.
Result<void> nothing_missed(const Kv& kv, const Facility& fac);

}  // namespace egret::edge
