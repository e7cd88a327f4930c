// KvWal: a look at RocksDB's write-ahead logs before replay: may it stop at the first damage?
// Promises: ok means that no record begins after the first damage, so that what replay drops is
// the torn end of one unsynced write. A flipped bit, a zeroed sector or a cut in the middle is
// refused, not hidden.
// Leaves to others: the replay itself (RocksDB), a log lost whole (the edge's witness, the cloud's
// claims).
#pragma once

#include <filesystem>

#include "schemas/error.h"

namespace rocksdb {
class Env;
}

namespace egret {

// Errors: corrupt (names file and byte), store_failed (a log cannot be read). Only RocksDB's format
// of logs that are neither recycled nor compressed is known here; open_rocksdb writes no other.
Result<void> torn_tail_only(rocksdb::Env& env, const std::filesystem::path& dir);

}  // namespace egret
