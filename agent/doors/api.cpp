#include "agent/doors/api.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/url/parse.hpp>

#include "agent/doors/page.h"
#include "schemas/chain.h"
#include "schemas/limits.h"
#include "schemas/metrics.h"
#include "schemas/record.pb.h"
#include "schemas/record_document.h"
#include "schemas/record_json.h"
#include "schemas/record_json_syntax.h"

namespace egret::agent {

namespace asio = boost::asio;

// One record of a request on its way: refused, or on its way to a place.
struct Api::Entry {
  size_t number = 0;  // line or record, from 1
  Result<NewBody> body;
  edge::Place place;  // once it is taken in
};

namespace {

constexpr int kLaterS = 5;

// How a code looks to a producer: its word, HTTP status, and what to do.
struct Shown {
  const char* code;
  unsigned status;
  const char* todo;
};
Shown shown(Errc code) {
  switch (code) {
    case Errc::too_large:
      return {"too_large", 413,
              "send what is large as a document (POST /v1/documents), or less in one request"};
    case Errc::lane_full:
      return {"lane_full", 429,
              "the disk is nearly full of waiting data: send telemetry again later"};
    case Errc::disk_full:
      return {"disk_full", 507, "the buffer is full: see egret-agent status, and send again later"};
    case Errc::store_failed:
      return {"store_failed", 503, "send the same again in a moment; what comes twice counts once"};
    case Errc::unknown_kind:
      return {"unknown_kind", 400, "see schemas/record.schema.json for the kinds"};
    default:
      return {"bad_input", 400, "see schemas/record.schema.json"};
  }
}
bool not_its_fault(unsigned status) {
  return status == 429 || status == 503 || status == 507;
}

// "line 17: ai_result.prob: allowed 0 to 1" -> "ai_result.prob"; empty when the error is of the
// whole.
std::string field_of(std::string text) {
  for (const char* place : {"line ", "record "}) {
    size_t end = text.find(": ");
    if (text.rfind(place, 0) == 0 && end != std::string::npos) text = text.substr(end + 2);
  }
  size_t colon = text.find(": ");
  bool field = colon != std::string::npos && text.substr(0, colon).find(' ') == std::string::npos;
  return field ? text.substr(0, colon) : "";
}

HttpResponse refused(const Error& error) {
  Shown s = shown(error.code);
  HttpResponse response = http_error(s.status, s.code, error.text, s.todo, field_of(error.text));
  if (not_its_fault(s.status)) response.retry_after_s = kLaterS;
  return response;
}

std::string place_text(const NewBody& body, const edge::Place& place) {
  return fmt::format(
      R"("kind":"{}","epoch":"{:016x}","stream":"{}","seq":{},"content_sha256":"{}")",
      name_of(body.key.kind), place.epoch.value, name_of(body.lane), place.seq.value,
      hex(view(body.key.content)));
}

std::string error_text(const Error& error) {
  std::string out = fmt::format(R"({{"code":"{}","field":)", shown(error.code).code);
  append_json_string(out, field_of(error.text));
  out += ",\"message\":";
  append_json_string(out, error.text);
  return out + "}";
}

// The status of a request by what became of its records: 201 all, 207 some, else why none was
// accepted.
unsigned status_of(size_t accepted, const std::vector<unsigned>& refusals) {
  if (refusals.empty()) return 201;
  if (accepted > 0) return 207;
  bool alike = std::all_of(refusals.begin(), refusals.end(),
                           [&](unsigned s) { return s == refusals.front(); });
  unsigned highest = *std::max_element(refusals.begin(), refusals.end());
  return alike || not_its_fault(highest) ? highest : 400;
}

bool key_fits(const std::string& key) {
  return key.size() <= kIdempotencyKeyCharsMax &&
         std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

// The value of `name` in a query, empty when it is not there. nullopt: the query cannot be read.
std::optional<std::string> query_value(const std::string& query, std::string_view name) {
  const std::string target = "/?" + query;  // what `parsed` looks into
  auto parsed = boost::urls::parse_origin_form(target);
  if (!parsed) return std::nullopt;
  for (auto param : parsed->params()) {
    if (param.key == name) return param.value;
  }
  return "";
}

HttpResponse unsupported_type(const char* allowed) {
  return http_error(415, "unsupported", fmt::format("Content-Type: {} is allowed", allowed),
                    "name the type", "Content-Type");
}

}  // namespace

asio::awaitable<HttpResponse> Api::answer(HttpRequest request) {
  if (request.path == "/" || request.path == "/v1/status" || request.path == "/v1/support" || request.path == "/metrics" || request.path == "/healthz") co_return look(request);
  bool known = request.path == "/v1/records" || request.path == "/v1/telemetry" ||
               request.path == "/v1/documents" || request.path == "/v1/queue/unpark";
  if (!known)
    co_return http_error(404, "not_found", "no such path",
                         "known: / /v1/records /v1/telemetry /v1/documents /v1/status /v1/support /metrics /healthz");
  if (request.method != "POST")
    co_return http_error(405, "method_not_allowed", "only POST is answered here",
                         "see agent/doors/README.md");
  if (!key_fits(request.idempotency_key)) {
    co_return http_error(
        400, "bad_input",
        fmt::format("Idempotency-Key: at most {} printable characters without blanks are allowed",
                    kIdempotencyKeyCharsMax),
        "send a shorter key", "Idempotency-Key");
  }
  if (!request.content_encoding.empty() && request.content_encoding != "identity") {
    co_return http_error(415, "unsupported", "Content-Encoding: only identity is allowed",
                         "send the body as it is", "Content-Encoding");
  }
  HttpResponse response = co_await answers_.once(
      std::move(request), [this](HttpRequest r) { return post(std::move(r)); });
  co_return response;
}

HttpResponse Api::look(const HttpRequest& request) const {
  if (request.method != "GET")
    return http_error(405, "method_not_allowed", "only GET is answered here",
                      "see agent/doors/README.md");
  if (request.path == "/v1/status") return {200, host_.status()};
  if (request.path == "/v1/support") return {200, host_.support()};
  if (request.path == "/metrics") {
    HttpResponse out{200, host_.metrics()};
    out.type = kPrometheusType;
    return out;
  }
  if (request.path == "/") {
    Result<std::string> page = clinic_page(host_.status());
    if (!page) return refused(page.error());
    HttpResponse out{200, std::move(*page)};
    out.type = "text/html; charset=utf-8";
    out.policy = clinic_page_policy();
    return out;
  }
  return host_.healthy() ? HttpResponse{200, R"({"status":"ok"})"}
                         : HttpResponse{503, R"({"status":"store closed"})", kLaterS};
}

asio::awaitable<HttpResponse> Api::post(HttpRequest request) {
  if (request.path == "/v1/records") return records(std::move(request));
  if (request.path == "/v1/telemetry") return telemetry(std::move(request));
  if (request.path == "/v1/documents") return document(std::move(request));
  return unpark();
}

asio::awaitable<HttpResponse> Api::unpark() {
  Result<uint64_t> unparked = co_await host_.unpark();
  if (!unparked) co_return refused(unparked.error());
  co_return HttpResponse{200, fmt::format("{{\"unparked\":{}}}", *unparked)};
}

HttpResponse Api::refuse_whole(const Error& error) {
  host_.count_refused(1);
  note_refusal(error);
  return refused(error);
}

void Api::note_refusal(const Error& error) const { host_.why_refused(shown(error.code).code, field_of(error.text)); }

void Api::admit_by_lane(std::vector<Entry>& entries) {
  std::array<size_t, kStreamCount> bytes{};
  for (const Entry& e : entries) {
    if (e.body) bytes[static_cast<size_t>(e.body->lane)] += e.body->bytes.size();
  }
  for (size_t i = 0; i < kStreamCount; i++) {
    if (bytes[i] == 0) continue;
    Result<void> admitted = host_.admit(StreamId(i), bytes[i]);
    if (admitted) continue;
    for (Entry& e : entries) {
      if (e.body && e.body->lane == StreamId(i)) e.body = admitted.error();
    }
  }
}

asio::awaitable<Result<void>> Api::take_in(std::vector<Entry>& entries,
                                           const std::string& idempotency_key) {
  admit_by_lane(entries);
  Bytes arrival = host_.arrival(idempotency_key);
  edge::Unit unit;
  std::vector<Entry*> taken;
  for (Entry& e : entries) {
    if (!e.body) continue;
    Result<Bytes> record = join_record(e.body->bytes, arrival);
    if (!record) {
      e.body = record.error();
      continue;
    }
    e.body->bytes = {};
    unit.records.push_back({e.body->lane, std::move(*record)});
    taken.push_back(&e);
  }
  if (taken.size() < entries.size()) host_.count_refused(entries.size() - taken.size());
  for (const Entry& e : entries) {
    if (!e.body) note_refusal(e.body.error());
  }
  if (taken.empty()) co_return Result<void>{};
  Result<edge::Places> places = co_await host_.append(std::move(unit));
  if (!places) co_return places.error();
  for (size_t i = 0; i < taken.size(); i++) taken[i]->place = (*places)[i];
  co_return Result<void>{};
}

asio::awaitable<HttpResponse> Api::records(HttpRequest request) {
  bool lines = request.content_type == "application/x-ndjson" ||
               request.content_type == "application/ndjson";
  if (!lines && request.content_type != "application/json")
    co_return unsupported_type("application/json or application/x-ndjson");
  std::vector<Entry> entries;
  Result<void> read = records_from_json(
      request.body, lines ? JsonForm::lines : JsonForm::document, host_.facility,
      [&](JsonOutcome o) { entries.push_back({o.number, std::move(o.result), {}}); });
  request.body = {};
  if (!read) co_return refuse_whole(read.error());
  Result<void> synced = co_await take_in(entries, request.idempotency_key);
  if (!synced) co_return refused(synced.error());
  HttpResponse response =
      outcomes(entries, lines, request.prefer.find("return=minimal") != std::string::npos);
  co_return response;
}

asio::awaitable<HttpResponse> Api::telemetry(HttpRequest request) {
  if (request.content_type != "application/json") co_return unsupported_type("application/json");
  Result<std::vector<NewBody>> bodies = telemetry_from_json(request.body, host_.facility);
  if (!bodies) co_return refuse_whole(bodies.error());
  request.body = {};
  std::vector<Entry> entries;
  for (NewBody& body : *bodies) entries.push_back({entries.size() + 1, std::move(body), {}});
  Result<void> synced = co_await take_in(entries, request.idempotency_key);
  if (!synced) co_return refused(synced.error());
  HttpResponse response = outcomes(entries, false, false);
  co_return response;
}

asio::awaitable<HttpResponse> Api::document(HttpRequest request) {
  std::optional<std::string> name = query_value(request.query, "name");
  if (!name) co_return refuse_whole({Errc::bad_input, "name: the query is not percent-encoded"});
  DocumentFacts facts;
  facts.media_type = request.media_type.empty() ? "application/octet-stream" : request.media_type;
  facts.name = *name;
  facts.purpose = {v1::PURPOSE_CARE};
  Result<std::vector<NewBody>> bodies = split_document(request.body, facts, host_.facility);
  if (!bodies) co_return refuse_whole(bodies.error());
  std::string facts_text = fmt::format(R"("sha256":"{}","size_bytes":{},"media_type":)",
                                       hex(view(sha256(request.body))), request.body.size());
  append_json_string(facts_text, facts.media_type);
  request.body = {};
  std::vector<Entry> entries;
  for (NewBody& body : *bodies) entries.push_back({entries.size() + 1, std::move(body), {}});
  Result<void> synced = co_await take_in(entries, request.idempotency_key);
  if (!synced) co_return refused(synced.error());
  // One lane, one batch: all of it was taken in, or nothing.
  if (!entries.front().body) co_return refused(entries.front().body.error());
  HttpResponse response{
      201, fmt::format(R"({{{},"parts":{},"records":[)", facts_text, entries.size() - 1)};
  for (const Entry& e : entries) {
    response.body +=
        fmt::format("{}{{{}}}", &e == &entries.front() ? "" : ",", place_text(*e.body, e.place));
  }
  response.body += "]}";
  response.settled = true;
  co_return response;
}

HttpResponse Api::outcomes(const std::vector<Entry>& entries, bool by_line, bool minimal) {
  std::vector<unsigned> refusals;
  std::string results;
  for (size_t i = 0; i < entries.size(); i++) {
    const Entry& e = entries[i];
    if (!e.body) refusals.push_back(shown(e.body.error().code).status);
    if (minimal && e.body) continue;
    results += fmt::format("{}{{\"index\":{},", results.empty() ? "" : ",", i);
    if (by_line) results += fmt::format("\"line\":{},", e.number);
    if (e.body) {
      results += "\"outcome\":\"accepted\"," + place_text(*e.body, e.place);
      if (e.body->logical_id)
        results += fmt::format(",\"logical_id\":\"{}\"", egret::text_of(*e.body->logical_id));
      if (e.body->model_ref)
        results += fmt::format(",\"model_ref\":\"{}\"", hex(view(*e.body->model_ref)));
    } else {
      results += "\"outcome\":\"rejected\",\"error\":" + error_text(e.body.error());
    }
    results += '}';
  }
  size_t accepted = entries.size() - refusals.size();
  HttpResponse response{status_of(accepted, refusals),
                        fmt::format(R"({{"accepted":{},"rejected":{},"results":[{}]}})", accepted,
                                    refusals.size(), results)};
  bool later = std::any_of(refusals.begin(), refusals.end(), not_its_fault);
  if (later) response.retry_after_s = kLaterS;
  response.settled = accepted > 0 && !later;
  return response;
}

}  // namespace egret::agent
