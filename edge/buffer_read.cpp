// The reading side of Buffer. It looks at the Kv and at a copy of one row, never at what the writer is busy
// with, so that the session's thread can read while the writer writes.
#include <algorithm>

#include "edge/buffer.h"
#include "schemas/chain.h"
#include "schemas/es1.pb.h"

namespace egret::edge {
namespace {

Item gap_item(const BorderRow& border) {
  return {border.first, border.count, border.gap, border.reason, border.c, {}, false};
}

Item purged_item(Seq after, Seq purged, const Hash& c) {
  return {after.next(), uint32_t(span(after, purged)), GapKind::purged, GapReason::cloud_restored, c, {}, false};
}

// Says when a read has enough. The first item is always wanted.
class Appetite {
 public:
  explicit Appetite(const ReadLimit& limit) : limit_(limit) {}
  bool wants(uint32_t count, uint32_t raw_len) {
    const bool fits = items_ < limit_.items && records_ + count <= limit_.records &&
                      raw_bytes_ + raw_len <= limit_.raw_bytes;
    if (items_ > 0 && !fits) return false;
    ++items_;
    records_ += count;
    raw_bytes_ += raw_len;
    return true;
  }

 private:
  ReadLimit limit_;
  size_t items_ = 0, records_ = 0, raw_bytes_ = 0;
};

}  // namespace

std::optional<Buffer::Found> Buffer::find(StreamKey key) const {
  std::lock_guard lock(mutex_);
  const EpochNo no = number_of(key.epoch);
  if (no == 0) return std::nullopt;
  return Found{no, key.stream, memory_.epochs.at(no).at(key.stream)};
}

// Borders whose last record is in [from, to], in order, until `see` returns false.
Result<void> Buffer::scan_borders(EpochNo no, StreamId stream, Seq from, Seq to, const SeeBorder& see) const {
  std::optional<Error> wrong;
  const Bytes first = border_key(no, stream, from), end = border_key(no, stream, to.next());
  Result<void> scanned = kv_.scan(kMetaSpace, first, end, [&](ByteView key, ByteView value) {
    const Result<BorderRow> border = decode_border(key, value);
    if (border) return see(*border);
    wrong = border.error();
    return false;
  });
  if (scanned && wrong) return *wrong;
  return scanned;
}

Result<std::optional<BorderRow>> Buffer::border_at(EpochNo no, StreamId stream, Seq last) const {
  const Bytes key = border_key(no, stream, last);
  const Result<std::optional<Bytes>> value = kv_.get(kMetaSpace, key);
  if (!value) return value.error();
  if (!*value) return std::nullopt;
  const Result<BorderRow> border = decode_border(key, **value);
  if (!border) return border.error();
  return std::optional(*border);
}

Result<std::optional<BorderRow>> Buffer::border_holding(EpochNo no, const Found& in, Seq seq) const {
  std::optional<BorderRow> holding;
  Result<void> scanned = scan_borders(no, in.stream, seq, in.row.head, [&](const BorderRow& b) {
    holding = b;
    return false;
  });
  if (!scanned) return scanned.error();
  return holding;
}

Result<Hash> Buffer::c_before(const Found& in, const BorderRow& border) const {
  const Seq before{border.first.value - 1};
  if (before == in.row.purged) return in.row.c_purged;
  const Result<std::optional<BorderRow>> previous = border_at(in.no, in.stream, before);
  if (!previous) return previous.error();
  if (!*previous) return Error{Errc::corrupt, "edge store: a border is missing"};
  return (*previous)->c;
}

std::optional<Hash> Buffer::c_at(StreamKey key, Seq at) const {
  const std::optional<Found> in = find(key);
  if (!in) {
    const std::optional<FinishedStreamView> f = finished_stream(key);
    return f && f->purged == at ? std::optional(f->c_purged) : std::nullopt;
  }
  const StreamRow& row = in->row;
  if (at == row.purged) return row.c_purged;
  if (at == row.head) return row.c_head;
  if (at < row.border || at > row.head) return std::nullopt;
  if (at.value == 0) return chain_start(fac_, key);
  const Result<std::optional<BorderRow>> border = border_at(in->no, key.stream, at);
  if (!border) fail(border.error());
  return border && *border ? std::optional((*border)->c) : std::nullopt;
}

std::vector<Item> Buffer::read(StreamKey key, Seq after, const ReadLimit& limit) const {
  std::vector<Item> items;
  const std::optional<Found> in = find(key);
  if (!in) {
    const std::optional<FinishedStreamView> f = finished_stream(key);
    if (f && after < f->purged) items.push_back(purged_item(after, f->purged, f->c_purged));
    return items;
  }
  Appetite appetite(limit);
  const Seq start = std::max(after, in->row.purged);
  if (after < start) {
    items.push_back(purged_item(after, start, in->row.c_purged));
    appetite.wants(items.back().count, 0);
  }
  if (in->row.moving || in->row.moved || start >= in->row.head) return items;
  std::optional<Hash> c = c_at(key, start);
  std::vector<BorderRow> borders;
  Seq reached = start;
  bool sated = false;
  const Result<void> scanned = scan_borders(in->no, key.stream, start.next(), in->row.head, [&](const BorderRow& b) {
    if (b.first != reached.next()) return false;
    sated = !appetite.wants(b.count, b.raw_len);
    if (sated) return false;
    borders.push_back(b);
    reached = b.last;
    return true;
  });
  if (!scanned) fail(scanned.error());
  const bool hole = scanned && !sated && reached < in->row.head;
  if ((hole || !c) && is_as_stored(*in)) fail({Errc::corrupt, "edge store: a border is missing"});
  if (!c) return items;
  for (const BorderRow& border : borders) {
    Item item;
    if (!read_item(*in, border, *c, item)) break;
    items.push_back(std::move(item));
    c = border.c;
  }
  return items;
}

// false when what was there is gone by now, or cannot be told.
bool Buffer::read_item(const Found& in, const BorderRow& border, const Hash& c, Item& item) const {
  item = gap_item(border);
  if (border.gap != GapKind::none) return true;
  const Result<std::optional<Bytes>> packed = kv_.get(block_space(in.stream), block_key(in.no, border.first));
  if (!packed && packed.error().code != Errc::corrupt) {
    fail(packed.error());
    return false;
  }
  if (packed && *packed) {
    Result<OpenBlock> open = open_block(**packed, border, c);
    if (open) item.raw = std::move(open->raw);
    item.unreadable = !open;
    if (open) return true;
  }
  // Not readable: damaged, or purged, shed, parked or moved since the border was read. The Kv says which.
  const std::optional<BorderRow> now = still_there(in, border);
  if (!now) return false;
  item = gap_item(*now);
  item.unreadable = now->gap == GapKind::none;
  return true;
}

// Borders go with a purge, a re-homing or a retirement, and the epoch's row says so from the same Batch on. While it
// says what was read before, what was looked for must be there.
bool Buffer::is_as_stored(const Found& in) const {
  const Result<std::optional<Bytes>> value = kv_.get(kMetaSpace, epoch_key(in.no));
  const Result<EpochRow> epoch = value && *value ? decode_epoch(fac_, **value) : Result<EpochRow>(Error{});
  if (!epoch) return false;
  const StreamRow& row = epoch->at(in.stream);
  return row.purged == in.row.purged && row.border == in.row.border && !row.moving && !row.moved;
}

std::optional<BorderRow> Buffer::still_there(const Found& in, const BorderRow& border) const {
  const Result<std::optional<Bytes>> value = kv_.get(kMetaSpace, epoch_key(in.no));
  const Result<std::optional<BorderRow>> now = border_at(in.no, in.stream, border.last);
  if (!value || !now) {
    fail(value ? now.error() : value.error());
    return std::nullopt;
  }
  if (!*value || !*now) return std::nullopt;
  const Result<EpochRow> epoch = decode_epoch(fac_, **value);
  if (!epoch) {
    fail(epoch.error());
    return std::nullopt;
  }
  const StreamRow& row = epoch->at(in.stream);
  const bool gone = row.purged >= border.last || row.moving || row.moved;
  return gone ? std::nullopt : *now;
}

std::vector<std::pair<Seq, Seq>> Buffer::held(StreamKey key, Seq first, Seq last) const {
  std::vector<std::pair<Seq, Seq>> ranges;
  const std::optional<Found> in = find(key);
  if (!in || in->row.moving || in->row.moved) return ranges;
  const Seq from = std::max(first, in->row.purged.next());
  const Result<void> scanned = scan_borders(in->no, key.stream, from, in->row.head, [&](const BorderRow& b) {
    if (b.first > last) return false;
    if (b.gap != GapKind::none) return true;
    const bool joins = !ranges.empty() && ranges.back().second.next() == b.first;
    if (joins) ranges.back().second = b.last;
    if (!joins) ranges.emplace_back(b.first, b.last);
    return true;
  });
  if (!scanned) fail(scanned.error());
  return ranges;
}

Reader::Waiting Buffer::waiting(StreamKey key, Seq after) const {
  const std::optional<Found> in = find(key);
  if (!in || in->row.moved || in->row.moving || after >= in->row.head) return {};
  const Seq start = std::max(after, in->row.purged);
  uint64_t before = in->row.bytes_purged;
  if (start > in->row.purged) {
    const Result<std::optional<BorderRow>> border = border_at(in->no, key.stream, start);
    if (!border) fail(border.error());
    if (border && *border) before = (*border)->bytes_to;
  }
  const Result<std::optional<BorderRow>> next = border_holding(in->no, *in, start.next());
  if (!next) fail(next.error());
  const bool known = next && *next;
  return {in->row.bytes_total - before, known ? (*next)->appended : WallTime{}};
}

std::vector<Bytes> Buffer::finished(uint64_t offset, size_t max_entries, size_t max_bytes) const {
  std::vector<Bytes> entries;
  size_t bytes = 0;
  std::optional<Error> wrong;
  const Bytes first = finished_key(offset), end = after_prefix(first.substr(0, 1));
  const Result<void> scanned = kv_.scan(kMetaSpace, first, end, [&](ByteView, ByteView value) {
    Result<FinishedRow> row = decode_finished(value);
    if (!row) wrong = row.error();
    if (!row || entries.size() == max_entries || bytes + row->entry.size() > max_bytes) return false;
    bytes += row->entry.size();
    entries.push_back(std::move(row->entry));
    return true;
  });
  if (!scanned) fail(scanned.error());
  if (wrong) fail(*wrong);
  return entries;
}

std::optional<Hash> Buffer::finished_hash(uint64_t i) const {
  if (i == 0) return Hash{};
  const Result<std::optional<Bytes>> value = kv_.get(kMetaSpace, finished_key(i - 1));
  if (!value) fail(value.error());
  if (!value || !*value) return std::nullopt;
  const Result<FinishedRow> row = decode_finished(**value);
  if (!row) fail(row.error());
  return row ? std::optional(row->hash) : std::nullopt;
}

std::optional<FinishedStreamView> Buffer::finished_stream(StreamKey key) const {
  const Result<std::optional<Bytes>> index = kv_.get(kMetaSpace, finished_id_key(key.epoch));
  if (!index || !*index) return std::nullopt;
  const Result<std::optional<Bytes>> value = kv_.get(kMetaSpace, finished_key(get_u64(**index, 0)));
  if (!value || !*value) return std::nullopt;
  const Result<FinishedRow> row = decode_finished(**value);
  es1::FinishedEpoch entry;
  if (!row || !entry.ParseFromString(row->entry)) return std::nullopt;
  for (const es1::FinishedStream& s : entry.streams()) {
    if (s.stream() != uint32_t(key.stream) || s.c_purged().size() != 32) continue;
    return FinishedStreamView{key, {s.purged()}, egret::take<32>(s.c_purged()), s.moved()};
  }
  return std::nullopt;
}

}  // namespace egret::edge
