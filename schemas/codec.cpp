#include "schemas/codec.h"

#include <fmt/format.h>
#include <zstd.h>

#include <memory>

#include "schemas/limits.h"

namespace egret {
namespace {

// Contexts are 1 MB and more and take longer to make than a block takes to code: one a thread.
struct Free {
  void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
  void operator()(ZSTD_DCtx* d) const { ZSTD_freeDCtx(d); }
};
using Compressor = std::unique_ptr<ZSTD_CCtx, Free>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, Free>;

ZSTD_CCtx* compressor(int level) {
  thread_local const Compressor c(ZSTD_createCCtx());
  EGRET_INVARIANT(c != nullptr, "memory for a zstd context");
  ZSTD_CCtx_reset(c.get(), ZSTD_reset_session_and_parameters);
  ZSTD_CCtx_setParameter(c.get(), ZSTD_c_compressionLevel, level);
  return c.get();
}

ZSTD_DCtx* decompressor() {
  thread_local const Decompressor d(ZSTD_createDCtx());
  EGRET_INVARIANT(d != nullptr, "memory for a zstd context");
  return d.get();
}

// RFC 8878 section 3.1.1. The library reads older formats and frames to skip as well; we write
// neither.
constexpr ByteView kFrameMagic = "\x28\xb5\x2f\xfd";
constexpr size_t kDescriptorAt = 4, kWindowAt = 5;
constexpr uint8_t kSingleSegment = 1 << 5;

// Does the frame ask its reader to keep more than 2^kZstdWindowLogMax bytes? A single segment asks
// for what it holds, which raw_max bounds. The library checks this only where it decodes in pieces.
bool window_too_large(ByteView frame) {
  if (uint8_t(frame[kDescriptorAt]) & kSingleSegment) return false;
  const uint8_t window = uint8_t(frame[kWindowAt]);
  const size_t log = 10 + (window >> 3);
  return log > kZstdWindowLogMax || (log == kZstdWindowLogMax && (window & 7) != 0);
}

Error corrupt(const char* what) {
  return {Errc::corrupt, fmt::format("zstd: {}", what)};
}

// One frame, whole, without dictionary, that says it holds raw_len bytes: all before anything is
// allocated.
Result<void> check_zstd(ByteView bytes, size_t raw_len) {
  if (bytes.substr(0, kFrameMagic.size()) != kFrameMagic) return corrupt("not a frame");
  const unsigned long long content = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (content == ZSTD_CONTENTSIZE_ERROR) return corrupt("the frame's header is cut short");
  if (content == ZSTD_CONTENTSIZE_UNKNOWN)
    return corrupt("the frame does not say how much it holds");
  if (content != raw_len) {
    return Error{Errc::corrupt,
                 fmt::format("zstd: the frame holds {} bytes, raw_len says {}", content, raw_len)};
  }
  if (window_too_large(bytes)) {
    return Error{Errc::too_large, fmt::format("zstd: window over 2^{} bytes", kZstdWindowLogMax)};
  }
  const unsigned dictionary = ZSTD_getDictID_fromFrame(bytes.data(), bytes.size());
  if (dictionary != 0) {
    return Error{Errc::unsupported,
                 fmt::format("zstd: dictionary {} is not known here", dictionary)};
  }
  const size_t frame = ZSTD_findFrameCompressedSize(bytes.data(), bytes.size());
  if (ZSTD_isError(frame)) return corrupt("the frame is cut short or damaged");
  if (frame != bytes.size()) return corrupt("more follows after the frame");
  return {};
}

Result<Bytes> decode_zstd(ByteView bytes, size_t raw_len) {
  if (auto checked = check_zstd(bytes, raw_len); !checked) return checked.error();
  Bytes raw(raw_len, '\0');
  const size_t n =
      ZSTD_decompressDCtx(decompressor(), raw.data(), raw.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(n) || n != raw_len) return corrupt("does not decode to what the frame says");
  return raw;
}

}  // namespace

Encoded encode(ByteView raw, CodecId codec, int level) {
  EGRET_INVARIANT(raw.size() <= UINT32_MAX, "raw_len holds the size");
  Encoded out;
  out.raw_len = uint32_t(raw.size());
  if (codec == CodecId::zstd) {
    out.bytes.resize(ZSTD_compressBound(raw.size()));
    const size_t n = ZSTD_compress2(compressor(level), out.bytes.data(), out.bytes.size(),
                                    raw.data(), raw.size());
    EGRET_INVARIANT(!ZSTD_isError(n), "zstd takes any bytes");
    if (n < raw.size()) {
      out.codec = CodecId::zstd;
      out.bytes.resize(n);
      out.bytes.shrink_to_fit();
      return out;
    }
  }
  out.bytes.assign(raw);
  return out;
}

Result<Bytes> decode(CodecId codec, DictionaryId dictionary, ByteView bytes, size_t raw_len,
                     size_t raw_max) {
  if (raw_len > raw_max) {
    return Error{Errc::too_large, fmt::format("raw_len: {} bytes, at most {}", raw_len, raw_max)};
  }
  if (dictionary != 0) {
    return Error{Errc::unsupported, fmt::format("dictionary {} is not known here", dictionary)};
  }
  switch (codec) {
    case CodecId::stored:
      if (bytes.size() != raw_len) {
        return Error{Errc::corrupt,
                     fmt::format("stored: {} bytes, raw_len says {}", bytes.size(), raw_len)};
      }
      return Bytes(bytes);
    case CodecId::zstd:
      return decode_zstd(bytes, raw_len);
  }
  return Error{Errc::unsupported, fmt::format("codec {} is not known here", uint8_t(codec))};
}

}  // namespace egret
