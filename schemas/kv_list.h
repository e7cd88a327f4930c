// KvList: RocksDB's list of files (MANIFEST) before it is read: may it have lost its end to a power
// cut? Promises: only what can have been written under one sync is cut off, and only where sectors
// of it are zeros. RocksDB (7.8) syncs an edit of the list before it deletes what the edit
// replaces, and syncs tables before an edit names them: without its unsynced edits the list names a
// store that is whole, logs and older tables, and newer tables are leftovers. Without synced ones
// it may lack logs that only they have made needless. So a flipped bit is left to be refused, and
// so are zeros that too many edits follow. Leaves to others: a list that merely ends early (RocksDB
// forgives that), all other damage (RocksDB refuses it), and a sector that the disk lost among the
// last synced edits, which looks the same: edge/unnamed and the region's ledger find what went.
#pragma once

#include <filesystem>

#include "schemas/error.h"
#include "schemas/types.h"

namespace rocksdb {
class Env;
}

namespace egret {

// Where a list that was torn by a power cut has to end; list.size() when it was not.
size_t list_until_torn(ByteView list);
// Looks, and cuts. Errors: disk_full, store_failed (it cannot be written).
Result<void> cut_torn_list(rocksdb::Env& env, const std::filesystem::path& dir);

}  // namespace egret
