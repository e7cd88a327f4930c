#include "edge/unnamed.h"

#include <map>
#include <optional>

#include "edge/tables.h"
#include "schemas/kv_rocksdb.h"

namespace egret::edge {
namespace {

class Missed {
 public:
  Missed(const Kv& kv, const Facility& fac) : kv_(kv), fac_(fac) {}
  Result<void> load() {
    const Result<std::optional<Bytes>> row = kv_.get(kMetaSpace, store_key());
    if (!row) return row.error();
    if (!*row) return {};  // an empty store lacks all there is
    Result<StoreRow> store = decode_store(**row);
    if (!store) return store.error();
    store_ = std::move(*store);
    return kv_.scan(kMetaSpace, epoch_key(0), after_prefix(epoch_key(0).substr(0, 1)), [&](ByteView key, ByteView value) {
      if (Result<EpochRow> epoch = decode_epoch(fac_, value)) epochs_.emplace(get_u32(key, 1), *epoch);
      return true;
    });
  }
  bool lacks(Space space, ByteView key, ByteView value) const {
    if (key.empty()) return false;
    if (space >= kBlockSpace && space < kBlockSpace + kStreamCount) {
      return lacks_block(StreamId(space - kBlockSpace), get_u32(key, 0), {get_u64(key, 4)});
    }
    if (space != kMetaSpace) return false;  // a parked block may have left by any way
    switch (key[0]) {
      case 'm': return lacks_store(value);
      case 'e': return lacks_epoch(get_u32(key, 1), value);
      case 'b': return lacks_border(get_u32(key, 1), StreamId(key[5]), {get_u64(key, 6)});
      default: return false;
    }
  }

 private:
  bool lacks_store(ByteView value) const {
    const Result<StoreRow> row = decode_store(value);
    return row && (row->next_epoch > store_.next_epoch || row->finished_count > store_.finished_count);
  }
  bool lacks_epoch(EpochNo no, ByteView value) const {
    if (no >= store_.next_epoch) return true;
    const auto ours = epochs_.find(no);
    const Result<EpochRow> row = decode_epoch(fac_, value);
    if (ours == epochs_.end() || !row) return false;  // it is finished
    for (size_t i = 0; i < kStreamCount; ++i) {
      if (row->streams[i].head > ours->second.streams[i].head) return true;
    }
    return false;
  }
  // The stream that still has to hold `seq`, if it has to.
  const StreamRow* holder(EpochNo no, StreamId stream, Seq seq) const {
    const auto epoch = epochs_.find(no);
    if (epoch == epochs_.end() || size_t(stream) >= kStreamCount) return nullptr;
    const StreamRow& row = epoch->second.at(stream);
    const bool moves = row.moved || row.moving;
    return seq <= row.purged || (moves && seq <= row.moved_to) ? nullptr : &row;
  }
  std::optional<BorderRow> border_over(EpochNo no, StreamId stream, Seq seq) const {
    std::optional<BorderRow> over;
    const Bytes from = border_key(no, stream, seq), end = border_key(no, stream, {~uint64_t{0}});
    (void)kv_.scan(kMetaSpace, from, end, [&](ByteView key, ByteView value) {
      if (const Result<BorderRow> border = decode_border(key, value); border && border->first <= seq) over = *border;
      return false;
    });
    return over;
  }
  bool lacks_border(EpochNo no, StreamId stream, Seq last) const {
    return no >= store_.next_epoch || (holder(no, stream, last) && !border_over(no, stream, last));
  }
  bool lacks_block(StreamId stream, EpochNo no, Seq first) const {
    if (no >= store_.next_epoch) return true;
    if (!holder(no, stream, first)) return false;
    const std::optional<BorderRow> border = border_over(no, stream, first);
    if (border && border->gap != GapKind::none) return false;
    const Result<std::optional<Bytes>> block = kv_.get(block_space(stream), block_key(no, first));
    return !border || !block || !*block;
  }

  const Kv& kv_;
  const Facility& fac_;
  StoreRow store_{};
  std::map<EpochNo, EpochRow> epochs_;
};

}  // namespace

Result<void> nothing_missed(const Kv& kv, const Facility& fac) {
  std::optional<Missed> missed;
  Result<void> loaded;
  bool lacks = false;
  scan_unnamed(kv, [&](Space space, ByteView key, ByteView value) {
    if (!missed) loaded = missed.emplace(kv, fac).load();
    lacks = lacks || (loaded && missed->lacks(space, key, value));
  });
  if (!loaded) return loaded;
  if (!lacks) return {};
  return Error{Errc::corrupt, "edge store: its list of files has lost its end, tables that it does not name hold more"};
}

}  // namespace egret::edge
