// Chain: the hash that runs over the blocks of one (epoch, stream) and proves how far two sides
// agree.
// Promises: equal (W, c) means equal history up to W, record byte for record byte.
// Leaves to others: where borders and leaves are kept (edge/buffer, cloud/store).
#pragma once

#include <span>
#include <vector>

#include "schemas/types.h"

namespace egret {

Hash sha256(ByteView bytes);

// leaf = SHA-256(u32 little-endian length ‖ record bytes).
Hash leaf_of(ByteView record);

// c_0 = SHA-256("es1" ‖ fac ‖ u64 big-endian epoch ‖ u8 stream).
Hash chain_start(const Facility& fac, StreamKey key);

// c_k = SHA-256(c_{k-1} ‖ u64 big-endian first ‖ u32 big-endian count ‖ leaf_1 ‖ … ‖ leaf_n).
// A block that is born as a gap (a re-homed one) has a count and no leaves.
Hash chain_extend(const Hash& before, Seq first, uint32_t count, std::span<const Hash> leaves);

// The raw form of a block and of a batch's records: u32 little-endian length ‖ record bytes,
// repeated.
void append_record(Bytes& raw, ByteView record);
// The records of `raw`, as views into it. `ok` is false and the answer empty (never partial) when a
// length does not fit or there are more than kBatchRecordsMax.
std::vector<ByteView> split_records(ByteView raw, bool& ok);
// One leaf a record, in order.
std::vector<Hash> leaves_of(std::span<const ByteView> records);

}  // namespace egret
