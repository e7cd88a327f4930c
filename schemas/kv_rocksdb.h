// Kv on RocksDB: one column family a space, one lock a directory.
// Promises: write(sync) returns after fdatasync of the log; checksums are verified on every read;
// a space's files are dropped whole behind a reclaimed range; memory stays within the budget
// given.
// Leaves to others: threads (reclaim from one; write, get, scan and disk_bytes from any).
#pragma once

#include <filesystem>
#include <functional>

#include "schemas/kv.h"
#include "schemas/limits.h"

namespace rocksdb {
class Env;
}

namespace egret {

struct KvOptions {
  std::filesystem::path dir;
  Space spaces = 1;                 // 0 … spaces-1
  size_t memtable_bytes = 2 << 20;  // a space
  size_t memtables_total_bytes = 16 << 20;
  size_t cache_bytes = 4 << 20;
  size_t log_bytes_max = 16 << 20;  // write-ahead log before the oldest space is flushed
  size_t table_bytes = kTableBytes;  // what can be dropped whole; of larger ones there are fewer levels to look through
  int open_files = 256;              // tables that stay open: below what the process may open
  bool compress = true;             // zstd tables; off where values are compressed already,
  std::vector<Space> packed_spaces;  // or in these alone
  std::vector<Space> small_block_spaces;  // rows are read one by one, all over the space: less is read and unpacked for each
  std::vector<Space> row_spaces;  // rows that are there are asked for by their keys, and found without a look into each level
  // Spaces whose keys end in a hash and are looked up one by one, mostly in vain. A scan of one
  // sorts what is in memory first.
  std::vector<Space> lookup_spaces;
  // Compactions go to the lowest level at once, where writes have no time any more: a repair, which
  // puts all tables side by side, can do with them. Between levels it cannot.
  bool one_level = false;
  // Reads what can be read of a damaged store that was set aside; never for a store that goes on
  // living.
  bool salvage = false;
  // Looks beside the process that has the store open: takes no lock, sees what was written until
  // now, writes nothing. May have to be opened again when the owner deleted a file meanwhile
  // (store_failed).
  bool read_only = false;
  // Tables that the list of files does not name are not deleted before believe().
  bool doubt = false;
  rocksdb::Env* env = nullptr;  // tests: a file system with faults
};

// Errors: locked (another process has it), corrupt (damage that is not a torn end of the log: set
// the directory aside), newer_format (spaces or files this program does not know), disk_full,
// store_failed. After a write failed, every later one fails with store_failed until the store is
// opened anew: what a failed sync left on disk is only known after reading it back (es1 5.7).
Result<std::unique_ptr<Kv>> open_rocksdb(const KvOptions& options);
// Of a store opened with `doubt`: what such tables hold; and that nothing of it is missed.
void scan_unnamed(const Kv& kv, const std::function<void(Space, ByteView, ByteView)>& visit);
void believe(Kv& kv);
// A consistent copy of an open RocksDB Kv in `dir` (which must not exist): hard links where it can,
// synced.
Result<void> checkpoint(Kv& kv, const std::filesystem::path& dir);

// One state of a Kv, which stays as it is while the Kv is written on. Reads may come from any thread; a write is refused
// with store_failed. Keeps on disk what it sees: let it go soon. When its Kv is closed
// before it, the store's lock is held until it goes; ranges that are reclaimed meanwhile are missing in it.
class KvSnapshot : public Kv {
 public:
  // Nothing has been written to the Kv since.
  virtual bool current() const = 0;
};
// nullptr: `kv` is not RocksDB's.
std::unique_ptr<KvSnapshot> snapshot_of(const Kv& kv);

}  // namespace egret
