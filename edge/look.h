// Look: the buffer of a site, opened to be read: beside the agent that writes it, or without one.
// Promises: nothing is written, not even what an opening usually settles.
// Leaves to others: opening the files (kv_rocksdb, read_only), what is read (Reader).
#pragma once

#include "edge/buffer.h"

namespace egret::edge {

// Errors: not_found (no store there), newer_format, config (the store of another facility), corrupt, store_failed.
Result<std::unique_ptr<Buffer>> look(Kv& kv, const Facility& fac, Entropy& entropy);

}  // namespace egret::edge
