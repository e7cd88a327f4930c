// Record telemetry: one POST of series and points becomes TelemetryBatch bodies, cut by its content
// alone. Promises: the same request gives the same bodies, so a retry has no effect; each body is
// at most kTelemetryBodyBytesMax; the points of a series are a set by time, sorted. Leaves to
// others: the shape of the JSON (record_json.h, record.schema.json), OTLP and Prometheus
// (agent/doors).
#pragma once

#include <vector>

#include "schemas/record.h"
#include "schemas/record.pb.h"

namespace egret {

// One point of a series; its value is in the place that the series' kind asks for.
template <class Value>
struct TimedPoint {
  uint64_t t_ns = 0;  // since 1970
  Value value{};
  uint32_t flags = 0;  // v1::Series::Flag bits
  // FLAG_NO_RECORDED_VALUE: `value` must be Value{}.
};

// Sorts by time, keeps a point that is stated twice once, and writes the columns of `series` (which
// had none). Errors: bad_input: two different points at one time.
Result<void> set_points(v1::Series& series, std::vector<TimedPoint<double>> points);
Result<void> set_points(v1::Series& series, std::vector<TimedPoint<int64_t>> points);
Result<void> set_points(v1::Series& series, std::vector<TimedPoint<v1::Histogram>> points);
Result<void> set_points(v1::Series& series, std::vector<TimedPoint<v1::ExpHistogram>> points);
Result<void> set_points(v1::Series& series, std::vector<TimedPoint<std::string>> points);

// Do the columns of a series fit each other and its kind? Errors: bad_input, its text starts with
// the column.
Result<void> check_columns(const v1::Series& series);

// `whole`: a Body with sens, purpose and a telemetry_batch of any size. Series and points keep
// their order; a series that does not fit goes on in the next body. Errors: bad_input, too_large
// (one point or descriptor alone is over).
Result<std::vector<NewBody>> cut_telemetry(const v1::Body& whole, const Facility& fac);

}  // namespace egret
