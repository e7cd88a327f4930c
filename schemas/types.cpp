#include "schemas/types.h"

#include <openssl/sha.h>

#include "schemas/limits.h"

namespace egret {

std::string hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (unsigned char b : bytes) {
    out.push_back(kDigits[b >> 4]);
    out.push_back(kDigits[b & 15]);
  }
  return out;
}

bool valid_facility(std::string_view name) {
  if (name.empty() || name.size() > kFacilityCharsMax) return false;
  for (char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
  }
  return true;
}

std::string shard_of(const Facility& fac) {
  Hash h;
  SHA256(reinterpret_cast<const uint8_t*>(fac.data()), fac.size(), h.data());
  return hex(view(h).substr(0, 1));
}

const char* name_of(StreamId stream) {
  switch (stream) {
    case StreamId::critical: return "critical";
    case StreamId::result: return "result";
    case StreamId::telemetry: return "telemetry";
    case StreamId::bulk: return "bulk";
  }
  return "unknown";
}

void Entropy::fill(uint8_t* out, size_t n) {
  for (size_t i = 0; i < n; i += 8) {
    uint64_t x = next();
    std::memcpy(out + i, &x, n - i < 8 ? n - i : 8);
  }
}

}  // namespace egret
