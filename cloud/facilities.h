// Facilities: how each site stands, computed from the store alone: the table of the page, of
// /api/facilities and of `egret-cloud facilities`.
// Promises: reads only; numbers never wrap; the most needy site comes first; no patient data.
// Leaves to others: showing it (page, cli), when to ask (server).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cloud/safe.h"
#include "cloud/store.h"

namespace egret::cloud {

// Why a site wants a person, most urgent last. On the page in these words.
enum class Attention : uint8_t {
  none,
  revoked,
  behind,
  quarantine,
  gap,
  never_seen,
  silent,
  incident
};
const char* name_of(Attention attention);

struct RowView {
  StreamKey key;
  Seq w;        // complete up to here
  Seq claimed;  // the site says it holds this much
  Seq safe;     // S: the site may delete up to here
  bool final = false, moved = false, finished = false, unverified = false;
};

struct FacilityView {
  Facility fac;
  bool revoked = false, blocked = false;
  std::string district, name;       // as an operator has said (site_names.h)
  size_t keys = 0;                  // that may speak as it
  FacilityRow row;                  // last_seen, last_progress, counters and the site's own vitals
  std::vector<RowView> rows;        // open ones, and finished ones that are not complete
  uint64_t rows_finished = 0;       // complete and left out of `rows`
  uint64_t behind = 0;              // records claimed and not committed
  std::vector<Incident> incidents;  // open ones
  std::optional<double> records_per_s;
  std::optional<int64_t> eta_ms;  // until nothing is behind, at that rate
  bool silent = false;            // it has not spoken for long
  bool stalled = false;           // something is behind, and nothing of it came for long
  Attention attention = Attention::none;
  bool complete() const { return behind == 0 && row.gap_records == 0 && incidents.empty(); }
};

inline constexpr int64_t kSilentAfterMs = 15 * 60 * 1000;
struct FacilitiesQuery {
  WallTime now;
  SafePolicy safe = SafePolicy::by_default;
  int64_t safe_age_ms = 72LL * 3600 * 1000;
  int64_t silent_after_ms = kSilentAfterMs;  // no HELLO for this long: silent
  int64_t stalled_after_ms =
      10 * 60 * 1000;  // something waits, and none of it came for this long: behind
  // Measured by a running server; without it the rate comes from the rows' marks.
  const std::map<Facility, double>* rates = nullptr;
};

// Sorted by attention, then by how much is behind, then by name.
Result<std::vector<FacilityView>> facilities(Store& store, const FacilitiesQuery& query);

// Of one; nullopt: no such site.
Result<std::optional<FacilityView>> facility(Store& store, const Facility& fac, const FacilitiesQuery& query);

// Days until the site's disk budget is full; nullopt: it is not growing, or not known.
std::optional<double> disk_days_left(const Vitals& vitals);
// The same as JSON: days with one digit, or null.
std::string disk_days_json(const Vitals& vitals);

// One object: {"now":…, "facilities":[…]}; times are RFC 3339 in UTC or null, ages in seconds.
std::string to_json(const std::vector<FacilityView>& views, WallTime now);

}  // namespace egret::cloud
