// Record JSON reading: one JSON object into one protobuf message, by the rules of record.proto.
// Promises: what was read was all of the text and keeps each field's own rule; the order of keys
// does not matter. Leaves to others: rules between fields and the bytes (record.h make_body),
// requests of many records (record_json.h).
#pragma once

#include "schemas/record.pb.h"
#include "schemas/record_rules.h"

namespace egret {

// `json` is one record. Errors: bad_input ("malformed JSON ..." when it is none), too_large,
// unknown_kind.
Result<void> read_body_json(ByteView json, v1::Body& body);

// `json` is a POST of telemetry (record_json.h telemetry_from_json).
Result<void> read_telemetry_json(ByteView json, v1::Body& body);

}  // namespace egret
