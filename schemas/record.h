// Record: one statement of a facility (body) and how this copy of it came in (arrival); its bytes,
// its identity. Promises: the same statement gives the same body bytes, whatever door, retry or
// order of JSON keys brought it; a body that was made or checked here keeps every rule of
// record.proto; bytes are never encoded twice. Leaves to others: JSON (record_json.h), telemetry
// (record_telemetry.h), documents (record_document.h), where it is kept.
#pragma once

#include <optional>

#include "schemas/error.h"
#include "schemas/types.h"

namespace egret::v1 {  // generated: schemas/record.pb.h
class AiResult;
class Arrival;
class Body;
class ModelDef;
}  // namespace egret::v1

namespace egret {

// As in record.proto: stored and sent as a number, never renumbered.
enum class Kind : uint8_t {
  ai_result = 1,
  review = 2,
  identity_link = 3,
  retraction = 4,
  model_def = 5,
  telemetry_batch = 6,
  source_document = 7,
  document_part = 8,
  agent_event = 9,
};
// As the JSON field of the statement: "ai_result".
const char* name_of(Kind kind);

inline constexpr uint32_t kRecordSchema = 1;

using Uuid = std::array<uint8_t, 16>;
// 8-4-4-4-12 in lower case.
std::string text_of(const Uuid& uuid);

// ---- the bytes of a record: u32 little-endian body length ‖ body ‖ arrival ----

struct RecordView {
  ByteView body;
  ByteView arrival;
};
// Views into `record`. Errors: bad_input (shorter than it says), too_large.
Result<RecordView> split_record(ByteView record);
// Errors: too_large (over kRecordBytesMax with the length prefix that blocks put before it),
// bad_input (no body).
Result<Bytes> join_record(ByteView body, ByteView arrival);

// ---- identity ----

// With the facility: the identity of a record, of every kind (es1 section 2).
struct NaturalKey {
  Kind kind = Kind::ai_result;
  Hash content{};  // SHA-256(body)
  auto operator<=>(const NaturalKey&) const = default;
};

// Lane 0: a critical AiResult; 2: a TelemetryBatch; 1: everything else, documents of a critical
// result too.
StreamId lane_of(const v1::Body& body);
// The name of a result over all its versions: the one it states, else a UUID (version 8) made of
// SHA-256 over (facility, source system, source result id), else over (facility, model, subject,
// object, device time or t_effective, codes, item number). "Object" is the last of sop, series,
// study uid, waveform, specimen, accession that it has.
Uuid logical_id_of(const Facility& fac, const v1::AiResult& result);
// What results call this model: SHA-256 of the message's bytes; the same at every facility.
Hash model_ref_of(const v1::ModelDef& model);

// ---- making one (edge) ----

struct NewBody {
  Bytes bytes;  // at most kBodyBytesMax
  NaturalKey key;
  StreamId lane = StreamId::result;
  std::optional<Uuid> logical_id;  // of an AiResult
  std::optional<Hash> model_ref;   // of a ModelDef
};
// Fills in kind, schema and facility where they are left out, sorts sets and labels, drops a
// logical_id that is derived anyway, checks every rule, encodes. `body` is left as it was encoded.
// Errors: bad_input names the field and what is allowed, too_large, unknown_kind, wrong_facility,
// unsupported (schema).
Result<NewBody> make_body(v1::Body& body, const Facility& fac);
// Errors: bad_input, too_large.
Result<Bytes> encode_arrival(const v1::Arrival& arrival);

// ---- taking one in (cloud) ----

struct CheckedBody {
  NaturalKey key;
  StreamId lane = StreamId::result;
  uint32_t schema = kRecordSchema;
  // Stated in a newer schema: kept and confirmed, its rules not judged; process it after an
  // upgrade.
  bool opaque = false;
};
// The check on the way to a commit: parses, known kind, `expected` facility, every rule.
// Errors: bad_input, wrong_facility, too_large, unknown_kind. All of them mean quarantine.
Result<CheckedBody> check_body(ByteView body, const Facility& expected);
// Is it an Arrival whose rules hold? Errors: bad_input, too_large.
Result<void> check_arrival(ByteView arrival);

}  // namespace egret
