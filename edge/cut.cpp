#include "edge/cut.h"

#include <algorithm>

#include "schemas/buggify.h"
#include "schemas/limits.h"

namespace egret::edge {
namespace {

bool is_data(const Item& item) {
  return item.gap == GapKind::none;
}

void add_item(es1::Batch& batch, const Item& item) {
  int n = batch.items_size();
  if (is_data(item) && n > 0) {
    es1::BatchItem* previous = batch.mutable_items(n - 1);
    if (previous->gap() == es1::GAP_NONE && previous->count() == item.count) {
      previous->set_repeat(std::max<uint32_t>(previous->repeat(), 1) + 1);
      return;
    }
  }
  es1::BatchItem* wire = batch.add_items();
  wire->set_count(item.count);
  if (is_data(item)) return;
  wire->set_gap(static_cast<es1::GapKindWire>(item.gap));
  wire->set_reason(static_cast<uint32_t>(item.reason));
  wire->set_c_end(Bytes(view(item.c_end)));
}

Bytes wire_digest(const Hash& c) {
  return Bytes(view(c).substr(0, kDigestWireBytes));
}

// The batch of items[0, n).
Cut build(const Reader& reader, const CutOrder& order, const std::vector<Item>& items, size_t n) {
  es1::Batch batch;
  Cut cut;
  Bytes raw;
  for (size_t i = 0; i < n; i++) {
    add_item(batch, items[i]);
    raw += items[i].raw;
  }
  cut.first = items[0].first;
  cut.last = items[n - 1].last();
  cut.c_last = items[n - 1].c_end;
  cut.raw_bytes = raw.size();
  cut.items = static_cast<uint32_t>(n);
  if (items[0].gap == GapKind::purged) cut.purged_to = items[0].last();
  batch.set_epoch(order.key.epoch.value);
  batch.set_stream(static_cast<uint32_t>(order.key.stream));
  batch.set_first(cut.first.value);
  batch.set_last(cut.last.value);
  batch.set_c_last(wire_digest(cut.c_last));
  batch.set_head(order.head.value);
  batch.set_c_head(wire_digest(order.c_head));
  if (std::optional<Hash> from = reader.c_at(order.key, order.after))
    batch.set_c_from(wire_digest(*from));
  const bool small = order.rung == Rung::normal && order.zstd_level > 0;
  CodecId codec = small ? CodecId::zstd : CodecId::stored;
  Encoded encoded = encode(raw, codec, order.zstd_level);
  if (!encoded.bytes.empty() && turn(Turn::codec_errs)) encoded.bytes[encoded.bytes.size() / 2] ^= 1;
  if (turn(Turn::dictionary_lost)) encoded.dictionary++;
  batch.set_codec(static_cast<uint32_t>(encoded.codec));
  batch.set_dictionary(encoded.dictionary);
  batch.set_raw_len(encoded.raw_len);
  batch.set_records(std::move(encoded.bytes));
  batch.SerializeToString(&cut.body);
  return cut;
}

}  // namespace

std::optional<Cut> cut_batch(const Reader& reader, const CutOrder& order) {
  bool single = order.rung == Rung::single_block || turn(Turn::tiny_batch);
  ReadLimit limit{single ? 1 : std::min(order.raw_bytes, kRawBodyBytesMax),
                  single ? 1 : kBatchItemsMax, kBatchRecordsMax};
  std::vector<Item> items = reader.read(order.key, order.after, limit);
  // The disk may be ahead of what the session has been told; a batch never says more than its head.
  while (!items.empty() && items.back().last() > order.head) items.pop_back();
  // A gap brings its own c: it would prove nothing of data before it. So data ends a batch, and c_last proves it.
  auto joint = std::adjacent_find(items.begin(), items.end(), [](const Item& a, const Item& b) { return is_data(a) && !is_data(b); });
  if (joint != items.end()) items.erase(joint + 1, items.end());
  auto bad = std::find_if(items.begin(), items.end(), [](const Item& i) { return i.unreadable; });
  size_t n = static_cast<size_t>(bad - items.begin());
  if (n == 0 && bad == items.end()) return std::nullopt;
  if (n == 0) {
    Cut none;
    none.unreadable = bad->first;
    return none;
  }
  for (;;) {
    Cut cut = build(reader, order, items, n);
    size_t frame = cut.body.size() + kFramePrefixBytes + kTagBytes;
    if (frame <= order.frame_bytes || n == 1) return cut;
    // Too large: keep what should fit by the ratio just seen, at least one less.
    n = std::clamp<size_t>(n * order.frame_bytes / frame, 1, n - 1);
  }
}

}  // namespace egret::edge
