// Types: the words both sides speak in: bytes, hashes, streams, epochs, sequence numbers, times.
// Promises: numbers that must not be mixed up do not convert into each other; a difference never wraps.
// Leaves to others: how large each may be (limits.h), what is hashed (chain.h), encoding (frame.h).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace egret {

using Bytes = std::string;  // raw bytes; never text unless a name says so
using ByteView = std::string_view;
using Hash = std::array<uint8_t, 32>;   // SHA-256
using Nonce = std::array<uint8_t, 12>;  // AES-GCM nonce, and what an answer echoes
using SessionId = std::array<uint8_t, 8>;
using StoreId = std::array<uint8_t, 16>;

template <size_t N>
ByteView view(const std::array<uint8_t, N>& a) {
  return {reinterpret_cast<const char*>(a.data()), N};
}
// The first N bytes of `b`; the caller has checked that there are as many.
template <size_t N>
std::array<uint8_t, N> take(ByteView b) {
  std::array<uint8_t, N> a{};
  std::memcpy(a.data(), b.data(), N);
  return a;
}
std::string hex(ByteView bytes);

// A facility's name: 1-32 of [a-z0-9-]; equals the certificate subject and the MQTT user name.
using Facility = std::string;
bool valid_facility(std::string_view name);
// First byte of SHA-256(fac) as two hex digits: the topic level that reconcilers split work by.
std::string shard_of(const Facility& fac);

// A stream is a lane: stored and sent as a number, never renumbered. Only telemetry may be shed.
enum class StreamId : uint8_t { critical = 0, result = 1, telemetry = 2, bulk = 3 };
inline constexpr size_t kStreamCount = 4;
const char* name_of(StreamId stream);

// One run of an agent; random, never 0, never used by a second process.
struct EpochId {
  uint64_t value = 0;
  auto operator<=>(const EpochId&) const = default;
};

// Numbers the records of one (epoch, stream), dense from 1. 0 means "none yet".
struct Seq {
  uint64_t value = 0;
  auto operator<=>(const Seq&) const = default;
  Seq operator+(uint64_t n) const { return {value + n}; }
  Seq next() const { return {value + 1}; }
};
// How many records lie in (from, to]; 0 when `to` is not past `from`, so a watermark that is ahead never wraps.
inline uint64_t span(Seq from, Seq to) { return to.value > from.value ? to.value - from.value : 0; }

// Names one row of the ledger inside a facility.
struct StreamKey {
  EpochId epoch;
  StreamId stream = StreamId::critical;
  auto operator<=>(const StreamKey&) const = default;
};

// Monotonic time in milliseconds since some start; comes in with every event, never read inside the core.
struct MonoTime {
  int64_t ms = 0;
  auto operator<=>(const MonoTime&) const = default;
  MonoTime operator+(int64_t d) const { return {ms + d}; }
  int64_t operator-(MonoTime o) const { return ms - o.ms; }
};
// UTC in microseconds since 1970. For people and reports; no safety rule reads it.
struct WallTime {
  int64_t us = 0;
  auto operator<=>(const WallTime&) const = default;
};
struct Now {
  MonoTime mono;
  WallTime wall;
};

// Where chance comes from: ids, nonces, jitter. The operating system in production, a seed in the simulator.
class Entropy {
 public:
  virtual ~Entropy() = default;
  virtual uint64_t next() = 0;
  void fill(uint8_t* out, size_t n);
  // Uniform in [0, bound); 0 when bound is 0.
  uint64_t below(uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
};

}  // namespace egret
