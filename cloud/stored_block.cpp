#include "cloud/stored_block.h"

#include <spdlog/fmt/fmt.h>

#include "cloud/merge/moment.h"
#include "cloud/row_bytes.h"
#include "schemas/codec.h"
#include "schemas/limits.h"
#include "schemas/record.h"
#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

// Records are small and alike: a higher level costs more than half of the commit path and gives a
// few percent.
constexpr int kZstdLevel = 1;
constexpr size_t kPlaceBytes = 8 + 1 + 8;
constexpr size_t kRawBytesMax =
    kRawBodyBytesMax + kBatchRecordsMax * (1 + kPlaceBytes + kLengthPrefixBytes);

Error damaged(const char* what) {
  return {Errc::corrupt, fmt::format("cloud store: a block is not as it was written: {}", what)};
}

bool read_entry(RowReader& in, StoredEntry& entry) {
  entry.kind = EntryKind(in.u8());
  switch (entry.kind) {
    case EntryKind::applied:
      entry.record = in.text();
      return in.ok();
    case EntryKind::duplicate:
      entry.body_at.key.epoch.value = in.u64();
      entry.body_at.key.stream = StreamId(in.u8());
      entry.body_at.seq.value = in.u64();
      entry.arrival = in.text();
      return in.ok();
    case EntryKind::deleted:
    case EntryKind::quarantined:
    case EntryKind::erased:
      entry.hash = in.fixed<32>();
      return in.ok();
    case EntryKind::expired:
      entry.statement = in.u8();
      entry.day = in.u32();
      entry.hash = in.fixed<32>();
      return in.ok();
  }
  return false;
}

}  // namespace

const char* name_of(EntryKind kind) {
  switch (kind) {
    case EntryKind::applied:
      return "applied";
    case EntryKind::duplicate:
      return "duplicate";
    case EntryKind::deleted:
      return "deleted";
    case EntryKind::quarantined:
      return "quarantined";
    case EntryKind::erased:
      return "erased";
    case EntryKind::expired:
      return "expired";
  }
  return "unknown";
}

void BlockWriter::add(const StoredEntry& entry) {
  ++count_;
  raw_.push_back(char(entry.kind));
  switch (entry.kind) {
    case EntryKind::applied:
      put_u32(raw_, uint32_t(entry.record.size()));
      raw_.append(entry.record);
      break;
    case EntryKind::duplicate:
      put_u64(raw_, entry.body_at.key.epoch.value);
      raw_.push_back(char(entry.body_at.key.stream));
      put_u64(raw_, entry.body_at.seq.value);
      put_u32(raw_, uint32_t(entry.arrival.size()));
      raw_.append(entry.arrival);
      break;
    case EntryKind::deleted:
    case EntryKind::quarantined:
    case EntryKind::erased:
      raw_.append(view(entry.hash));
      break;
    case EntryKind::expired:
      raw_.push_back(char(entry.statement));
      put_u32(raw_, entry.day);
      raw_.append(view(entry.hash));
      break;
  }
}

Bytes BlockWriter::finish() const {
  const Encoded encoded = encode(raw_, CodecId::zstd, kZstdLevel);
  RowWriter out(16 + encoded.bytes.size());
  out.u8(uint8_t(encoded.codec)).u32(encoded.dictionary).u32(encoded.raw_len).u32(count_);
  return out.raw(encoded.bytes).take();
}

Kind kind_in(ByteView body) {
  return body.size() < 2 || body[0] != 0x08 ? Kind(0) : Kind(body[1]);
}

uint32_t day_of(ByteView record) {
  const auto parts = split_record(record);
  v1::Arrival arrival;
  if (!parts || !arrival.ParseFromArray(parts->arrival.data(), static_cast<int>(parts->arrival.size()))) return 0;
  const int64_t us = arrival.wall_us() - int64_t{arrival.clock_off_ms()} * 1000;
  return us < 0 ? 0 : static_cast<uint32_t>(us / kDayUs);
}

Result<std::vector<StoredEntry>> decode_block(ByteView value, Bytes& raw) {
  RowReader head(value);
  const auto codec = CodecId(head.u8());
  const DictionaryId dictionary = head.u32();
  const uint32_t raw_len = head.u32();
  const uint32_t count = head.u32();
  if (!head.ok()) return damaged("it is too short");
  auto decoded = decode(codec, dictionary, head.rest(), raw_len, kRawBytesMax);
  if (!decoded) return std::move(decoded).error();
  raw = std::move(*decoded);
  RowReader in(raw);
  if (!in.holds(count, 1 + kLengthPrefixBytes))
    return damaged("it says more records than it holds");
  std::vector<StoredEntry> entries(count);
  for (StoredEntry& entry : entries) {
    if (!read_entry(in, entry)) return damaged("a record of it cannot be read");
  }
  if (!in.done()) return damaged("bytes are left over");
  return entries;
}

}  // namespace egret::cloud
