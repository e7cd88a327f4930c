#include "edge/tables.h"

#include <spdlog/fmt/fmt.h>

#include "schemas/chain.h"
#include "schemas/limits.h"

namespace egret::edge {
namespace {

constexpr uint8_t kMovingFlag = 1;
constexpr uint8_t kMovedFlag = 2;
constexpr size_t kStoreFixedBytes = 4 + 16 + 4 + 8 + 32 + 8 + 5 * 8;
constexpr size_t kStreamBytes = 1 + 1 + 8 + 32 + 8 + 8 + 32 + 8 + 8 + 8;
constexpr size_t kBorderBytes = 8 + 4 + 32 + 1 + 1 + 8 + 8 + 4;
constexpr size_t kParkedFixedBytes = 4 + 1 + 8 + 32;
constexpr size_t kBorderKeyBytes = 1 + 4 + 1 + 8;
constexpr size_t kParkedKeyBytes = 4 + 1 + 8;

// Reads a row from front to back; the caller has checked its length.
class Cursor {
 public:
  explicit Cursor(ByteView bytes) : bytes_(bytes) {}
  uint8_t u8() { return uint8_t(bytes_[at_++]); }
  uint32_t u32() { return get_u32(bytes_, step(4)); }
  uint64_t u64() { return get_u64(bytes_, step(8)); }
  Seq seq() { return {u64()}; }
  template <size_t N>
  std::array<uint8_t, N> array() {
    return take<N>(bytes_.substr(step(N)));
  }
  ByteView rest() const { return bytes_.substr(at_); }

 private:
  size_t step(size_t n) {
    at_ += n;
    return at_ - n;
  }
  ByteView bytes_;
  size_t at_ = 0;
};

void put_u8(Bytes& out, uint8_t v) {
  out.push_back(char(v));
}

Error corrupt_row(const char* what, size_t size) {
  return {Errc::corrupt, fmt::format("edge store: a row of the table \"{}\" ({} bytes) is not as it was "
                                     "written; the store must be set aside and salvaged",
                                     what, size)};
}

Bytes key_of(char table) {
  return Bytes(1, table);
}

bool known(GapKind gap) {
  return gap <= GapKind::parked;
}
bool known(GapReason reason) {
  return reason <= GapReason::undecodable;
}

}  // namespace

Bytes store_key() {
  return key_of('m');
}

Bytes epoch_key(EpochNo no) {
  Bytes key = key_of('e');
  put_u32(key, no);
  return key;
}

Bytes border_key(EpochNo no, StreamId stream, Seq last) {
  Bytes key = key_of('b');
  put_u32(key, no);
  put_u8(key, uint8_t(stream));
  put_u64(key, last.value);
  return key;
}

Bytes finished_key(uint64_t index) {
  Bytes key = key_of('f');
  put_u64(key, index);
  return key;
}

Bytes finished_id_key(EpochId id) {
  Bytes key = key_of('g');
  put_u64(key, id.value);
  return key;
}

Bytes block_key(EpochNo no, Seq first) {
  Bytes key;
  put_u32(key, no);
  put_u64(key, first.value);
  return key;
}

Bytes parked_key(EpochNo no, StreamId stream, Seq first) {
  Bytes key;
  put_u32(key, no);
  put_u8(key, uint8_t(stream));
  put_u64(key, first.value);
  return key;
}

Bytes after_prefix(Bytes prefix) {
  while (!prefix.empty() && uint8_t(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

Bytes encode(const StoreRow& row) {
  Bytes out;
  put_u32(out, row.format);
  out += view(row.store_id);
  put_u32(out, row.next_epoch);
  put_u64(out, row.finished_count);
  out += view(row.finished_hash);
  put_u64(out, row.parked_blocks);
  const Counters& n = row.counters;
  for (uint64_t v : {n.accepted, n.shed, n.refused, n.corrupt, n.exposed}) put_u64(out, v);
  return out += row.fac;
}

Result<StoreRow> decode_store(ByteView value) {
  if (value.size() >= 4 && get_u32(value, 0) > kEdgeFormat) {
    return Error{Errc::newer_format,
                 fmt::format("edge store: written in format {}, this program knows formats up to {}; "
                             "install the newer program again, or set the store aside",
                             get_u32(value, 0), kEdgeFormat)};
  }
  if (value.size() < kStoreFixedBytes) return corrupt_row("store", value.size());
  Cursor in(value);
  StoreRow row;
  row.format = in.u32();
  row.store_id = in.array<16>();
  row.next_epoch = in.u32();
  row.finished_count = in.u64();
  row.finished_hash = in.array<32>();
  row.parked_blocks = in.u64();
  Counters& n = row.counters;
  for (uint64_t* v : {&n.accepted, &n.shed, &n.refused, &n.corrupt, &n.exposed}) *v = in.u64();
  row.fac = Facility(in.rest());
  if (row.format == 0 || !valid_facility(row.fac)) return corrupt_row("store", value.size());
  return row;
}

Bytes encode(const EpochRow& row) {
  Bytes out;
  put_u64(out, row.id.value);
  for (size_t i = 0; i < kStreamCount; ++i) {
    const StreamRow& s = row.streams[i];
    if (s.empty()) continue;
    put_u8(out, uint8_t(i));
    put_u8(out, uint8_t((s.moving ? kMovingFlag : 0) | (s.moved ? kMovedFlag : 0)));
    put_u64(out, s.purged.value);
    out += view(s.c_purged);
    put_u64(out, s.border.value);
    put_u64(out, s.head.value);
    out += view(s.c_head);
    for (uint64_t v : {s.bytes_total, s.bytes_purged, s.moved_to.value}) put_u64(out, v);
  }
  return out;
}

Result<EpochRow> decode_epoch(const Facility& fac, ByteView value) {
  if (value.size() < 8 || (value.size() - 8) % kStreamBytes != 0) {
    return corrupt_row("epoch", value.size());
  }
  Cursor in(value);
  EpochRow row = fresh_epoch(fac, {in.u64()});
  size_t next = 0;  // streams stand in the order of their numbers, each once
  while (!in.rest().empty()) {
    const uint8_t stream = in.u8();
    if (stream < next || stream >= kStreamCount) return corrupt_row("epoch", value.size());
    next = stream + size_t{1};
    StreamRow& s = row.streams[stream];
    const uint8_t flags = in.u8();
    if ((flags & ~(kMovingFlag | kMovedFlag)) != 0) return corrupt_row("epoch", value.size());
    s.moving = flags & kMovingFlag;
    s.moved = flags & kMovedFlag;
    s.purged = in.seq();
    s.c_purged = in.array<32>();
    s.border = in.seq();
    s.head = in.seq();
    s.c_head = in.array<32>();
    s.bytes_total = in.u64();
    s.bytes_purged = in.u64();
    s.moved_to = in.seq();
    if (s.empty() || s.border > s.purged || s.purged > s.head) return corrupt_row("epoch", value.size());
  }
  return row;
}

Bytes encode(const BorderRow& row) {
  Bytes out;
  put_u64(out, row.first.value);
  put_u32(out, row.count);
  out += view(row.c);
  put_u8(out, uint8_t(row.gap));
  put_u8(out, uint8_t(row.reason));
  put_u64(out, row.bytes_to);
  put_u64(out, uint64_t(row.appended.us));
  put_u32(out, row.raw_len);
  return out;
}

Result<BorderRow> decode_border(ByteView key, ByteView value) {
  if (key.size() != kBorderKeyBytes || value.size() != kBorderBytes) {
    return corrupt_row("border", value.size());
  }
  Cursor in(value);
  BorderRow row;
  row.first = in.seq();
  row.count = in.u32();
  row.c = in.array<32>();
  row.gap = GapKind(in.u8());
  row.reason = GapReason(in.u8());
  row.bytes_to = in.u64();
  row.appended = {int64_t(in.u64())};
  row.raw_len = in.u32();
  row.last = {get_u64(key, kBorderKeyBytes - 8)};
  if (row.count == 0 || row.first + (row.count - 1) != row.last || !known(row.gap) || !known(row.reason)) {
    return corrupt_row("border", value.size());
  }
  return row;
}

Bytes encode(const ParkedRow& row) {
  Bytes out;
  put_u32(out, row.count);
  put_u8(out, uint8_t(row.reason));
  put_u64(out, uint64_t(row.appended.us));
  out += view(sha256(row.block));
  return out += row.block;
}

Result<ParkedRow> decode_parked(ByteView key, ByteView value) {
  if (key.size() != kParkedKeyBytes || uint8_t(key[4]) >= kStreamCount ||
      value.size() < kParkedFixedBytes) {
    return corrupt_row("parked", value.size());
  }
  Cursor in(value);
  ParkedRow row;
  row.stream = StreamId(key[4]);
  row.count = in.u32();
  row.reason = GapReason(in.u8());
  row.appended = {int64_t(in.u64())};
  if (!known(row.reason)) row.reason = GapReason::unreadable;  // a flipped bit; the block may be whole
  const Hash hash = in.array<32>();
  row.block = Bytes(in.rest());
  row.whole = sha256(row.block) == hash;
  return row;
}

Bytes encode(const FinishedRow& row) {
  return Bytes(view(row.hash)) += row.entry;
}

Result<FinishedRow> decode_finished(ByteView value) {
  if (value.size() < 32) return corrupt_row("finished", value.size());
  return FinishedRow{take<32>(value), Bytes(value.substr(32))};
}

EpochRow fresh_epoch(const Facility& fac, EpochId id) {
  EpochRow row;
  row.id = id;
  for (size_t i = 0; i < kStreamCount; ++i) {
    row.streams[i].c_purged = row.streams[i].c_head = chain_start(fac, {id, StreamId(i)});
  }
  return row;
}

}  // namespace egret::edge
