#include "schemas/codec.h"

#include <zstd.h>

#include <catch2/catch.hpp>
#include <random>

#include "schemas/limits.h"

using namespace egret;

namespace {

Bytes noise(size_t n) {
  std::mt19937 random(7);
  Bytes b(n, '\0');
  for (char& c : b) c = char(random());
  return b;
}

Bytes text(size_t n) {
  Bytes b;
  for (int i = 0; b.size() < n; ++i)
    b += "{\"series\":\"ward-3/heart_rate\",\"t\":" + std::to_string(i * 1000) + "},";
  b.resize(n);
  return b;
}

Errc refusal(CodecId codec, DictionaryId dictionary, ByteView bytes, size_t raw_len,
             size_t raw_max = kRawBodyBytesMax) {
  auto raw = decode(codec, dictionary, bytes, raw_len, raw_max);
  REQUIRE(raw.has_error());
  INFO(raw.error().text);
  return raw.error().code;
}

Errc zstd_refusal(ByteView bytes, size_t raw_len) {
  return refusal(CodecId::zstd, 0, bytes, raw_len);
}

struct Streaming {  // frames as others may write them
  ZSTD_CCtx* c = ZSTD_createCCtx();
  ~Streaming() { ZSTD_freeCCtx(c); }
  Bytes frame(ByteView raw, bool pledge) {
    Bytes out(ZSTD_compressBound(raw.size()) + 64, '\0');
    if (pledge) ZSTD_CCtx_setPledgedSrcSize(c, raw.size());
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    // In two pieces: given the whole at once, zstd knows its size.
    ZSTD_inBuffer half{raw.data(), raw.size() / 2, 0}, from{raw.data(), raw.size(), raw.size() / 2};
    REQUIRE_FALSE(ZSTD_isError(ZSTD_compressStream2(c, &to, &half, ZSTD_e_continue)));
    REQUIRE(ZSTD_compressStream2(c, &to, &from, ZSTD_e_end) == 0);
    out.resize(to.pos);
    return out;
  }
};

}  // namespace

TEST_CASE("every codec gives back what it was given, at every level and size") {
  for (const Bytes& raw :
       {Bytes(), Bytes("x"), text(1000), text(kBlockRawBytesMax), text(1 << 20), noise(5000)}) {
    for (int level : {1, 3, 19}) {
      const Encoded e = encode(raw, CodecId::zstd, level);
      CAPTURE(raw.size(), level, int(e.codec));
      CHECK(e.raw_len == raw.size());
      CHECK(e.bytes.size() <= raw.size());
      auto back = decode(e.codec, e.dictionary, e.bytes, e.raw_len, raw.size());
      REQUIRE(back.has_value());
      CHECK(*back == raw);
    }
    const Encoded stored = encode(raw, CodecId::stored, 3);
    CHECK(stored.codec == CodecId::stored);
    CHECK(stored.bytes == raw);
  }
}

TEST_CASE("zstd is used where it makes smaller and not where it does not") {
  CHECK(encode(text(1000), CodecId::zstd, 3).codec == CodecId::zstd);
  CHECK(encode(noise(1000), CodecId::zstd, 3).codec == CodecId::stored);
  CHECK(encode("", CodecId::zstd, 3).codec == CodecId::stored);
}

TEST_CASE("the largest body at the highest level still decodes within the window") {
  const Bytes page = text(4096);
  Bytes raw;
  while (raw.size() < kRawBodyBytesMax) raw += page;
  const Encoded e = encode(raw, CodecId::zstd, 19);
  auto back = decode(e.codec, 0, e.bytes, raw.size(), kRawBodyBytesMax);
  REQUIRE(back.has_value());
  CHECK((*back == raw));
}

TEST_CASE("raw_len over the limit, unknown codecs and dictionaries are refused by their names") {
  const Encoded e = encode(text(1000), CodecId::zstd, 3);
  CHECK(refusal(e.codec, 0, e.bytes, 1000, 999) == Errc::too_large);
  CHECK(refusal(CodecId(2), 0, e.bytes, 1000) == Errc::unsupported);
  CHECK(refusal(CodecId(255), 0, e.bytes, 1000) == Errc::unsupported);
  CHECK(refusal(e.codec, 1, e.bytes, 1000) == Errc::unsupported);
  CHECK(refusal(CodecId::stored, 0, "abc", 4) == Errc::corrupt);
  CHECK(refusal(CodecId::stored, 0, "abc", 2) == Errc::corrupt);
}

TEST_CASE("a zstd frame whose size disagrees with raw_len is refused") {
  const Encoded e = encode(text(1000), CodecId::zstd, 3);
  CHECK(zstd_refusal(e.bytes, 999) == Errc::corrupt);
  CHECK(zstd_refusal(e.bytes, 1001) == Errc::corrupt);
  CHECK(zstd_refusal(e.bytes, 0) == Errc::corrupt);
  // It does not say its size at all.
  CHECK(zstd_refusal(Streaming().frame(text(1000), false), 1000) == Errc::corrupt);
  CHECK(decode(CodecId::zstd, 0, Streaming().frame(text(1000), true), 1000, 1000).has_value());
}

TEST_CASE("cut frames, bytes after a frame, a second frame and a frame to skip are refused") {
  const Bytes raw = text(1000);
  const Bytes frame = encode(raw, CodecId::zstd, 3).bytes;
  for (size_t n = 0; n < frame.size(); ++n) {
    CAPTURE(n);
    CHECK(zstd_refusal(ByteView(frame).substr(0, n), raw.size()) == Errc::corrupt);
  }
  CHECK(zstd_refusal(frame + "x", raw.size()) == Errc::corrupt);
  CHECK(zstd_refusal(frame + frame, raw.size()) == Errc::corrupt);
  CHECK(zstd_refusal(frame + frame, 2 * raw.size()) == Errc::corrupt);
  const Bytes skip("\x50\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
  CHECK(zstd_refusal(skip, 0) == Errc::corrupt);
  CHECK(zstd_refusal(skip + frame, raw.size()) == Errc::corrupt);
}

TEST_CASE("a damaged zstd frame never decodes to something of another length") {
  const Bytes raw = text(2000);
  const Bytes frame = encode(raw, CodecId::zstd, 3).bytes;
  for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
    Bytes bad = frame;
    bad[bit / 8] ^= char(1 << bit % 8);
    auto back = decode(CodecId::zstd, 0, bad, raw.size(), kRawBodyBytesMax);
    if (back.has_value()) CHECK(back->size() == raw.size());  // the chain finds what zstd does not
  }
}

TEST_CASE("a frame made with a dictionary is refused by the dictionary's number") {
  // A raw-content dictionary has no number; a full one does. ZSTD_CCtx_refPrefix leaves none
  // either, so the number is put into a header by hand: descriptor with a 1-byte dictionary id.
  Bytes frame = Streaming().frame(text(1000), true);
  REQUIRE((uint8_t(frame[4]) & 3) == 0);
  frame[4] = char(uint8_t(frame[4]) | 1);
  const size_t id_at = (uint8_t(frame[4]) & 0x20) ? 5 : 6;
  frame.insert(id_at, 1, char(42));
  CHECK(zstd_refusal(frame, 1000) == Errc::unsupported);
}

TEST_CASE("a window over the limit is refused though the content would fit") {
  Streaming s;
  REQUIRE_FALSE(
      ZSTD_isError(ZSTD_CCtx_setParameter(s.c, ZSTD_c_windowLog, int(kZstdWindowLogMax) + 1)));
  const Bytes raw = text(kRawBodyBytesMax + (1 << 20));
  const Bytes frame = s.frame(raw, false);
  REQUIRE((uint8_t(frame[4]) & 0x20) == 0);
  // The size is put in by hand (4 bytes), for zstd would shrink the window to a size it knows.
  Bytes sized = frame;
  sized[4] = char(uint8_t(sized[4]) | 0x80);
  const uint32_t n = uint32_t(raw.size());
  sized.insert(6, Bytes(reinterpret_cast<const char*>(&n), 4));
  CHECK(refusal(CodecId::zstd, 0, sized, raw.size(), raw.size()) == Errc::too_large);
  sized[5] = char((kZstdWindowLogMax - 10) << 3);  // the same bytes with the window at the limit
  CHECK(decode(CodecId::zstd, 0, sized, raw.size(), raw.size()).has_value());
}

TEST_CASE("a bomb is refused by its claim, and stops at raw_len when the claim is a lie") {
  const Bytes zeros(kRawBodyBytesMax, '\0');
  const Encoded bomb = encode(zeros, CodecId::zstd, 19);
  REQUIRE(bomb.bytes.size() < 1024);
  CHECK(refusal(CodecId::zstd, 0, bomb.bytes, zeros.size(), 64 * kKiB) == Errc::too_large);
  CHECK(zstd_refusal(bomb.bytes, 1000) == Errc::corrupt);

  // The header says 1000 bytes, the blocks behind it hold 8 MiB.
  const Bytes honest = Streaming().frame(text(1000), true);
  const Bytes unsized = Streaming().frame(zeros, false);
  REQUIRE((uint8_t(unsized[4]) & 0xe0) == 0);
  Bytes lie = unsized;
  lie[4] = char(uint8_t(lie[4]) | 0x40);  // a 2-byte size, kept as size - 256
  lie.insert(6, Bytes("\xe8\x02", 2));
  CHECK(zstd_refusal(lie, 1000) == Errc::corrupt);
  // A claim far over what anyone may hold is refused before a byte is allocated: 2^60.
  Bytes huge = unsized;
  huge[4] = char(uint8_t(huge[4]) | 0xc0);
  huge.insert(6, Bytes("\0\0\0\0\0\0\0\x10", 8));
  CHECK(refusal(CodecId::zstd, 0, huge, size_t(1) << 60) == Errc::too_large);
  CHECK(zstd_refusal(huge, 1000) == Errc::corrupt);
}
