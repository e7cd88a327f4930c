#include "schemas/record.h"

#include <google/protobuf/arena.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <spdlog/fmt/fmt.h>

#include <array>

#include "schemas/chain.h"
#include "schemas/limits.h"
#include "schemas/record.pb.h"
#include "schemas/record_plain.h"
#include "schemas/record_rules.h"
#include "schemas/record_telemetry.h"
#include "schemas/record_text.h"

namespace egret {
namespace {

constexpr std::array<const char*, 10> kKindNames = {
    "",          "ai_result",       "review",          "identity_link", "retraction",
    "model_def", "telemetry_batch", "source_document", "document_part", "agent_event"};
constexpr int kStatementFieldOffset = 15;  // field number of a statement in Body, less its kind

static_assert(int(Kind::agent_event) == int(v1::KIND_AGENT_EVENT) &&
                  v1::Kind_MAX + 1 == kKindNames.size(),
              "the kinds of record.h are those of record.proto");
static_assert(v1::Body::kAgentEventFieldNumber - kStatementFieldOffset ==
                      int(v1::KIND_AGENT_EVENT) &&
                  v1::Body::kAiResultFieldNumber - kStatementFieldOffset == int(v1::KIND_AI_RESULT),
              "a statement's field number follows from its kind");

void put_u32_le(Bytes& out, uint32_t v) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(v >> shift);
}

uint32_t u32_le(ByteView in) {
  uint32_t v = 0;
  for (int i = 3; i >= 0; --i) v = v << 8 | static_cast<uint8_t>(in[static_cast<size_t>(i)]);
  return v;
}

// protobuf writes a line to stderr for every text that is not UTF-8, so a hostile site could fill
// the disk of the region; what is wrong comes back as a value here.
const bool protobuf_is_quiet = (google::protobuf::SetLogHandler(nullptr), true);

template <class Message>
Bytes encode(const Message& message) {
  Bytes bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&out);
  out.Trim();
  return bytes;
}

// Parts with their lengths, so that ("ab", "c") and ("a", "bc") differ.
class IdHash {
 public:
  explicit IdHash(std::string_view domain) { add(domain); }
  void add(ByteView part) {
    put_u32_le(input_, static_cast<uint32_t>(part.size()));
    input_ += part;
  }
  Uuid uuid() const {
    Uuid id = take<16>(view(sha256(input_)));
    id[6] = (id[6] & 0x0f) | 0x80;  // RFC 9562: version 8, made by a rule of our own
    id[8] = (id[8] & 0x3f) | 0x80;
    return id;
  }

 private:
  Bytes input_;
};

// The most exact name of what the model looked at.
std::string_view object_of(const v1::AiResult::Phi& phi) {
  if (phi.sop_uid_size() > 0) return phi.sop_uid(phi.sop_uid_size() - 1);
  if (phi.series_uid_size() > 0) return phi.series_uid(phi.series_uid_size() - 1);
  for (const std::string* id :
       {&phi.study_uid(), &phi.waveform_id(), &phi.specimen_id(), &phi.accession()}) {
    if (!id->empty()) return *id;
  }
  return {};
}

bool wrong(Fault& fault, std::string path, std::string text) {
  fault = {Errc::bad_input, std::move(path), std::move(text)};
  return false;
}

bool check_result(const v1::AiResult& r, Fault& fault) {
  if (!r.ci_lo().empty()) {
    // Texts are decimals here; a double is exact enough to compare what people state as an
    // interval.
    if (std::stod(r.ci_lo()) > std::stod(r.ci_hi()))
      return wrong(fault, "ai_result.ci_lo", "above ci_hi");
  }
  if (r.has_t_effective_end() && r.t_effective_end().us() < r.t_effective().us()) {
    return wrong(fault, "ai_result.t_effective_end", "before t_effective");
  }
  if (r.has_t_infer_end() && (!r.has_t_infer() || r.t_infer_end().us() < r.t_infer().us())) {
    return wrong(fault, "ai_result.t_infer_end", "without t_infer, or before it");
  }
  return true;
}

bool check_document(const v1::SourceDocument& d, Fault& fault) {
  const uint64_t parts = (d.size_bytes() + kDocumentPartBytesMax - 1) / kDocumentPartBytesMax;
  if (d.parts() == parts) return true;
  return wrong(fault, "source_document.parts",
               fmt::format("{} for {} bytes, allowed {}", d.parts(), d.size_bytes(), parts));
}

bool check_part(const v1::DocumentPart& p, Fault& fault) {
  if (p.index() >= p.count()) {
    return wrong(fault, "document_part.index",
                 fmt::format("{}, allowed 0 to {}", p.index(), p.count() - 1));
  }
  if (p.index() + 1 < p.count() && p.data().size() != kDocumentPartBytesMax) {
    return wrong(fault, "document_part.data",
                 fmt::format("{} bytes, allowed {} in all parts but the last", p.data().size(),
                             kDocumentPartBytesMax));
  }
  return true;
}

// Rules that compare fields. All single fields are right already.
bool check_statement(const v1::Body& body, Fault& fault) {
  switch (body.statement_case()) {
    case v1::Body::kAiResult:
      return check_result(body.ai_result(), fault);
    case v1::Body::kSourceDocument:
      return check_document(body.source_document(), fault);
    case v1::Body::kDocumentPart:
      return check_part(body.document_part(), fault);
    case v1::Body::kTelemetryBatch: {
      for (int i = 0; i < body.telemetry_batch().series_size(); ++i) {
        if (const auto checked = check_columns(body.telemetry_batch().series(i)); !checked) {
          return wrong(fault, "",
                       fmt::format("telemetry_batch.series[{}].{}", i, checked.error().text));
        }
      }
      return true;
    }
    default:
      return true;
  }
}

// The kind is known and is that of the statement.
bool check_kind(const v1::Body& body, Fault& fault) {
  if (body.kind() == v1::KIND_UNSPECIFIED) return wrong(fault, "kind", "missing");
  if (body.kind() < 0 || body.kind() > v1::Kind_MAX) {
    fault = {Errc::unknown_kind, "kind",
             fmt::format("{}: this program knows 1 to {}", int(body.kind()), int(v1::Kind_MAX))};
    return false;
  }
  return true;
}

bool check_statement_kind(const v1::Body& body, Fault& fault) {
  if (body.statement_case() == v1::Body::STATEMENT_NOT_SET) {
    return wrong(fault, "",
                 fmt::format("no statement: one field of {} must be there",
                             rules_of<v1::Body>().exactly_one.front().names));
  }
  const int kind = body.statement_case() - kStatementFieldOffset;
  if (body.kind() == kind) return true;
  return wrong(fault, "kind",
               fmt::format("{}, but the statement is {}", kKindNames[size_t(body.kind())],
                           kKindNames[size_t(kind)]));
}

bool check_facility(const v1::Body& body, const Facility& fac, Fault& fault) {
  if (body.facility_id() == fac) return true;
  fault = {Errc::wrong_facility, "facility_id",
           fmt::format("another facility's statement, allowed {}", fac)};
  return false;
}

bool check_rules(const v1::Body& body, Fault& fault) {
  return check_statement_kind(body, fault) && check_message(body, rules_of<v1::Body>(), fault) &&
         check_statement(body, fault);
}

bool check_size(ByteView body, Fault& fault) {
  if (body.size() <= kBodyBytesMax) return true;
  fault = {Errc::too_large, "record",
           fmt::format("{} bytes, at most {}: send what is large as a document",
                       with_commas(body.size()), with_commas(kBodyBytesMax))};
  return false;
}

void fill_in(v1::Body& body, const Facility& fac) {
  if (body.kind() == v1::KIND_UNSPECIFIED && body.statement_case() != v1::Body::STATEMENT_NOT_SET) {
    body.set_kind(static_cast<v1::Kind>(body.statement_case() - kStatementFieldOffset));
  }
  if (body.schema() == 0) body.set_schema(kRecordSchema);
  if (body.facility_id().empty()) body.set_facility_id(fac);
}

// Names the result or model for the producer; a logical_id that follows from the rest costs nothing
// on the wire.
void name_statement(v1::Body& body, const Facility& fac, NewBody& made) {
  if (body.has_ai_result()) {
    auto& result = *body.mutable_ai_result();
    made.logical_id = logical_id_of(fac, result);
    const std::string stated = result.logical_id();
    result.clear_logical_id();
    if (!stated.empty() && stated != view(logical_id_of(fac, result)))
      result.set_logical_id(stated);
  } else if (body.has_model_def()) {
    made.model_ref = model_ref_of(body.model_def());
  }
}

}  // namespace

const char* name_of(Kind kind) {
  return kKindNames.at(static_cast<size_t>(kind));
}

std::string text_of(const Uuid& uuid) {
  return uuid_to_text(view(uuid));
}

Result<RecordView> split_record(ByteView record) {
  if (record.size() > kRecordBytesMax - kLengthPrefixBytes) {
    return Error{Errc::too_large,
                 fmt::format("record: {} bytes, at most {}", with_commas(record.size()),
                             with_commas(kRecordBytesMax - kLengthPrefixBytes))};
  }
  if (record.size() < kBodyLengthBytes)
    return Error{Errc::bad_input, fmt::format("record: {} bytes", record.size())};
  const uint32_t length = u32_le(record);
  record.remove_prefix(kBodyLengthBytes);
  if (length == 0 || length > record.size()) {
    return Error{Errc::bad_input,
                 fmt::format("record: a body of {} bytes in {}", length, record.size())};
  }
  return RecordView{record.substr(0, length), record.substr(length)};
}

Result<Bytes> join_record(ByteView body, ByteView arrival) {
  if (body.empty()) return Error{Errc::bad_input, "record: no body"};
  const size_t size = kBodyLengthBytes + body.size() + arrival.size();
  if (size > kRecordBytesMax - kLengthPrefixBytes) {
    return Error{Errc::too_large, fmt::format("record: {} bytes, at most {}", with_commas(size),
                                              with_commas(kRecordBytesMax - kLengthPrefixBytes))};
  }
  Bytes record;
  record.reserve(size);
  put_u32_le(record, static_cast<uint32_t>(body.size()));
  record.append(body).append(arrival);
  return record;
}

StreamId lane_of(const v1::Body& body) {
  if (body.kind() == v1::KIND_TELEMETRY_BATCH) return StreamId::telemetry;
  const bool critical = body.kind() == v1::KIND_AI_RESULT && body.ai_result().critical();
  return critical ? StreamId::critical : StreamId::result;
}

Uuid logical_id_of(const Facility& fac, const v1::AiResult& result) {
  if (result.logical_id().size() == 16) return take<16>(result.logical_id());
  const auto& phi = result.phi();
  if (!result.source_system().empty() && !phi.source_result_id().empty()) {
    IdHash id("egret result by source");
    for (const ByteView part :
         {ByteView(fac), ByteView(result.source_system()), ByteView(phi.source_result_id())})
      id.add(part);
    return id.uuid();
  }
  IdHash id("egret result by content");
  id.add(fac);
  id.add(result.model_ref());
  id.add(phi.subject().system());
  id.add(phi.subject().value());
  id.add(object_of(phi));
  id.add(result.device_time().empty() ? std::to_string(result.t_effective().us())
                                      : result.device_time());
  for (const auto& code : result.code()) {
    id.add(code.system());
    id.add(code.code());
  }
  id.add(std::to_string(result.item_no()));
  return id.uuid();
}

Hash model_ref_of(const v1::ModelDef& model) {
  return sha256(encode(model));
}

Result<NewBody> make_body(v1::Body& body, const Facility& fac) {
  fill_in(body, fac);
  Fault fault;
  if (!check_kind(body, fault) || !check_facility(body, fac, fault)) return fault.error();
  if (body.schema() != kRecordSchema) {
    return Error{Errc::unsupported,
                 fmt::format("schema: {}: this program writes {}", body.schema(), kRecordSchema)};
  }
  NewBody made;
  canonicalise(body, rules_of<v1::Body>());
  name_statement(body, fac, made);
  if (!check_rules(body, fault)) return fault.error();
  made.bytes = encode(body);
  if (!check_size(made.bytes, fault)) return fault.error();
  made.key = {static_cast<Kind>(body.kind()), sha256(made.bytes)};
  made.lane = lane_of(body);
  return made;
}

Result<Bytes> encode_arrival(const v1::Arrival& arrival) {
  Fault fault;
  if (!check_message(arrival, rules_of<v1::Arrival>(), fault)) {
    fault.within("arrival");
    return fault.error();
  }
  return encode(arrival);
}

Result<CheckedBody> check_body(ByteView bytes, const Facility& expected) {
  if (const auto plain = plain_body(bytes, expected)) {
    return CheckedBody{{plain->kind, sha256(bytes)}, plain->lane, kRecordSchema, false};
  }
  return check_body_by_message(bytes, expected);
}

Result<CheckedBody> check_body_by_message(ByteView bytes, const Facility& expected) {
  Fault fault;
  if (!check_size(bytes, fault)) return fault.error();
  std::array<char, 8 * kKiB> first_block;
  google::protobuf::ArenaOptions options;
  options.initial_block = first_block.data();
  options.initial_block_size = first_block.size();
  google::protobuf::Arena arena(options);
  auto& body = *google::protobuf::Arena::CreateMessage<v1::Body>(&arena);
  if (!body.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Error{Errc::bad_input,
                 fmt::format("record: {} bytes that are no Body", with_commas(bytes.size()))};
  }
  if (!check_kind(body, fault) || !check_facility(body, expected, fault)) return fault.error();
  CheckedBody checked;
  checked.schema = body.schema();
  checked.opaque = body.schema() > kRecordSchema;
  if (!checked.opaque && !check_rules(body, fault)) return fault.error();
  checked.key = {static_cast<Kind>(body.kind()), sha256(bytes)};
  checked.lane = lane_of(body);
  return checked;
}

Result<void> check_arrival(ByteView bytes) {
  if (plain_arrival(bytes)) return {};
  return check_arrival_by_message(bytes);
}

Result<void> check_arrival_by_message(ByteView bytes) {
  if (bytes.size() > kArrivalBytesMax) {
    return Error{Errc::too_large,
                 fmt::format("arrival: {} bytes, at most {}", bytes.size(), kArrivalBytesMax)};
  }
  v1::Arrival arrival;
  Fault fault;
  if (!arrival.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Error{Errc::bad_input,
                 fmt::format("arrival: {} bytes that are no Arrival", bytes.size())};
  }
  if (!check_message(arrival, rules_of<v1::Arrival>(), fault)) {
    fault.within("arrival");
    return fault.error();
  }
  return {};
}

}  // namespace egret
