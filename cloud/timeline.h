// Timeline: how each site, and all of them together, stood in each minute of the last 24 hours, as a running service saw it.
// Promises: what was seen outlives the service: a kill loses the minute that goes on, no more; a minute in which nobody looked is told as
// such; a site that stands still costs nothing; rows that are older go. No patient's data.
// Leaves to others: when to look (Live), what a site's numbers mean (facilities).
//
//   'A' fac minute u32   a site, in a minute (since 1970) at whose end something of it was otherwise than before: version u8 (1), attention u8,
//                        linked u8, records u64, behind u64, gap records u64, last seen i64
//   'A' 0 minute u32     all of them, in each minute that somebody looked: version u8 (1), records u64, behind u64, wanting u32, silent u32
//
// "Linked": it was heard within the time in which two of its greetings are due. Several processes over one store write the same.
#pragma once

#include <deque>
#include <map>
#include <span>

#include "cloud/facilities.h"
#include "schemas/kv.h"

namespace egret::cloud {

inline constexpr int64_t kTimelineMinutes = 24 * 60;
inline constexpr size_t kTimelineSitesAMinute = 4'096;  // written of one minute; the others of its sites with the next one

struct RegionMinute {
  int64_t minute = 0;  // since 1970
  uint64_t records = 0, behind = 0;
  uint32_t wanting = 0, silent = 0;
  bool operator==(const RegionMinute&) const = default;
};
struct SiteMinute {
  int64_t minute = 0;
  Attention attention = Attention::none;
  bool linked = false;
  uint64_t records = 0, behind = 0, gap_records = 0;
  WallTime last_seen;
  bool operator==(const SiteMinute&) const = default;
};

Bytes encode(const RegionMinute& row);
Bytes encode(const SiteMinute& row);
// Without the minute, which is in the key. Errors: corrupt.
Result<RegionMinute> decode_region_minute(ByteView value);
Result<SiteMinute> decode_site_minute(ByteView value);

// On the store's thread alone.
class Timeline {
 public:
  explicit Timeline(int64_t lost_after_ms) : lost_after_ms_(lost_after_ms) {}

  // What stands in the store, once. Errors: corrupt, store_failed.
  Result<void> begin(const Kv& kv, WallTime now);
  // How they stand now. Writes what is known of the minutes before, when a new one has begun. Errors: as a write's; what could not be
  // written is written with the next minute.
  Result<void> look(Kv& kv, std::span<const FacilityView> views, WallTime now);
  // The minute that goes on, too: before the end.
  Result<void> write(Kv& kv);

  // The oldest first; the last one goes on.
  const std::deque<RegionMinute>& region() const { return region_; }
  // The same of a site, where something of it changed; before the first it is not known. Errors: corrupt, store_failed.
  Result<std::vector<SiteMinute>> site(const Kv& kv, const Facility& fac) const;

 private:
  struct Site {
    SiteMinute now;
    SiteMinute written;  // minute 0: nothing yet
  };
  int64_t oldest() const { return minute_ - kTimelineMinutes; }

  const int64_t lost_after_ms_;
  int64_t minute_ = 0;       // that goes on
  bool begun_ = false;
  std::deque<RegionMinute> region_;
  int64_t region_written_ = 0;
  std::map<Facility, Site> sites_;
  Facility next_;            // whose turn it is, where not all could be written
};

}  // namespace egret::cloud
