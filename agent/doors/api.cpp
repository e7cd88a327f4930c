#include "agent/doors/api.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/url/parse.hpp>

#include "schemas/chain.h"
#include "schemas/limits.h"
#include "schemas/record.pb.h"
#include "schemas/record_document.h"
#include "schemas/record_json.h"
#include "schemas/record_json_syntax.h"

namespace egret::agent {
namespace {

namespace asio = boost::asio;

// How a code looks to a producer: its word, HTTP status, and what to do.
struct Shown {
  const char* code;
  unsigned status;
  const char* todo;
};
Shown shown(Errc code) {
  switch (code) {
    case Errc::too_large: return {"too_large", 413, "send what is large as a document (POST /v1/documents)"};
    case Errc::lane_full: return {"lane_full", 429, "the disk is nearly full of waiting data: send telemetry again later"};
    case Errc::disk_full: return {"disk_full", 507, "the buffer is full: see egret-agent status, and send again later"};
    case Errc::store_failed: return {"store_failed", 503, "send again in a moment; nothing of this request was kept"};
    case Errc::unknown_kind: return {"unknown_kind", 400, "see schemas/record.schema.json for the kinds"};
    default: return {"bad_input", 400, "see schemas/record.schema.json"};
  }
}

HttpResponse refused(const Error& error) {
  Shown s = shown(error.code);
  HttpResponse response = http_error(s.status, s.code, error.text, s.todo);
  if (s.status == 429 || s.status == 503) response.retry_after_s = 5;
  return response;
}

// One record of a request on its way.
struct Entry {
  size_t number = 0;             // line or record, from 1
  Result<NewBody> body;
};

void append_outcome(std::string& out, size_t index, const Entry& entry, bool by_line) {
  out += fmt::format("{{\"index\":{},", index);
  if (by_line) out += fmt::format("\"line\":{},", entry.number);
  if (entry.body) {
    const NewBody& body = *entry.body;
    out += fmt::format("\"outcome\":\"accepted\",\"kind\":\"{}\",\"stream\":\"{}\",\"content_sha256\":\"{}\"", name_of(body.key.kind),
                       name_of(body.lane), hex(view(body.key.content)));
    if (body.logical_id) out += fmt::format(",\"logical_id\":\"{}\"", egret::text_of(*body.logical_id));
    if (body.model_ref) out += fmt::format(",\"model_ref\":\"{}\"", hex(view(*body.model_ref)));
    out += '}';
    return;
  }
  // "line 17: ai_result.prob: allowed 0 to 1" -> the field stands by itself too.
  const Error& error = entry.body.error();
  std::string text = error.text;
  for (const char* place : {"line ", "record "}) {
    size_t end = text.find(": ");
    if (text.rfind(place, 0) == 0 && end != std::string::npos) text = text.substr(end + 2);
  }
  size_t colon = text.find(": ");
  std::string field = colon == std::string::npos || text.substr(0, colon).find(' ') != std::string::npos ? "" : text.substr(0, colon);
  out += fmt::format("\"outcome\":\"rejected\",\"error\":{{\"code\":\"{}\",\"field\":", shown(error.code).code);
  append_json_string(out, field);
  out += ",\"message\":";
  append_json_string(out, error.text);
  out += "}}";
}

HttpResponse outcomes(const std::vector<Entry>& entries, bool by_line, bool minimal) {
  size_t accepted = static_cast<size_t>(std::count_if(entries.begin(), entries.end(), [](const Entry& e) { return bool(e.body); }));
  HttpResponse response;
  response.body = fmt::format("{{\"accepted\":{},\"rejected\":{},\"results\":[", accepted, entries.size() - accepted);
  bool first = true;
  for (size_t i = 0; i < entries.size(); i++) {
    if (minimal && entries[i].body) continue;
    if (!first) response.body += ',';
    first = false;
    append_outcome(response.body, i, entries[i], by_line);
  }
  response.body += "]}";
  if (accepted == entries.size()) {
    response.status = 201;
  } else if (accepted > 0) {
    response.status = 207;
  } else {
    response.status = shown(entries.front().body.error().code).status;
    for (const Entry& e : entries) {
      unsigned status = shown(e.body.error().code).status;
      if (status != response.status) response.status = std::max(status, response.status) >= 429 ? std::max(status, response.status) : 400;
    }
    if (response.status == 429 || response.status == 503) response.retry_after_s = 5;
  }
  return response;
}

bool key_fits(const std::string& key) {
  return key.size() <= kIdempotencyKeyCharsMax && std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

std::string query_value(const std::string& query, std::string_view name) {
  auto parsed = boost::urls::parse_origin_form("/?" + query);
  if (!parsed) return "";
  for (auto param : parsed->params()) {
    if (param.key == name) return param.value;
  }
  return "";
}

HttpResponse method_not_allowed(const char* allowed) {
  return http_error(405, "method_not_allowed", fmt::format("only {} is answered here", allowed), "see the README");
}

}  // namespace

asio::awaitable<HttpResponse> Api::answer(HttpRequest request) {
  bool post = request.method == "POST", get = request.method == "GET";
  if (!key_fits(request.idempotency_key)) {
    co_return http_error(400, "bad_input", fmt::format("Idempotency-Key: at most {} printable characters are allowed", kIdempotencyKeyCharsMax),
                         "send a shorter key", "Idempotency-Key");
  }
  if (request.path == "/v1/records") {
    if (!post) co_return method_not_allowed("POST");
    HttpResponse response = co_await records(std::move(request));
    co_return response;
  }
  if (request.path == "/v1/telemetry") {
    if (!post) co_return method_not_allowed("POST");
    HttpResponse response = co_await telemetry(std::move(request));
    co_return response;
  }
  if (request.path == "/v1/documents") {
    if (!post) co_return method_not_allowed("POST");
    HttpResponse response = co_await document(std::move(request));
    co_return response;
  }
  if (request.path == "/v1/queue/unpark") {
    if (!post) co_return method_not_allowed("POST");
    Result<uint64_t> unparked = co_await host_.unpark();
    if (!unparked) co_return refused(unparked.error());
    co_return HttpResponse{200, fmt::format("{{\"unparked\":{}}}", *unparked), 0};
  }
  if (request.path == "/v1/status") co_return get ? HttpResponse{200, host_.status(), 0} : method_not_allowed("GET");
  if (request.path == "/healthz") {
    if (!get) co_return method_not_allowed("GET");
    bool healthy = host_.healthy();
    co_return HttpResponse{healthy ? 200u : 503u, healthy ? R"({"status":"ok"})" : R"({"status":"store closed"})", 0};
  }
  co_return http_error(404, "not_found", "no such path", "known: /v1/records /v1/telemetry /v1/documents /v1/status /healthz");
}

asio::awaitable<HttpResponse> Api::records(HttpRequest request) {
  bool lines = request.content_type == "application/x-ndjson" || request.content_type == "application/ndjson";
  if (!lines && request.content_type != "application/json") {
    co_return http_error(415, "unsupported", "Content-Type: application/json or application/x-ndjson is allowed", "name the type", "Content-Type");
  }
  std::vector<Entry> entries;
  Result<void> read = records_from_json(request.body, lines ? JsonForm::lines : JsonForm::document, host_.facility,
                                        [&](JsonOutcome o) { entries.push_back({o.number, std::move(o.result)}); });
  if (!read) {
    host_.count_refused(1);
    co_return refused(read.error());
  }
  Bytes arrival = host_.arrival(request.idempotency_key);
  edge::Unit unit;
  for (Entry& entry : entries) {
    if (!entry.body) continue;
    StreamId lane = entry.body->lane;
    Result<void> admitted = host_.admit(lane);
    Result<Bytes> record = admitted ? join_record(entry.body->bytes, arrival) : Result<Bytes>(admitted.error());
    if (!record) {
      entry.body = record.error();
      continue;
    }
    unit.records.push_back({lane, std::move(*record)});
  }
  size_t refused_records = entries.size() - unit.records.size();
  if (refused_records > 0) host_.count_refused(refused_records);
  if (!unit.records.empty()) {
    Result<void> synced = co_await host_.append(std::move(unit));
    if (!synced) co_return refused(synced.error());
  }
  co_return outcomes(entries, lines, request.prefer.find("return=minimal") != std::string::npos);
}

asio::awaitable<HttpResponse> Api::telemetry(HttpRequest request) {
  if (request.content_type != "application/json") {
    co_return http_error(415, "unsupported", "Content-Type: application/json is allowed", "name the type", "Content-Type");
  }
  Result<std::vector<NewBody>> bodies = telemetry_from_json(request.body, host_.facility);
  Result<void> admitted = host_.admit(StreamId::telemetry);
  if (!bodies || !admitted) {
    host_.count_refused(1);
    co_return refused(!bodies ? bodies.error() : admitted.error());
  }
  Bytes arrival = host_.arrival(request.idempotency_key);
  edge::Unit unit;
  std::vector<Entry> entries;
  for (NewBody& body : *bodies) {
    Result<Bytes> record = join_record(body.bytes, arrival);
    if (!record) co_return refused(record.error());
    unit.records.push_back({body.lane, std::move(*record)});
    entries.push_back({entries.size() + 1, std::move(body)});
  }
  Result<void> synced = co_await host_.append(std::move(unit));
  if (!synced) co_return refused(synced.error());
  co_return outcomes(entries, false, false);
}

asio::awaitable<HttpResponse> Api::document(HttpRequest request) {
  DocumentFacts facts;
  facts.media_type = request.content_type.empty() ? "application/octet-stream" : request.content_type;
  facts.name = query_value(request.query, "name");
  facts.purpose = {v1::PURPOSE_CARE};
  Result<std::vector<NewBody>> bodies = split_document(request.body, facts, host_.facility);
  Result<void> admitted = host_.admit(StreamId::result);
  if (!bodies || !admitted) {
    host_.count_refused(1);
    co_return refused(!bodies ? bodies.error() : admitted.error());
  }
  Bytes arrival = host_.arrival(request.idempotency_key);
  edge::Unit unit;
  for (NewBody& body : *bodies) {
    Result<Bytes> record = join_record(body.bytes, arrival);
    if (!record) co_return refused(record.error());
    unit.records.push_back({body.lane, std::move(*record)});
  }
  Result<void> synced = co_await host_.append(std::move(unit));
  if (!synced) co_return refused(synced.error());
  HttpResponse response;
  response.status = 201;
  response.body = fmt::format(R"({{"sha256":"{}","size_bytes":{},"parts":{},"records":[)", hex(view(sha256(request.body))), request.body.size(),
                              bodies->size() - 1);
  for (size_t i = 0; i < bodies->size(); i++) {
    const NewBody& body = (*bodies)[i];
    response.body += fmt::format(R"({}{{"kind":"{}","content_sha256":"{}"}})", i == 0 ? "" : ",", name_of(body.key.kind), hex(view(body.key.content)));
  }
  response.body += "]}";
  co_return response;
}

}  // namespace egret::agent
