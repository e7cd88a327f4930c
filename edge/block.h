// Block: 1-256 records of one stream, at most 64 KiB raw: the unit of fsync, chain, shed and loss.
// Promises: cutting keeps the order of records and the limits; opening returns the very records
// that were packed, or an error, never something else. Leaves to others: the block's place and
// border (Buffer), the chain's rule (chain.h).
#pragma once

#include <span>

#include "edge/tables.h"

namespace egret::edge {

// A block, or a gap, on its way to a place in a stream.
struct Block {
  uint32_t count = 0;
  GapKind gap = GapKind::none;
  GapReason reason = GapReason::none;
  WallTime appended;
  uint32_t raw_len = 0;
  Bytes packed;              // as it is stored; empty for a gap
  std::vector<Hash> leaves;  // none for a gap
};

// Records of one stream, in order, as blocks.
std::vector<Block> cut_blocks(std::span<const ByteView> records, WallTime now);

// What a packed block holds.
struct OpenBlock {
  Bytes raw;
  std::vector<Hash> leaves;
};
// Errors: corrupt (undecodable, or not whole records).
Result<OpenBlock> open_block(ByteView packed);
// The same, of exactly `count` records.
Result<OpenBlock> open_block(ByteView packed, uint32_t count);
// The same, proven against the border. Errors: corrupt.
Result<OpenBlock> open_block(ByteView packed, const BorderRow& border, const Hash& c_before);

}  // namespace egret::edge
