// Gauges: the live values of telemetry, one a series: table 'g' of space 5.
// Promises: what comes late or from a backlog repaints nothing (rule 27); a series is named by what is measured, not by
// the run that measured it. Leaves to others: history (the records hold it), sums and histograms.
//
//   'g' fac series 32 boot 16   the last point of that boot: t u64 (ns), run u64, no value u8, content 32, value text,
//                               name text, unit text, labels text (JSON)
#pragma once

#include <functional>
#include <map>

#include "cloud/merge/gauge.h"
#include "cloud/view_tables.h"

namespace egret::v1 {  // generated: schemas/record.pb.h
class Resource;
class Series;
class TelemetryBatch;
}  // namespace egret::v1

namespace egret::cloud {

struct LiveValue {
  GaugePoint point;
  std::string value, name, unit, labels;  // value and labels as JSON
};

// What is measured, by everything of the resource but its session, and of the series but its points.
Hash series_id(const v1::Resource& resource, const v1::Series& series);
std::string labels_json(const v1::Series& series);

// What changed in one step of the Follower.
class Gauges {
 public:
  explicit Gauges(const Kv& kv) : kv_(kv) {}
  // Errors: corrupt, store_failed.
  Result<void> take(const Facility& fac, const v1::TelemetryBatch& batch, const Hash& content);
  void write(KvBatch& batch);
  void begin_anew() { held_.clear(); }

 private:
  const Kv& kv_;
  struct Held {
    LiveValue value;
    bool changed = false;
  };
  std::map<Bytes, std::optional<Held>> held_;  // by key
};

// The live value of each series of a facility (empty: of all); a series without one is left out.
using EachLive = std::function<bool(const Facility& fac, const LiveValue& value)>;
Result<void> each_live(const Kv& kv, const Facility& fac, const EachLive& each);

}  // namespace egret::cloud
