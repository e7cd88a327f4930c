// Cut: makes one BATCH out of the blocks that follow a cursor.
// Promises: whole blocks and gaps only, in order; at least one; the frame it makes is at most
// `frame_bytes` unless a single block is larger. Leaves to others: when to send it, what to do when
// it is too large (Session).
#pragma once

#include <optional>

#include "edge/view.h"
#include "schemas/codec.h"
#include "schemas/es1.pb.h"

namespace egret::edge {

// How a batch is encoded: one step down each time the cloud cannot read it.
enum class Rung : uint8_t { normal, stored, single_block };

struct CutOrder {
  StreamKey key;
  Seq after;   // the cursor
  Seq border;  // B: below it the prefix is not known
  Seq head;
  Hash c_head{};
  size_t frame_bytes = 0;
  size_t raw_bytes = 0;  // what is expected to compress into frame_bytes
  Rung rung = Rung::normal;
  int zstd_level = 3;  // 0: codec `stored` on every rung
};

struct Cut {
  Bytes body;  // serialized es1::Batch
  Seq first, last;
  Hash c_last{};
  size_t raw_bytes = 0;
  uint32_t items = 0;
  std::optional<Seq> purged_to;  // it begins with GAP PURGED up to here
  std::optional<Seq>
      unreadable;  // the block at this number could not be read; nothing was cut if it is first
};

// nullopt: nothing can be read there now (it has just been purged or moved).
std::optional<Cut> cut_batch(const Reader& reader, const CutOrder& order);

}  // namespace egret::edge
