// Codec: how the records of a block or a batch are made small. Every codec is bit-exact.
// Promises: decode(encode(x)) == x, byte for byte; a decoder allocates no more than the caller's
// raw_len.
// Leaves to others: which codec to use when (edge/session: the re-encode ladder), the chain that
// proves it.
#pragma once

#include "schemas/error.h"
#include "schemas/types.h"

namespace egret {

// On disk and on the wire. Add at the end; never reuse a number.
enum class CodecId : uint8_t { stored = 0, zstd = 1 };
// 0 is "no dictionary"; others come with packages later and are named in the frame from now on.
using DictionaryId = uint32_t;

struct Encoded {
  CodecId codec = CodecId::stored;
  DictionaryId dictionary = 0;
  uint32_t raw_len = 0;
  Bytes bytes;
};

// `level` is zstd's, 1-19; ignored by stored. Falls back to stored when zstd does not make it
// smaller.
Encoded encode(ByteView raw, CodecId codec, int level);

// Errors: too_large (raw_len over `raw_max`, window over 2^kZstdWindowLogMax), unsupported (codec
// or dictionary unknown), corrupt (does not decode to exactly raw_len bytes).
Result<Bytes> decode(CodecId codec, DictionaryId dictionary, ByteView bytes, size_t raw_len,
                     size_t raw_max);

}  // namespace egret
