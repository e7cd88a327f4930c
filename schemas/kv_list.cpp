#include "schemas/kv_list.h"

#include <rocksdb/env.h>

#include <algorithm>
#include <string>

#include "schemas/kv_log.h"

namespace egret {
namespace {

constexpr size_t kSectorBytes = 512;
// RocksDB writes the edits of those that wait at once, and syncs once: a flush (one edit a
// memtable), a compaction, a range given up, a new space.
constexpr size_t kEditsOfOneSyncMax = 8;

// Does a sector, or the part of it that lies within, hold zeros alone? No edit does when it is
// whole: it begins with a checksum, ends with a tag, and a name of a space or a key of 512 zeros
// there is not.
bool lacks_a_sector(ByteView list, size_t first, size_t end) {
  for (size_t at = first; at < end;) {
    const size_t next = std::min((at / kSectorBytes + 1) * kSectorBytes, end);
    if (list.substr(at, next - at).find_first_not_of('\0') == ByteView::npos) return true;
    at = next;
  }
  return false;
}

// Where the next whole edit begins. No length can be trusted here: every byte is tried.
size_t edit_after(ByteView list, size_t from) {
  for (size_t at = from; at < list.size(); ++at) {
    const auto fragment = fragment_at(list, at);
    if (fragment && fragment->begins_record()) return at;
  }
  return list.size();
}

}  // namespace

size_t list_until_torn(ByteView list) {
  const size_t whole = whole_until(list);
  if (whole == list.size()) return whole;
  size_t next = edit_after(list, whole + 1);
  if (!lacks_a_sector(list, whole, next)) return list.size();
  for (size_t edits = 1; next < list.size(); next = edit_after(list, next + 1)) {
    if (++edits > kEditsOfOneSyncMax) return list.size();
  }
  return whole;
}

Result<void> cut_torn_list(rocksdb::Env& env, const std::filesystem::path& dir) {
  std::string name, list;
  if (!rocksdb::ReadFileToString(&env, (dir / "CURRENT").string(), &name).ok())
    return {};  // opening says what is wrong
  if (!name.starts_with("MANIFEST-") || !name.ends_with('\n')) return {};
  name.pop_back();
  if (!rocksdb::ReadFileToString(&env, (dir / name).string(), &list).ok()) return {};
  const size_t until = list_until_torn(list);
  if (until == list.size()) return {};
  if (Result<void> cut = put_in_place(env, dir / name, ByteView(list).substr(0, until)); !cut)
    return cut;
  return sync_names(env, dir);
}

}  // namespace egret
