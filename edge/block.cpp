#include "edge/block.h"

#include <spdlog/fmt/fmt.h>

#include "schemas/chain.h"
#include "schemas/codec.h"
#include "schemas/limits.h"

namespace egret::edge {
namespace {

constexpr size_t kPackedHeaderBytes = 1 + 4 + 4;

Error corrupt_block(const char* why) {
  return {Errc::corrupt, fmt::format("edge store: a block {}", why)};
}

// The raw form (chain.h) as it is stored.
Bytes pack(ByteView raw) {
  const Encoded encoded = encode(raw, CodecId::zstd, kIngestZstdLevel);
  Bytes packed;
  packed.reserve(kPackedHeaderBytes + encoded.bytes.size());
  packed.push_back(char(encoded.codec));
  put_u32(packed, encoded.dictionary);
  put_u32(packed, encoded.raw_len);
  return packed += encoded.bytes;
}

Block finish(Bytes& raw, std::vector<Hash>& leaves, WallTime now) {
  Block block;
  block.count = uint32_t(leaves.size());
  block.appended = now;
  block.raw_len = uint32_t(raw.size());
  block.packed = pack(raw);
  block.leaves = std::move(leaves);
  raw.clear();
  leaves.clear();
  return block;
}

}  // namespace

std::vector<Block> cut_blocks(std::span<const ByteView> records, WallTime now) {
  std::vector<Block> blocks;
  Bytes raw;
  std::vector<Hash> leaves;
  for (ByteView record : records) {
    const size_t size = kLengthPrefixBytes + record.size();
    const bool full = leaves.size() == kBlockRecordsMax || raw.size() + size > kBlockRawBytesMax;
    if (full) blocks.push_back(finish(raw, leaves, now));
    append_record(raw, record);
    leaves.push_back(leaf_of(record));
  }
  if (!leaves.empty()) blocks.push_back(finish(raw, leaves, now));
  return blocks;
}

Result<OpenBlock> open_block(ByteView packed) {
  if (packed.size() < kPackedHeaderBytes) return corrupt_block("is shorter than its header");
  Result<Bytes> raw =
      decode(CodecId(packed[0]), get_u32(packed, 1), packed.substr(kPackedHeaderBytes),
             get_u32(packed, 5), kBlockRawBytesMax);
  if (!raw) return corrupt_block("does not decode to what was written");
  bool ok = false;
  const std::vector<ByteView> records = split_records(*raw, ok);
  if (!ok) return corrupt_block("does not hold whole records");
  std::vector<Hash> leaves = leaves_of(records);
  return OpenBlock{std::move(*raw), std::move(leaves)};
}

Result<OpenBlock> open_block(ByteView packed, uint32_t count) {
  Result<OpenBlock> open = open_block(packed);
  if (open && open->leaves.size() != count)
    return corrupt_block("does not hold the records it was written with");
  return open;
}

Result<OpenBlock> open_block(ByteView packed, const BorderRow& border, const Hash& c_before) {
  Result<OpenBlock> open = open_block(packed, border.count);
  if (open && chain_extend(c_before, border.first, border.count, open->leaves) != border.c) {
    return corrupt_block("does not match the digest of its border");
  }
  return open;
}

}  // namespace egret::edge
