// Rollup: what is kept of telemetry when its points go: a minute and an hour of a series each as one bucket.
// Promises: a point counts once; buckets do not depend on the order in which points come, but for `last` among equal times
// (the greater value wins); nothing is rolled up that says nothing (FLAG_NO_RECORDED_VALUE).
// Leaves to others: when points go (retention.h), the commit (Txn::expire).
//
// Table 'u' of space 0, by facility and the series' id (gauges.h):
//   'u' fac series 32 grain 0            name text, unit text, labels text (JSON), kind u8
//   'u' fac series 32 grain u8 chunk u64 buckets of one chunk, in order: index u8, flags u8, points u32, last t u64 (ns), last
//                                        f64; flags 1: min, max, sum f64 each (else all are `last`); 2: observations u64 (of
//                                        histograms); 4: state text
// grain 1: a minute, 60 in a chunk; 2: an hour, 24 in a chunk. `chunk` is its number since 1970.
// A histogram's point adds its count to `observations` and its sum to `sum` when it is delta; when it is cumulative the
// latest point says both. min and max are the histogram's own, where it says them.
#pragma once

#include <functional>
#include <map>

#include "cloud/store.h"
#include "schemas/kv.h"

namespace egret::v1 {  // generated: schemas/record.pb.h
class TelemetryBatch;
class Series;
}  // namespace egret::v1

namespace egret::cloud {

enum class Grain : uint8_t { minute = 1, hour = 2 };  // on disk
int64_t seconds_of(Grain grain);

struct Bucket {
  uint32_t points = 0;
  uint64_t last_t_ns = 0;
  double last = 0, min = 0, max = 0, sum = 0;
  uint64_t observations = 0;  // of histograms
  std::string state;          // the last one, of states and events
  bool operator==(const Bucket&) const = default;
};

// Points of several batches of one facility, on top of what is stored.
class Rollup {
 public:
  Rollup(const Kv& kv, Facility fac) : kv_(kv), fac_(std::move(fac)) {}
  // Errors: corrupt, store_failed.
  Result<void> take(const v1::TelemetryBatch& batch);
  std::vector<KeptRow> rows() const;

 private:
  using Chunk = std::map<uint8_t, Bucket>;  // by index
  Result<Chunk*> chunk(const Bytes& key);
  Result<void> take_points(const Bytes& series_key, const v1::Series& series, Grain grain);

  const Kv& kv_;
  const Facility fac_;
  std::map<Bytes, Chunk> chunks_;
  std::map<Bytes, Bytes> names_;
};

struct RolledSeries {
  Facility fac;
  Hash id{};
  std::string name, unit, labels;  // labels as JSON
  uint8_t kind = 0;                // v1::Series::SeriesKind
};
// Every series of a facility that has buckets; then its buckets from `from_s` on, before `to_s` (UTC seconds).
// `each` answers false to stop. Errors: corrupt, store_failed.
Result<std::vector<RolledSeries>> rolled_series(const Kv& kv, const Facility& fac);
using EachBucket = std::function<bool(int64_t begins_s, const Bucket& bucket)>;
Result<void> each_bucket(const Kv& kv, const RolledSeries& series, Grain grain, int64_t from_s, int64_t to_s, const EachBucket& each);

}  // namespace egret::cloud
