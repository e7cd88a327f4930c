#include "cloud/fold.h"

#include "schemas/chain.h"
#include "schemas/codec.h"
#include "schemas/limits.h"
#include "schemas/mutants.h"

namespace egret::cloud {
namespace {

Error bad(const char* text) {
  return {Errc::bad_input, text};
}

size_t raw_max(const es1::Batch& batch) {
  return mutant(Mutant::wire_size_trusted) ? batch.raw_len() : kRawBodyBytesMax;
}

bool lawful_gap(StreamId stream, GapKind kind) {
  return kind != GapKind::shed || stream == StreamId::telemetry;
}

// One item of the wire as parts. False: against a bound.
bool add_parts(const es1::BatchItem& item, Unpacked& out, Seq& next) {
  uint64_t repeat = std::max<uint32_t>(item.repeat(), 1);
  bool gap = item.gap() != es1::GAP_NONE;
  if (item.count() == 0 || repeat + out.parts.size() > kBatchItemsMax) return false;
  if (gap && (repeat > 1 || item.c_end().size() != sizeof(Hash))) return false;
  if (!gap && item.count() > kBlockRecordsMax) return false;
  auto kind = static_cast<GapKind>(item.gap());
  if (kind > GapKind::parked || !lawful_gap(out.key.stream, kind)) return false;
  for (uint64_t i = 0; i < repeat; i++) {
    if (next.value > UINT64_MAX / 2) return false;
    Part part;
    part.first = next;
    part.count = item.count();
    part.gap = kind;
    part.reason = static_cast<GapReason>(item.reason() > 255 ? 0 : item.reason());
    if (gap) part.c_end = take<sizeof(Hash)>(item.c_end());
    next = part.last().next();
    out.parts.push_back(std::move(part));
  }
  return true;
}

}  // namespace

Result<Unpacked> outline(const es1::Batch& batch) {
  Unpacked out;
  if (batch.stream() >= kStreamCount) return bad("batch.stream: 0 to 3 are known");
  if (batch.epoch() == 0 || batch.first() == 0 || batch.last() < batch.first())
    return bad("batch.first: not a range");
  if (batch.c_last().size() != kDigestWireBytes) return bad("batch.c_last: 16 bytes are allowed");
  if (!batch.c_from().empty() && batch.c_from().size() != kDigestWireBytes)
    return bad("batch.c_from: 16 bytes are allowed");
  if (!batch.c_head().empty() && batch.c_head().size() != kDigestWireBytes)
    return bad("batch.c_head: 16 bytes are allowed");
  if (batch.raw_len() > raw_max(batch)) return bad("batch.raw_len: over the limit");
  if (batch.items_size() == 0) return bad("batch.items: at least one is needed");
  out.key = {{batch.epoch()}, static_cast<StreamId>(batch.stream())};
  out.first = {batch.first()};
  out.last = {batch.last()};
  Seq next = out.first;
  for (const es1::BatchItem& item : batch.items()) {
    if (!add_parts(item, out, next))
      return bad("batch.items: count, kind or number of items is out of bounds");
  }
  uint64_t records = 0;
  for (const Part& part : out.parts) records += part.gap == GapKind::none ? part.count : 0;
  if (records > kBatchRecordsMax) return bad("batch.items: more records than a batch may hold");
  if (next != out.last.next()) return bad("batch.items: they do not add up to the range");
  // A gap brings its own c, and c_last would prove nothing of the data before it.
  for (size_t i = 1; i < out.parts.size(); i++) {
    if (out.parts[i].gap != GapKind::none && out.parts[i - 1].gap == GapKind::none)
      return bad("batch.items: a gap after data goes into a batch of its own");
  }
  return out;
}

Result<void> unpack(const es1::Batch& batch, Unpacked& out) {
  if (batch.codec() > 255) return Error{Errc::unsupported, "batch.codec: unknown"};
  Result<Bytes> raw = decode(static_cast<CodecId>(batch.codec()), batch.dictionary(),
                             batch.records(), batch.raw_len(), raw_max(batch));
  if (!raw) return raw.error();
  out.raw = std::move(*raw);
  bool ok = true;
  std::vector<ByteView> records = split_records(out.raw, ok);
  if (!ok) return bad("batch.records: a length does not fit");
  size_t at = 0;
  for (Part& part : out.parts) {
    if (part.gap != GapKind::none) continue;
    if (records.size() - at < part.count) return bad("batch.records: fewer than the items say");
    part.records.assign(records.begin() + static_cast<ptrdiff_t>(at),
                        records.begin() + static_cast<ptrdiff_t>(at + part.count));
    at += part.count;
  }
  if (at != records.size()) return bad("batch.records: more than the items say");
  return {};
}

Hash fold(Part& part, const Hash& before) {
  if (part.gap != GapKind::none) return part.c_end;
  part.c_end = chain_extend(before, part.first, part.count, part.leaves);
  return part.c_end;
}

}  // namespace egret::cloud
