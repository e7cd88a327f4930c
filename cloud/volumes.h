// Volumes: how many records a site took in on each day, by its own clock as corrected, and how many it usually does: tables
// of space 5. So a backlog counts for the days it is about, and a device that went silent shows while the site is reachable.
// Promises: each record that took effect counts once, on one day, whatever repeats, re-homings and erasures do.
// Leaves to others: when they are made (Follower).
//
//   'V' stream first u64         what a block adds: for each day (UTC, u32, since 1970) its records u32
//   'v' fac day u32 stream u8    records of that day u64
#pragma once

#include <array>
#include <map>
#include <optional>
#include <vector>

#include "cloud/stored_block.h"
#include "cloud/tables.h"

namespace egret::cloud {

// What changed in one step of the Follower.
class Volumes {
 public:
  explicit Volumes(const Kv& kv) : kv_(kv) {}
  // A block as it is now; without entries: it is gone. Errors: corrupt, store_failed.
  Result<void> take(ByteView block, const std::vector<StoredEntry>& entries);
  // Errors: corrupt, store_failed.
  Result<void> write(KvBatch& batch);
  // Table 'V' alone, which is then forgotten here: for who goes through all blocks.
  void write_blocks(KvBatch& batch);
  void begin_anew();

 private:
  using Days = std::map<uint32_t, uint32_t>;
  Result<Days> stored(const Bytes& key) const;

  const Kv& kv_;
  std::map<Bytes, Days> blocks_;     // by key of 'V', as they are now
  std::map<Bytes, int64_t> change_;  // by key of 'v'
};

struct DayVolume {
  uint32_t day = 0;  // since 1970, UTC
  std::array<uint64_t, kStreamCount> received{};
  uint64_t all() const;
  // Median of the same weekday in the eight weeks before; of the 14 days before where fewer than three of those had any;
  // nullopt: fewer than three of these either.
  std::optional<uint64_t> expected;
};
// The last `days` days up to the one of `now`, whether or not something came. Errors: corrupt, store_failed.
Result<std::vector<DayVolume>> volumes(const Kv& kv, const Facility& fac, WallTime now, uint32_t days);

}  // namespace egret::cloud
