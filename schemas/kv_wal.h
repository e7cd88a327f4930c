// KvWal: RocksDB's write-ahead logs before replay: may it stop at the first damage?
// Promises: ok means that no record begins after the first damage, and that the torn end (of one unsynced write) is gone
// from the disk for good. A flipped bit, a zeroed sector or a cut in the middle is refused, not hidden.
// For salvage, each record that is whole is kept, wherever it stands.
// Leaves to others: the replay itself (RocksDB), a log lost whole (the edge's witness, the cloud's claims).
#pragma once

#include <filesystem>
#include <vector>

#include "schemas/error.h"
#include "schemas/types.h"

namespace rocksdb {
class Env;
}

namespace egret {

// Looks, and cuts torn ends off. A log that stayed torn would be taken for damage later: once its writes are in tables
// RocksDB deletes it, the deletion is synced by nobody, and after the next power cut it stands before newer logs.
// Errors: corrupt (names file and byte), store_failed (a log cannot be read or written), disk_full. Only RocksDB's format
// of logs that are neither recycled nor compressed is known here; open_rocksdb writes no other.
Result<void> cut_torn_tail(rocksdb::Env& env, const std::filesystem::path& dir);

// A write batch of RocksDB's, and the bytes of the log that it takes up, headers included.
struct LogRecord {
  size_t begin = 0, end = 0;
  Bytes bytes;
};
// Those that are whole, in order, also between and behind damaged ones.
std::vector<LogRecord> whole_records(ByteView log);
// Rewrites each damaged log so that it holds its whole records and nothing else: RocksDB itself gives up what follows
// damage within 32 KiB. For a store that was set aside. Errors: store_failed, disk_full.
Result<void> keep_whole_records(rocksdb::Env& env, const std::filesystem::path& dir);

}  // namespace egret
