// Fuzz entry: decode takes any bytes and gives exactly raw_len bytes or an error; encode is
// bit-exact.
#include <cstdlib>

#include "schemas/chain.h"
#include "schemas/codec.h"
#include "schemas/limits.h"

using namespace egret;

// Input: codec(1) · raw_len(3) · bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kHead = 4;
  if (size < kHead) return 0;
  const ByteView bytes(reinterpret_cast<const char*>(data) + kHead, size - kHead);
  const size_t raw_len = size_t(data[1]) << 16 | size_t(data[2]) << 8 | data[3];
  if (auto raw = decode(CodecId(data[0] % 3), 0, bytes, raw_len, kRawBodyBytesMax)) {
    if (raw->size() != raw_len) std::abort();
  }

  const Encoded e = encode(bytes, CodecId::zstd, 1 + data[0] % 6);
  auto back = decode(e.codec, e.dictionary, e.bytes, e.raw_len, bytes.size());
  if (!back || *back != bytes) std::abort();

  bool ok = false;
  Bytes again;
  for (ByteView record : split_records(bytes, ok)) append_record(again, record);
  if (ok ? again != bytes : !again.empty()) std::abort();
  return 0;
}
