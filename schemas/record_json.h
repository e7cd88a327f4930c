// Record JSON: records as people and programs write them at the door, and as the export writes them
// out. Promises: strict (unknown field, key twice, wrong type, bad number, bytes after the end,
// nesting, UTF-8, lone surrogate, NUL, size: each is an error that names the field and what is
// allowed, never a value that could be a patient's); decimals keep their digits; body -> JSON ->
// body gives the same bytes. Leaves to others: what a record may hold (record.proto,
// record.schema.json), HTTP.
#pragma once

#include <functional>
#include <vector>

#include "schemas/record.h"

namespace egret {

// One record, at most kJsonDocumentBytesMax.
// Errors: bad_input ("malformed JSON at byte 17: ..." or "ai_result.prob: 1.7: allowed 0 to 1"),
// too_large, unknown_kind.
Result<NewBody> body_from_json(ByteView json, const Facility& fac);

enum class JsonForm : uint8_t {
  document,   // application/json: one record, or an array of records
  lines,      // application/x-ndjson: a record a line; empty lines are skipped
  automatic,  // told from the text: starts with [, or a record a line, or one record over many
              // lines
};
// What `automatic` is told to be. A line that is JSON by itself, or a second line that begins as a
// record does, says lines; so a broken first line does not hide the others.
JsonForm json_form_of(ByteView text);
// What became of one record of a request.
struct JsonOutcome {
  size_t number = 0;       // line (from 1, lines) or record (from 1, document)
  Result<NewBody> result;  // the error's text begins with "line 17: " or "record 17: "
};
// Calls `each` for every record in order. A bad one does not touch its neighbours.
// Errors (nothing was called): bad_input (not an array or object at all, array that is not closed,
// no record), too_large (over kRequestBytesMax or kRecordsPerRequestMax).
Result<void> records_from_json(ByteView text, JsonForm form, const Facility& fac,
                               const std::function<void(JsonOutcome)>& each);

// A POST of telemetry, at most kTelemetryRequestBytesMax (record.schema.json,
// $defs/TelemetryRequest):
//   {"sens": 2, "purpose": ["quality"], "time_unit": "ns" | "us" | "ms" | "s", "resource": {...},
//    "series": [{"name": "gpu.temperature", "unit": "Cel", "kind": "gauge", "labels": {"gpu": "0"},
//                "points": [[t, 71.5], [t, 72, ["estimated"]], [t, null]]}]}
// sens and purpose may be left out (2, quality). time_unit is of every t in points, ns when left
// out; start_ns is ns always. Errors: bad_input names series, point and what is allowed
// ("series[2].points[17]: ..."); too_large.
Result<std::vector<NewBody>> telemetry_from_json(ByteView request, const Facility& fac);

// One line, no line end; fields in order of their numbers; derived logical_ids are written out.
// Fields of a newer schema are not in it. Errors: bad_input, unknown_kind.
Result<std::string> json_from_body(ByteView body);
Result<std::string> json_from_arrival(ByteView arrival);

}  // namespace egret
