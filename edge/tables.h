// Tables: the rows and keys of the edge's store, as bytes: the format on disk.
// Promises: what encode wrote, decode reads; a row of another length or with an unknown number is corrupt,
// never half read. Numbers below are never reused.
// Leaves to others: what is written together (Buffer), the bytes of a block (block.h), the files (Kv).
//
// Integers are big-endian, so that keys sort by number. An epoch is named by its number (u32, in the order of
// minting, never reused): short, and old epochs come first.
//
//   space 0, by the first byte of the key
//     'm'                            the store: format u32, store id 16, next epoch number u32, finished count
//                                    u64 and hash 32, parked blocks u64, counters (accepted, shed, refused,
//                                    corrupt, exposed) 5 x u64, facility (the rest)
//     'e' no u32                     an epoch that is not finished: id u64, then for each stream that holds or
//                                    held something: stream u8, flags u8 (1 moving, 2 moved), P u64, c_P 32,
//                                    B u64, head u64, c_head 32, bytes ever u64, bytes purged u64, moved to u64
//     'b' no u32 stream u8 last u64  a border: first u64, count u32, c 32, gap u8, reason u8, compressed bytes
//                                    of the stream up to here u64, appended (UTC, us) i64, raw length u32
//     'f' index u64                  a finished epoch: h 32 up to and with this entry, FinishedEpoch (es1.proto)
//     'g' epoch id u64               its index u64
//   space 1 + stream                 no u32, first u64: a block: codec u8, dictionary u32, raw length u32, bytes
//   space 5                          no u32, stream u8, first u64: a parked block: count u32, reason u8, appended
//                                    i64, SHA-256(block) 32, then the block as above. `no` may name an epoch that is
//                                    long finished.
//
// Of a stream, [B, head] has borders, (P, head] blocks or gaps, except that (P, moved to] of a stream that is
// moving or moved lives on in another epoch.
#pragma once

#include "edge/view.h"
#include "schemas/kv.h"

namespace egret::edge {

// Spaces of the edge's Kv. On disk; never renumbered.
inline constexpr Space kMetaSpace = 0;
inline constexpr Space kBlockSpace = 1;  // kBlockSpace + stream: one space a lane, so that its files drop whole
inline constexpr Space kParkedSpace = 5;
inline constexpr Space kEdgeSpaces = 6;

using EpochNo = uint32_t;

struct StoreRow {
  uint32_t format = 0;
  StoreId store_id{};
  EpochNo next_epoch = 1;
  uint64_t finished_count = 0;
  Hash finished_hash{};
  uint64_t parked_blocks = 0;
  Counters counters;
  Facility fac;
};

struct StreamRow : StreamView {
  Seq moved_to;  // re-homed up to here; P when a re-homing begins
};
struct EpochRow {
  EpochId id;
  std::array<StreamRow, kStreamCount> streams;
  StreamRow& at(StreamId s) { return streams[static_cast<size_t>(s)]; }
  const StreamRow& at(StreamId s) const { return streams[static_cast<size_t>(s)]; }
};

struct BorderRow {
  Seq first;
  Seq last;  // in the key
  uint32_t count = 0;
  Hash c{};
  GapKind gap = GapKind::none;
  GapReason reason = GapReason::none;
  uint64_t bytes_to = 0;
  WallTime appended;
  uint32_t raw_len = 0;
};

struct ParkedRow {
  StreamId stream = StreamId::critical;  // in the key
  uint32_t count = 0;
  GapReason reason = GapReason::none;
  WallTime appended;
  Bytes block;
  bool whole = true;  // read back as it was written: no border proves a parked block any more
};

struct FinishedRow {
  Hash hash{};
  Bytes entry;
};

Bytes store_key();
Bytes epoch_key(EpochNo no);
Bytes border_key(EpochNo no, StreamId stream, Seq last);
Bytes finished_key(uint64_t index);
Bytes finished_id_key(EpochId id);
Bytes block_key(EpochNo no, Seq first);
Bytes parked_key(EpochNo no, StreamId stream, Seq first);
inline Space block_space(StreamId stream) { return Space(kBlockSpace + Space(stream)); }
// One past every key that begins with `prefix`.
Bytes after_prefix(Bytes prefix);

Bytes encode(const StoreRow& row);
Bytes encode(const EpochRow& row);
Bytes encode(const BorderRow& row);
Bytes encode(const ParkedRow& row);
Bytes encode(const FinishedRow& row);
// Errors: newer_format (a later program wrote it), corrupt.
Result<StoreRow> decode_store(ByteView value);
// Errors of these: corrupt.
Result<EpochRow> decode_epoch(const Facility& fac, ByteView value);
Result<BorderRow> decode_border(ByteView key, ByteView value);
Result<ParkedRow> decode_parked(ByteView key, ByteView value);
Result<FinishedRow> decode_finished(ByteView value);

// An epoch in which nothing has been appended.
EpochRow fresh_epoch(const Facility& fac, EpochId id);

}  // namespace egret::edge
