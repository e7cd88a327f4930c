// Fuzz: what every entry is made of: a name, a function that takes any bytes, and inputs to begin
// with. Promises: an entry breaks only by require(), a sanitizer, time or memory; the same input
// does the same again. Leaves to others: making inputs (libFuzzer, run.py), reading files
// (replay_main.cpp).
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "schemas/types.h"

namespace egret::fuzz {

struct Entry {
  const char* name;
  void (*run)(ByteView input);
  std::vector<Bytes> (*seeds)();
};

inline std::vector<Entry>& entries() {
  static std::vector<Entry> all;
  return all;
}
// At namespace scope of NAME_fuzz.cpp. With libFuzzer it is the only one of its program.
struct Registered {
  explicit Registered(Entry entry) { entries().push_back(entry); }
};

// What must be true whatever comes in.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: broken: %s\n", what);
  std::abort();
}

// Bytes as choices; when they are used up, every choice is zero.
class Script {
 public:
  explicit Script(ByteView bytes) : left_(bytes) {}
  bool over() const { return left_.empty(); }
  uint8_t u8() { return static_cast<uint8_t>(number(1)); }
  uint16_t u16() { return static_cast<uint16_t>(number(2)); }
  uint64_t u64() { return number(8); }
  bool once_in(uint8_t n) { return u8() % n == 1; }
  size_t below(size_t bound) { return bound == 0 ? 0 : (bound <= 256 ? u8() : u16()) % bound; }
  // Small ones mostly, and the ends of the range.
  uint64_t any_number() {
    const uint8_t how = u8();
    if (how < 200) return how;
    if (how < 225) return u16();
    if (how < 245) return u64();
    return UINT64_MAX - (how - 245);
  }
  Bytes bytes(size_t n) {
    const size_t there = std::min(n, left_.size());
    Bytes out(left_.substr(0, there));
    left_.remove_prefix(there);
    return out;
  }
  ByteView rest() const { return left_; }

 private:
  uint64_t number(size_t n) {
    uint64_t out = 0;
    for (size_t i = 0; i < n && !left_.empty(); i++, left_.remove_prefix(1))
      out = out << 8 | uint8_t(left_[0]);
    return out;
  }
  ByteView left_;
};

inline Bytes tagged(uint8_t tag, ByteView bytes) {
  return Bytes(1, static_cast<char>(tag)).append(bytes);
}

}  // namespace egret::fuzz
