#include "schemas/frame.h"

#include <fmt/format.h>

#include "schemas/limits.h"
#include "schemas/mutants.h"

namespace egret {
namespace {

constexpr ByteView kMagic = "E1";
constexpr size_t kVersionAt = 2, kTypeAt = 3, kSidAt = 4, kNonceAt = 12;

static_assert(kNonceAt + sizeof(Nonce) == kFramePrefixBytes, "the prefix is its parts");
static_assert(kSidAt + sizeof(SessionId) == kNonceAt, "the prefix is its parts");

bool known(FrameType type) {
  return type >= FrameType::hello && type <= FrameType::need_hello;
}

struct Bounds {
  size_t min;
  size_t max;
};

Bounds bounds_of(FrameType type) {
  const size_t sealed = kFramePrefixBytes + kTagBytes;
  switch (type) {
    case FrameType::hello:
      return {sealed + kHelloClearBytes + kSignatureBytes, kHelloBytesMax};
    case FrameType::welcome:
      return {sealed, kHelloBytesMax};
    case FrameType::need_hello:
      return {kFramePrefixBytes, kFramePrefixBytes};
    case FrameType::batch:
    case FrameType::ack:
      return {sealed, kFrameBytesAgreedMax};
  }
  return {1, 0};
}

Error bad(std::string text) {
  return {Errc::bad_frame, std::move(text)};
}

}  // namespace

const char* name_of(FrameType type) {
  switch (type) {
    case FrameType::hello:
      return "HELLO";
    case FrameType::welcome:
      return "WELCOME";
    case FrameType::batch:
      return "BATCH";
    case FrameType::ack:
      return "ACK";
    case FrameType::need_hello:
      return "NEED_HELLO";
  }
  return "unknown";
}

Result<ParsedFrame> parse_frame(ByteView bytes) {
  if (bytes.size() < kFramePrefixBytes) {
    return bad(fmt::format("frame: {} bytes, at least {}", bytes.size(), kFramePrefixBytes));
  }
  if (bytes.substr(0, kMagic.size()) != kMagic) return bad("frame: does not begin with E1");
  ParsedFrame frame;
  FramePrefix& prefix = frame.prefix;
  prefix.version = uint8_t(bytes[kVersionAt]) >> 4;
  prefix.suite = uint8_t(bytes[kVersionAt]) & 15;
  if ((prefix.version != kProtocolVersion && !mutant(Mutant::frame_version_ignored)) ||
      prefix.suite != kSuite) {
    return Error{Errc::unsupported,
                 fmt::format("frame: version {} suite {}, this program speaks version {} suite {}",
                             prefix.version, prefix.suite, kProtocolVersion, kSuite)};
  }
  prefix.type = FrameType(bytes[kTypeAt]);
  if (!known(prefix.type))
    return bad(fmt::format("frame: type {} is unknown", uint8_t(prefix.type)));
  const Bounds bounds = bounds_of(prefix.type);
  if (bytes.size() < bounds.min || bytes.size() > bounds.max) {
    return bad(fmt::format("frame: {} of {} bytes, {} to {} allowed", name_of(prefix.type),
                           bytes.size(), bounds.min, bounds.max));
  }
  prefix.sid = take<sizeof(SessionId)>(bytes.substr(kSidAt));
  prefix.nonce = take<sizeof(Nonce)>(bytes.substr(kNonceAt));

  frame.clear_prefix = bytes.substr(0, kFramePrefixBytes);
  frame.sealed = bytes.substr(kFramePrefixBytes);
  if (prefix.type == FrameType::hello) {
    frame.hello_clear = frame.sealed.substr(0, kHelloClearBytes);
    frame.signed_part = bytes.substr(0, bytes.size() - kSignatureBytes);
    frame.signature = bytes.substr(bytes.size() - kSignatureBytes);
    frame.sealed = frame.signed_part.substr(kFramePrefixBytes + kHelloClearBytes);
  }
  return frame;
}

Bytes encode_prefix(const FramePrefix& prefix) {
  Bytes out;
  out.reserve(kFramePrefixBytes);
  out.append(kMagic);
  out.push_back(char(prefix.version << 4 | prefix.suite));
  out.push_back(char(prefix.type));
  out.append(view(prefix.sid));
  out.append(view(prefix.nonce));
  return out;
}

Bytes need_hello_frame(const SessionId& sid, const Nonce& answered) {
  return encode_prefix({kProtocolVersion, kSuite, FrameType::need_hello, sid, answered});
}

}  // namespace egret
