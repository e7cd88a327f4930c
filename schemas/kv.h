// Kv: an ordered map of bytes that both sides keep their state in: RocksDB in production, a model
// with crashes in the simulator. The code above it (edge/buffer, cloud/store_kv) is the same in
// both.
// Promises: a Batch is applied whole or not at all; after write(sync=true) returned ok it survives
// power loss.
// Leaves to others: what keys mean.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "schemas/error.h"
#include "schemas/types.h"

namespace egret {

// A space of keys with its own files. A range that is deleted in a space gives its disk back at
// once.
using Space = uint8_t;

struct KvOp {
  enum class What : uint8_t { put, erase, erase_range } what;
  Space space;
  Bytes key;    // erase_range: first key
  Bytes value;  // erase_range: one past the last key
};

class KvBatch {
 public:
  void put(Space space, Bytes key, Bytes value);
  void erase(Space space, Bytes key);
  void erase_range(Space space, Bytes first, Bytes end);  // [first, end); nothing when end <= first
  bool empty() const { return ops_.empty(); }
  const std::vector<KvOp>& ops() const { return ops_; }
  size_t bytes() const { return bytes_; }
  void clear();

 private:
  std::vector<KvOp> ops_;
  size_t bytes_ = 0;
};

class Kv {
 public:
  virtual ~Kv() = default;
  // Errors: store_failed (nothing may be assumed written; a failed sync is never retried),
  // disk_full, corrupt (damage was met beside it), unknown_outcome (only of a remote store).
  virtual Result<void> write(const KvBatch& batch, bool sync) = 0;
  // nullopt: no such key. Errors: corrupt, store_failed.
  virtual Result<std::optional<Bytes>> get(Space space, ByteView key) const = 0;
  // Calls `visit` for keys of [first, end) in order until it returns false. Errors: corrupt,
  // store_failed.
  using Visit = std::function<bool(ByteView key, ByteView value)>;
  virtual Result<void> scan(Space space, ByteView first, ByteView end,
                            const Visit& visit) const = 0;
  // The same from the last key of [first, end) backwards.
  virtual Result<void> scan_back(Space space, ByteView first, ByteView end,
                                 const Visit& visit) const = 0;
  // Bytes on disk, everything counted (logs, tables, manifests).
  virtual uint64_t disk_bytes() const = 0;
  // Gives the disk of [first, end) back: whole files at once, the rest soon, beside the caller. The
  // range must have been erased by a write that was synced, or a crash brings part of it back.
  virtual void reclaim(Space space, ByteView first, ByteView end) = 0;
};

// Big-endian integers keep numeric order in keys.
void put_u32(Bytes& out, uint32_t v);
void put_u64(Bytes& out, uint64_t v);
// 0 when `in` is shorter than `at` + the integer.
uint32_t get_u32(ByteView in, size_t at);
uint64_t get_u64(ByteView in, size_t at);

}  // namespace egret
