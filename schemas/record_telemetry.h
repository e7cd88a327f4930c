// Record telemetry: one POST of series and points becomes TelemetryBatch bodies, cut by its content alone.
// Promises: the same request gives the same bodies, so a retry has no effect; each body is at most
// kTelemetryBodyBytesMax (a single histogram point may be more, never over kBodyBytesMax); points of a series are a
// set by time, sorted.
// Leaves to others: the shape of the JSON (record.schema.json, $defs/TelemetryRequest), OTLP and Prometheus (agent).
#pragma once

#include <vector>

#include "schemas/record.h"

namespace egret::v1 {
class Series;
class TelemetryBatch;
}  // namespace egret::v1

namespace egret {

// POST /v1/telemetry, at most kTelemetryRequestBytesMax:
//   {"sens": 2, "purpose": ["quality"], "time_unit": "ns" | "us" | "ms" | "s",
//    "resource": {...}, "series": [{"name", "unit", "kind", "temporality", "labels": {..}, "start_ns",
//                                   "points": [[t, value], [t, value, ["historical"]], ...]}]}
// sens and purpose may be left out (2, quality); time_unit is that of every t in points and is ns when left out.
// Errors: bad_input names series, point and what is allowed; too_large.
Result<std::vector<NewBody>> telemetry_from_json(ByteView request, const Facility& fac);

// The same from series that a door has put together: `whole` is a Body with a telemetry_batch of any size.
Result<std::vector<NewBody>> cut_telemetry(const v1::Body& whole, const Facility& fac);

// One point of whole or floating numbers.
struct Point {
  uint64_t t_ns = 0;
  bool is_double = false;
  int64_t i64 = 0;
  double f64 = 0;
  uint32_t flags = 0;  // v1::Series::Flag bits
};
// Sorts by time, drops a point stated twice, and writes the columns of `series`. A series with one double is all double.
// Errors: bad_input: two different values at one time, a value that is not finite, a time outside 1970-2200.
Result<void> set_points(v1::Series& series, std::vector<Point> points);

}  // namespace egret
