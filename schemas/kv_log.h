// KvLog: the format that RocksDB's write-ahead logs and its list of files (MANIFEST) have in common
// (db/log_format.h there). Promises: a fragment is told only when its checksum holds; a file that
// is put in the place of another is whole, or not there. Leaves to others: which damage may be cut
// off (kv_wal, kv_list). Logs that are recycled or compressed: open_rocksdb writes none.
#pragma once

#include <filesystem>
#include <optional>

#include "schemas/error.h"
#include "schemas/types.h"

namespace rocksdb {
class Env;
}

namespace egret {

// Blocks of 32 KiB; in each, fragments of crc32c(4, masked, over type and payload) · length(2,
// little-endian) · type(1) · payload. A record is one fragment, or several.
constexpr size_t kLogBlockBytes = 32 * 1024;
constexpr size_t kFragmentHeaderBytes = 7;

struct LogFragment {
  enum class Part : uint8_t { full = 1, first = 2, middle = 3, last = 4 };
  Part part;
  ByteView payload;
  bool begins_record() const { return part == Part::full || part == Part::first; }
  bool ends_record() const { return part == Part::full || part == Part::last; }
};

uint32_t little_endian(ByteView b);
std::optional<LogFragment> fragment_at(ByteView log, size_t at);
// Where the whole records of `log` end; log.size() when all of it is whole.
size_t whole_until(ByteView log);
// Appends the fragments of one record to a log.
void append_log_record(Bytes& log, ByteView record);

// Puts `log` in the place of `file`, whose name holds a number: written beside as number.dbtmp,
// which RocksDB deletes when a power cut leaves it, synced, renamed; sync_names() makes that last.
// Errors: disk_full, store_failed.
Result<void> put_in_place(rocksdb::Env& env, const std::filesystem::path& file, ByteView log);
Result<void> sync_names(rocksdb::Env& env, const std::filesystem::path& dir);

}  // namespace egret
