// Fuzz entry: decode takes any bytes and gives exactly raw_len bytes or an error; encode is
// bit-exact.
#include "schemas/chain.h"
#include "schemas/codec.h"
#include "schemas/kv.h"
#include "schemas/limits.h"
#include "tests/fuzz/fuzz.h"

using namespace egret;
using fuzz::require;

namespace {

// Input: codec(1) · raw_len(3) · bytes.
void run(ByteView input) {
  constexpr size_t kHead = 4;
  if (input.size() < kHead) return;
  const ByteView bytes = input.substr(kHead);
  const size_t raw_len = get_u32(input, 0) & 0xffffff;
  const uint8_t how = static_cast<uint8_t>(input[0]);
  if (auto raw = decode(CodecId(how % 3), 0, bytes, raw_len, kRawBodyBytesMax)) {
    require(raw->size() == raw_len, "what decodes has the length that was said");
  }

  const Encoded e = encode(bytes, CodecId::zstd, 1 + how % 6);
  auto back = decode(e.codec, e.dictionary, e.bytes, e.raw_len, bytes.size());
  require(back && *back == bytes, "decode(encode(x)) is x");
  const Encoded plain = encode(bytes, CodecId::stored, 1);
  auto stored = decode(plain.codec, plain.dictionary, plain.bytes, plain.raw_len, bytes.size());
  require(stored && *stored == bytes, "stored and zstd give the same");

  bool ok = false;
  Bytes again;
  for (ByteView record : split_records(bytes, ok)) append_record(again, record);
  require(ok ? again == bytes : again.empty(), "records are split whole, or not at all");
}

std::vector<Bytes> seeds() {
  Bytes records;
  for (const char* record : {"a", "bb", ""}) append_record(records, record);
  std::vector<Bytes> out;
  for (const Bytes& raw : {records, Bytes(3000, 'x'), Bytes()}) {
    for (const CodecId codec : {CodecId::stored, CodecId::zstd}) {
      const Encoded e = encode(raw, codec, 3);
      Bytes seed;
      put_u32(seed, static_cast<uint32_t>(raw.size()));
      seed[0] = static_cast<char>(e.codec);
      out.push_back(seed + e.bytes);
    }
  }
  return out;
}

const fuzz::Registered registered({"codec", run, seeds});

}  // namespace
