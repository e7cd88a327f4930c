#include "edge/salvage.h"

#include "schemas/chain.h"
#include "schemas/limits.h"

namespace egret::edge {
namespace {

Bytes first_of(char table) {
  return Bytes(1, table);
}

Adopted gap_of(StreamId stream, const BorderRow& border, GapKind gap, GapReason reason) {
  Adopted adopted;
  adopted.stream = stream;
  adopted.gap_count = border.count;
  adopted.gap = gap;
  adopted.reason = reason;
  adopted.appended = border.appended;
  return adopted;
}

// Up to here an epoch's stream holds nothing of its own any more.
Seq gone_to(const StreamRow& row) {
  return row.moved || row.moving ? std::max(row.moved_to, row.purged) : row.purged;
}

}  // namespace

Result<Salvage> Salvage::open(KvOptions damaged, const Facility& fac) {
  damaged.salvage = true;
  Result<std::unique_ptr<Kv>> kv = open_rocksdb(damaged);
  if (!kv) return kv.error();
  const Result<std::optional<Bytes>> row = (*kv)->get(kMetaSpace, store_key());
  const Result<StoreRow> store =
      row && *row ? decode_store(**row) : Result<StoreRow>(Error{Errc::corrupt, ""});
  if (store && store->fac != fac) {
    return Error{Errc::config, "the store that was set aside belongs to another facility"};
  }
  Salvage salvage(std::move(*kv));
  salvage.list_epochs(fac);
  salvage.list_borders();
  salvage.list_blocks();
  salvage.list_holes();
  salvage.list_parked();
  return salvage;
}

// Damage ends a scan; what it saw until then is kept, and the blocks are looked for on their own
// after it.
void Salvage::list_epochs(const Facility& fac) {
  (void)kv_->scan(kMetaSpace, first_of('e'), first_of('f'), [&](ByteView key, ByteView value) {
    Result<EpochRow> epoch = decode_epoch(fac, value);
    if (epoch) epochs_.emplace(get_u32(key, 1), *epoch);
    return true;
  });
}

void Salvage::list_borders() {
  (void)kv_->scan(kMetaSpace, first_of('b'), first_of('c'), [&](ByteView key, ByteView value) {
    const Result<BorderRow> border = decode_border(key, value);
    if (!border || uint8_t(key[5]) >= kStreamCount) return true;
    const EpochNo no = get_u32(key, 1);
    const StreamId stream{uint8_t(key[5])};
    const auto epoch = epochs_.find(no);
    if (epoch != epochs_.end() && border->last <= gone_to(epoch->second.at(stream))) return true;
    Place place{block_space(stream), block_key(no, border->first), stream, *border};
    named_.emplace(place.space, place.key);
    listed_[{no, stream}].emplace(border->first, border->last);
    places_.push_back(std::move(place));
    return true;
  });
}

void Salvage::list_blocks() {
  for (size_t i = 0; i < kStreamCount; ++i) {
    const Space space = block_space(StreamId(i));
    (void)kv_->scan(space, Bytes(), Bytes(16, '\xff'), [&](ByteView key, ByteView packed) {
      if (named_.contains({space, Bytes(key)})) return true;
      places_.push_back({space, Bytes(key), StreamId(i), {}});
      const Seq first{get_u64(key, sizeof(EpochNo))};
      if (const Result<OpenBlock> open = open_block(packed))
        listed_[{get_u32(key, 0), StreamId(i)}].emplace(first, first + (open->leaves.size() - 1));
      return true;
    });
  }
}

// A record of the log that cannot be read takes border and block with it. The epoch's row, which
// later records wrote again, still says that they were there.
void Salvage::list_holes() {
  for (const auto& [no, epoch] : epochs_) {
    for (size_t i = 0; i < kStreamCount; ++i) {
      Seq at = gone_to(epoch.streams[i]);
      std::map<Seq, Seq> ranges = listed_[{no, StreamId(i)}];
      ranges.emplace(epoch.streams[i].head.next(), epoch.streams[i].head);  // where it ends
      for (const auto& [first, last] : ranges) {
        if (first > at.next() && at < epoch.streams[i].head) add_hole(no, StreamId(i), at.next(), {first.value - 1});
        at = std::max(at, last);
      }
    }
  }
}

void Salvage::add_hole(EpochNo no, StreamId stream, Seq first, Seq last) {
  BorderRow hole;
  hole.first = first;
  hole.last = last;
  hole.count = uint32_t(last.value - first.value + 1);
  hole.gap = GapKind::corrupt;
  hole.reason = GapReason::unreadable;
  places_.push_back({block_space(stream), block_key(no, first), stream, hole});
  ++found_.unreadable;
}

void Salvage::list_parked() {
  (void)kv_->scan(kParkedSpace, Bytes(), Bytes(16, '\xff'), [&](ByteView key, ByteView) {
    places_.push_back({kParkedSpace, Bytes(key), StreamId::critical, {}});
    return true;
  });
}

std::optional<Adopted> Salvage::read(const Place& place) {
  if (place.border && place.border->gap != GapKind::none) {
    return gap_of(place.stream, *place.border, place.border->gap, place.border->reason);
  }
  Adopted adopted;
  adopted.stream = place.stream;
  if (place.border) adopted.appended = place.border->appended;
  Result<std::optional<Bytes>> packed = kv_->get(place.space, place.key);
  if (packed && *packed && place.space == kParkedSpace) {
    Result<ParkedRow> parked = decode_parked(place.key, **packed);
    if (!parked || !parked->whole) {
      ++found_.unreadable;
      return std::nullopt;
    }
    adopted.stream = parked->stream;
    adopted.appended = parked->appended;
    **packed = std::move(parked->block);
  }
  const Result<OpenBlock> open =
      packed && *packed ? open_block(**packed) : Result<OpenBlock>(Error{Errc::corrupt, ""});
  if (!open) {
    ++found_.unreadable;
    if (!place.border) return std::nullopt;
    return gap_of(place.stream, *place.border, GapKind::corrupt, GapReason::unreadable);
  }
  bool whole = true;
  for (ByteView record : split_records(open->raw, whole)) adopted.records.emplace_back(record);
  found_.records += adopted.records.size();
  ++found_.blocks;
  return adopted;
}

Result<size_t> Salvage::step(Buffer& into) {
  std::vector<Adopted> some;
  for (size_t i = 0; i < kMoveStepBlocks && next_ < places_.size(); ++i) {
    if (std::optional<Adopted> adopted = read(places_[next_++]))
      some.push_back(std::move(*adopted));
  }
  if (Result<void> adopted = into.adopt(some); !adopted) return adopted.error();
  return places_.size() - next_;
}

}  // namespace egret::edge
