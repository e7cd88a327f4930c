// The part of Buffer that gives blocks another place: re-home (es1 5.5), park, unpark, corrupt.
#include <algorithm>

#include "edge/buffer.h"
#include "schemas/buggify.h"
#include "schemas/limits.h"
#include "schemas/mutants.h"

namespace egret::edge {
namespace {

Block gap_block(uint32_t count, GapKind gap, GapReason reason, WallTime appended) {
  Block block;
  block.count = count;
  block.gap = gap;
  block.reason = reason;
  block.appended = appended;
  return block;
}

Block data_block(Bytes packed, OpenBlock open, WallTime appended) {
  Block block;
  block.count = uint32_t(open.leaves.size());
  block.appended = appended;
  block.raw_len = uint32_t(open.raw.size());
  block.packed = std::move(packed);
  block.leaves = std::move(open.leaves);
  return block;
}

uint64_t held_bytes(const EpochRow& epoch) {
  uint64_t bytes = 0;
  for (const StreamRow& s : epoch.streams) bytes += s.moved ? 0 : s.bytes_total - s.bytes_purged;
  return bytes;
}

}  // namespace

// What stands at a border, fit to be placed elsewhere. A block that cannot be read is a gap from now on.
Result<Block> Buffer::take(EpochNo no, StreamId stream, const BorderRow& border, const Hash& c) const {
  if (border.gap != GapKind::none) {
    return gap_block(border.count, border.gap, border.reason, border.appended);
  }
  Result<std::optional<Bytes>> packed = kv_.get(block_space(stream), block_key(no, border.first));
  if (!packed && packed.error().code != Errc::corrupt) return packed.error();
  if (packed && *packed) {
    Result<OpenBlock> open = open_block(**packed, border, c);
    if (open) return data_block(std::move(**packed), std::move(*open), border.appended);
  }
  mark(Mark::taken_unreadable);
  return gap_block(border.count, GapKind::corrupt, GapReason::unreadable, border.appended);
}

Result<void> Buffer::rehome(StreamKey key) {
  if (Result<void> ok = usable(); !ok) return ok;
  const EpochNo no = number_of(key.epoch);
  if (no == 0) return {};
  if (Result<void> moved = move_stream(no, key.stream); !moved) return moved;
  return merge_smallest();
}

Result<void> Buffer::move_stream(EpochNo no, StreamId stream) {
  const StreamRow& source = memory_.epochs.at(no).at(stream);
  if (source.moved) return {};
  if (memory_.current == no) {  // nothing may be appended to it any more; the next append mints another
    std::lock_guard lock(mutex_);
    memory_.current = 0;
  }
  for (bool moved = false; !moved;) {
    Change change = begin();
    const Result<bool> last = move_step(change, no, stream);
    if (!last) return fail(last.error());
    if (Result<void> done = commit(change); !done) return done;
    moved = *last;
  }
  return {};
}

// Moves the next few blocks; true when they were the last.
Result<bool> Buffer::move_step(Change& change, EpochNo no, StreamId stream) {
  StreamRow& source = row(change, no).at(stream);
  if (!source.moving) source.moved_to = source.purged;
  source.moving = true;
  const Seq from = source.moved_to;
  std::vector<BorderRow> borders;
  const size_t step = turn(Turn::one_block_a_step) ? 1 : kMoveStepBlocks;
  Result<void> scanned = scan_borders(no, stream, from.next(), source.head, [&](const BorderRow& b) {
    borders.push_back(b);
    return borders.size() < step;
  });
  if (!scanned) return scanned.error();
  for (const BorderRow& border : borders) {
    const Result<Hash> before = c_before({no, stream, source}, border);
    if (!before) return before.error();
    Result<Block> block = take(no, stream, border, *before);
    if (!block) return block.error();
    const bool lost = border.gap == GapKind::none && block->gap != GapKind::none;
    if (lost) change.store.counters.corrupt += border.count;
    change.batch.erase(block_space(stream), block_key(no, border.first));
    source.moved_to = border.last;
    if (block->gap != GapKind::none && mutant(Mutant::gap_lost_on_rehome)) continue;
    place(change, stream, std::move(*block));
  }
  if (source.moved_to == from && from < source.head) {
    return Error{Errc::corrupt, "edge store: the borders end below the head"};
  }
  // The border of the last block moved stays: the next step proves its first block with it.
  const Seq erased_from = from == source.purged ? from.next() : from;
  if (erased_from < source.moved_to) {
    change.batch.erase_range(kMetaSpace, border_key(no, stream, erased_from),
                             border_key(no, stream, source.moved_to));
  }
  change.reclaim.push_back(
      {block_space(stream), block_key(no, from.next()), block_key(no, source.moved_to.next())});
  if (source.moved_to < source.head) mark(Mark::move_steps);
  if (source.moved_to < source.head) return false;
  source.moving = false;
  source.moved = true;
  retire_if_done(change, no);
  return true;
}

// A HELLO lists every open epoch and is always whole: there are never more than it can list, the one that the
// next append mints included.
Result<void> Buffer::merge_smallest() {
  const size_t most = turn(Turn::merge_early) ? 2 : kListedEpochsMax;
  while (memory_.epochs.size() + (memory_.current == 0 ? 1 : 0) > most) {
    mark(Mark::epochs_merged);
    EpochNo smallest = 0;
    for (const auto& [no, epoch] : memory_.epochs) {
      if (no == memory_.current) continue;
      if (smallest == 0 || held_bytes(epoch) < held_bytes(memory_.epochs.at(smallest))) smallest = no;
    }
    for (size_t i = 0; i < kStreamCount; ++i) {
      const auto epoch = memory_.epochs.find(smallest);
      if (epoch == memory_.epochs.end()) break;
      if (epoch->second.streams[i].empty()) continue;
      if (Result<void> moved = move_stream(smallest, StreamId(i)); !moved) return moved;
    }
  }
  return {};
}

Result<void> Buffer::rehome_blocks(StreamKey key, Seq first, Seq last) {
  if (Result<void> ok = usable(); !ok) return ok;
  const bool telemetry = key.stream == StreamId::telemetry;
  for (auto [from, to] : held(key, first, last)) {
    for (Seq at = from; at <= to;) {
      const Result<std::optional<BorderRow>> border = data_at(key, at);
      if (!border) return fail(border.error());
      if (!*border) return {};
      at = (*border)->last.next();
      const Found in = *find(key);
      const Result<Hash> before = c_before(in, **border);
      if (!before) return fail(before.error());
      Result<Block> block = take(in.no, key.stream, **border, *before);
      if (!block) return fail(block.error());
      Change change = begin();
      const bool lost = block->gap != GapKind::none;
      if (lost) change.store.counters.corrupt += block->count;
      if (!lost) place(change, key.stream, std::move(*block));
      const bool shed = telemetry && !lost;
      gap_in_place(change, in.no, key.stream, **border, shed ? GapKind::shed : GapKind::corrupt,
                   shed ? GapReason::disk_budget : GapReason::unreadable);
      if (Result<void> done = commit(change); !done) return done;
    }
  }
  return {};
}

// The border of the data that begins at `first`; nullopt when none does.
Result<std::optional<BorderRow>> Buffer::data_at(StreamKey key, Seq first) const {
  const std::optional<Found> in = find(key);
  if (!in || in->row.moving || in->row.moved || first <= in->row.purged) return std::nullopt;
  Result<std::optional<BorderRow>> border = border_holding(in->no, *in, first);
  if (border && *border && ((*border)->first != first || (*border)->gap != GapKind::none)) {
    return std::nullopt;
  }
  return border;
}

Result<void> Buffer::park(StreamKey key, Seq first, GapReason reason) {
  if (Result<void> ok = usable(); !ok) return ok;
  const Result<std::optional<BorderRow>> border = data_at(key, first);
  if (!border) return fail(border.error());
  if (!*border) return {};
  const Found in = *find(key);
  const EpochNo no = in.no;
  const Result<Hash> before = c_before(in, **border);
  if (!before) return fail(before.error());
  Result<Block> block = take(no, key.stream, **border, *before);
  if (!block) return fail(block.error());
  if (block->gap != GapKind::none) return mark_corrupt(key, first);
  ParkedRow parked{key.stream, (*border)->count, reason, (*border)->appended, std::move(block->packed)};
  Change change = begin();
  change.batch.put(kParkedSpace, parked_key(no, key.stream, first), encode(parked));
  ++change.store.parked_blocks;
  gap_in_place(change, no, key.stream, **border, GapKind::parked, reason);
  return commit(change);
}

Result<uint64_t> Buffer::unpark(std::optional<StreamId> stream) {
  if (Result<void> ok = usable(); !ok) return ok.error();
  std::vector<Bytes> keys;
  Result<void> scanned = kv_.scan(kParkedSpace, parked_key(0, StreamId::critical, {0}), Bytes(16, '\xff'),
                                  [&](ByteView key, ByteView) {
                                    keys.emplace_back(key);
                                    return true;
                                  });
  if (!scanned) return fail(scanned.error());
  uint64_t unparked = 0;
  for (const Bytes& key : keys) {
    const Result<std::optional<Bytes>> value = kv_.get(kParkedSpace, key);
    if (!value) return fail(value.error());
    if (!*value) continue;
    Result<ParkedRow> parked = decode_parked(key, **value);
    if (!parked) return fail(parked.error());
    if (stream && parked->stream != *stream) continue;
    // What the block holds counts, for that is proven.
    Result<OpenBlock> open = parked->whole ? open_block(parked->block)
                                           : Result<OpenBlock>(Error{Errc::corrupt, ""});
    Change change = begin();
    if (!open) mark(Mark::parked_unreadable);
    if (!open) change.store.counters.corrupt += parked->count;
    place(change, parked->stream,
          open ? data_block(std::move(parked->block), std::move(*open), parked->appended)
               : gap_block(parked->count, GapKind::corrupt, GapReason::unreadable, parked->appended));
    change.batch.erase(kParkedSpace, key);
    --change.store.parked_blocks;
    if (Result<void> done = commit(change); !done) return done.error();
    ++unparked;
  }
  return unparked;
}

Result<void> Buffer::mark_corrupt(StreamKey key, Seq first) {
  if (Result<void> ok = usable(); !ok) return ok;
  const Result<std::optional<BorderRow>> border = data_at(key, first);
  if (!border) return fail(border.error());
  if (!*border) return {};
  const Found in = *find(key);
  const Result<Hash> before = c_before(in, **border);
  if (!before) return fail(before.error());
  const Result<Block> block = take(in.no, key.stream, **border, *before);
  if (!block) return fail(block.error());
  if (block->gap == GapKind::none) return {};  // a second look found it whole
  Change change = begin();
  change.store.counters.corrupt += block->count;
  gap_in_place(change, in.no, key.stream, **border, GapKind::corrupt, GapReason::unreadable);
  if (mutant(Mutant::unreadable_takes_all)) {
    (void)scan_borders(in.no, key.stream, (*border)->last.next(), in.row.head, [&](const BorderRow& b) {
      if (b.gap == GapKind::none) gap_in_place(change, in.no, key.stream, b, GapKind::corrupt, GapReason::unreadable);
      return true;
    });
  }
  return commit(change);
}

}  // namespace egret::edge
