// Salvage: what can still be read of a store that was set aside goes into the one that took over
// (es1 5.7). Promises: each block that can be read whole is appended again, in order, in its lane,
// and each range that cannot, or was a gap already, is named as a gap, also one that nothing is left of
// but its epoch's head; nothing is invented. Doing
// it twice is harmless: the cloud knows every statement by its natural key. Leaves to others:
// setting the store aside (agent/store), when (daemon). RocksDB may repair the damaged files in
// place: who wants them untouched copies them first.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "edge/buffer.h"
#include "schemas/kv_rocksdb.h"

namespace egret::edge {

struct Salvaged {
  uint64_t records = 0;
  uint64_t blocks = 0;
  uint64_t unreadable = 0;  // blocks that could not be read, and ranges that nothing is left of
};

class Salvage {
 public:
  // `damaged`: where the old store lies. Errors: corrupt, store_failed (nothing can be opened),
  // config (the store of another facility).
  static Result<Salvage> open(KvOptions damaged, const Facility& fac);
  // Appends the next few blocks to `into`, in one Batch, and says how many are left. Small enough
  // that a writer can do its other work between two steps. Errors: those of Buffer::adopt.
  Result<size_t> step(Buffer& into);
  const Salvaged& found() const { return found_; }

 private:
  // Something to append: what a border names, or a block that no border that can be read names.
  struct Place {
    Space space = 0;
    Bytes key;
    StreamId stream = StreamId::critical;
    std::optional<BorderRow> border;
  };
  explicit Salvage(std::unique_ptr<Kv> kv) : kv_(std::move(kv)) {}
  void list_epochs(const Facility& fac);
  void list_borders();
  void list_blocks();
  void list_holes();
  void add_hole(EpochNo no, StreamId stream, Seq first, Seq last);
  void list_parked();
  std::optional<Adopted> read(const Place& place);

  std::unique_ptr<Kv> kv_;
  std::vector<Place> places_;
  std::set<std::pair<Space, Bytes>> named_;
  std::map<EpochNo, EpochRow> epochs_;
  // Of each stream what is listed: the first number of a range, and its last.
  std::map<std::pair<EpochNo, StreamId>, std::map<Seq, Seq>> listed_;
  size_t next_ = 0;
  Salvaged found_;
};

}  // namespace egret::edge
