#include "schemas/frame.h"

#include <catch2/catch.hpp>

#include "schemas/limits.h"

using namespace egret;

namespace {

FramePrefix prefix_of(FrameType type) {
  return {kProtocolVersion, kSuite, type, SessionId{1, 2, 3, 4, 5, 6, 7, 8},
          Nonce{11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22}};
}

Bytes frame_of(FrameType type, size_t bytes) {
  Bytes f = encode_prefix(prefix_of(type));
  f.resize(std::max(bytes, f.size()), 'b');
  f.resize(bytes);
  return f;
}

Errc refusal(ByteView bytes) {
  auto f = parse_frame(bytes);
  REQUIRE(f.has_error());
  INFO(f.error().text);
  return f.error().code;
}

constexpr size_t kSealedMin = kFramePrefixBytes + kTagBytes;
constexpr size_t kHelloMin = kSealedMin + kHelloClearBytes + kSignatureBytes;

}  // namespace

TEST_CASE("the prefix is these 24 bytes and reads back") {
  const Bytes p = encode_prefix(prefix_of(FrameType::batch));
  CHECK(hex(p) ==
        "4531"
        "11"
        "03"
        "0102030405060708"
        "0b0c0d0e0f10111213141516");
  const Bytes whole = p + Bytes(kTagBytes + 5, 'x');
  auto f = parse_frame(whole);
  REQUIRE(f.has_value());
  CHECK(f->prefix.type == FrameType::batch);
  CHECK(f->prefix.sid == prefix_of(FrameType::batch).sid);
  CHECK(f->prefix.nonce == prefix_of(FrameType::batch).nonce);
  CHECK(f->clear_prefix == p);
  CHECK(f->sealed == Bytes(kTagBytes + 5, 'x'));
  CHECK(f->hello_clear.empty());
  CHECK(f->signature.empty());
}

TEST_CASE("a HELLO is prefix, kid and enc, sealed body, signature, with nothing between") {
  Bytes f = encode_prefix(prefix_of(FrameType::hello));
  f += Bytes(kHelloClearBytes, 'c') + Bytes(kTagBytes + 7, 's') + Bytes(kSignatureBytes, 'g');
  auto parsed = parse_frame(f);
  REQUIRE(parsed.has_value());
  CHECK(parsed->hello_clear == Bytes(kHelloClearBytes, 'c'));
  CHECK(parsed->sealed == Bytes(kTagBytes + 7, 's'));
  CHECK(parsed->signature == Bytes(kSignatureBytes, 'g'));
  CHECK(parsed->signed_part == ByteView(f).substr(0, f.size() - kSignatureBytes));
}

TEST_CASE("every length outside a type's bounds is refused, every one inside taken") {
  struct {
    FrameType type;
    size_t min, max;
  } const rows[] = {
      {FrameType::hello, kHelloMin, kHelloBytesMax},
      {FrameType::welcome, kSealedMin, kHelloBytesMax},
      {FrameType::batch, kSealedMin, kFrameBytesAgreedMax},
      {FrameType::ack, kSealedMin, kFrameBytesAgreedMax},
      {FrameType::need_hello, kFramePrefixBytes, kFramePrefixBytes},
  };
  for (const auto& row : rows) {
    CAPTURE(name_of(row.type));
    for (size_t n = 0; n < row.min; ++n) CHECK(refusal(frame_of(row.type, n)) == Errc::bad_frame);
    CHECK(parse_frame(frame_of(row.type, row.min)).has_value());
    CHECK(parse_frame(frame_of(row.type, row.max)).has_value());
    CHECK(refusal(frame_of(row.type, row.max + 1)) == Errc::bad_frame);
  }
}

TEST_CASE("another magic, type, version or suite is refused for what it is") {
  const Bytes good = frame_of(FrameType::ack, kSealedMin);
  for (size_t at : {0, 1}) {
    Bytes f = good;
    f[at] ^= 1;
    CHECK(refusal(f) == Errc::bad_frame);
  }
  for (int v = 0; v < 256; ++v) {
    Bytes f = good;
    f[2] = char(v);
    CAPTURE(v);
    if (v == (kProtocolVersion << 4 | kSuite)) {
      CHECK(parse_frame(f).has_value());
    } else {
      CHECK(refusal(f) == Errc::unsupported);
    }
    f = good;
    f[3] = char(v);
    if (v == 0 || v > 5) CHECK(refusal(f) == Errc::bad_frame);
  }
}

TEST_CASE("NEED_HELLO is a prefix alone and echoes the nonce it answers") {
  const auto p = prefix_of(FrameType::need_hello);
  const Bytes f = need_hello_frame(p.sid, p.nonce);
  CHECK(f == encode_prefix(p));
  auto parsed = parse_frame(f);
  REQUIRE(parsed.has_value());
  CHECK(parsed->prefix.type == FrameType::need_hello);
  CHECK(parsed->prefix.nonce == p.nonce);
  CHECK(parsed->sealed.empty());
}
