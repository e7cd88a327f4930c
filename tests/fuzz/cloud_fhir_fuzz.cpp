// Fuzz entry: a FHIR client that says anything: addresses, searches, forms, resources, patches, Bundles, conditions. Every answer
// is FHIR, every refusal an OperationOutcome, and what got a 2xx can be read.
#include "cloud/fhir/answer.h"
#include "cloud/fhir/export_wish.h"
#include "cloud/fhir/fetch.h"
#include "cloud/fhir/terms.h"
#include "schemas/limits_fhir.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/kv_memory.h"
#include "tests/sim/seeded_entropy.h"

using namespace egret;
using namespace egret::cloud;
using fuzz::require;

namespace {

constexpr const char* kPatient = R"({"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:mrn","value":"7"}],"gender":"female"})";

// A store with one patient in it; each input finds it as it was.
class Bench {
 public:
  Bench() {
    fhir::Request request;
    request.method = "PUT";
    request.path = "Patient/p1";
    request.content_type = "application/fhir+json";
    request.body = kPatient;
    require(ask(request).status == 201, "a patient is stored");
    before_ = kv_.snapshot();
  }
  void begin() { kv_.rollback(before_); }
  fhir::Response ask(const fhir::Request& request) {
    fhir::World world(kv_, *store_, entropy_, {1'700'000'000'000'000});
    world.base = request.base;
    return fhir::answer(request, world);
  }

 private:
  SeededEntropy entropy_{1};
  KvMemory kv_{kCloudSpaces};
  std::unique_ptr<KvStore> store_ = open_store(kv_, entropy_).value();
  KvMemory::State before_;
};

void check(Bench& bench, const fhir::Request& request, const fhir::Response& answer) {
  require(answer.status >= 200 && answer.status < 600, "an answer has a status of HTTP");
  require(answer.status != 500, "nothing that is asked is the store's fault");
  if (answer.status >= 400) require(answer.body && answer.body->text_at("resourceType") == "OperationOutcome", "a refusal is an OperationOutcome");
  const std::string text = answer.body ? fhir::write_json(*answer.body) : "";
  if (!text.empty() && text.size() < kFhirRequestBytesMax) {
    const auto again = fhir::parse_json(text);
    require(again.has_value() && *again == *answer.body, "what is answered is JSON, and reads as it was meant");
  }
  const bool wrote = (request.method == "PUT" || request.method == "PATCH" || request.method == "POST") && answer.status == 201;
  if (!wrote) return;
  fhir::Request read;
  read.method = "GET";
  read.base = request.base;
  read.path = answer.location.substr(request.base.size() + 1);
  const auto there = bench.ask(read);
  require(there.status == 200 && there.body && (!answer.body || *there.body == *answer.body), "what was stored can be read");
}

// A bulk export that is asked for in the same words.
void check_wish(const std::string& query, uint8_t flags) {
  const auto parameters = fhir::parse_query(query);
  if (!parameters) return;
  const auto level = (flags & 64) != 0 ? fhir::ExportLevel::patients : fhir::ExportLevel::system;
  const auto wish = fhir::parse_export(level, *parameters, (flags & 128) != 0);
  if (!wish)
    return require(
        wish.error().text.starts_with("export: ") || wish.error().text.starts_with("search: "),
        "a refusal says of what");
  require(!wish->types.empty() && wish->types.size() <= fhir::types().size(),
          "an export is of types, each once");
  for (const fhir::Type* type : wish->types)
    require(fhir::is_exported(level, *type), "of what may be exported");
  require((flags & 128) != 0 || wish->ignored.empty(), "nothing is left out unasked");
}

// Input: method(1) · flags(1) · the address, a line end, a header, a line end, the body.
void run(ByteView input) {
  static Bench bench;
  fuzz::Script script(input);
  constexpr const char* kMethods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
  constexpr const char* kTypes[] = {"application/fhir+json", "application/json", "application/json-patch+json", "application/x-www-form-urlencoded"};
  fhir::Request request;
  request.method = kMethods[script.below(5)];
  const uint8_t flags = script.u8();
  request.content_type = kTypes[flags % 4];
  request.prefer = (flags & 4) != 0 ? "handling=strict" : (flags & 8) != 0 ? "return=minimal" : "";
  request.base = "http://x/fhir";
  const ByteView rest = script.rest();
  const size_t first = std::min(rest.find('\n'), rest.size());
  const ByteView address = rest.substr(0, first);
  const ByteView behind = rest.substr(std::min(first + 1, rest.size()));
  const size_t second = std::min(behind.find('\n'), behind.size());
  const std::string header(behind.substr(0, second));
  request.body = behind.substr(std::min(second + 1, behind.size()));
  const size_t mark = std::min(address.find('?'), address.size());
  request.path = address.substr(0, mark);
  request.query = address.substr(std::min(mark + 1, address.size()));
  ((flags & 16) != 0 ? request.if_match : (flags & 32) != 0 ? request.if_none_match : request.if_none_exist) = header;
  bench.begin();
  check(bench, request, bench.ask(request));
  check_wish(request.query, flags);
  (void)fhir::span_of(header);
  (void)fhir::reference_in(header, "http://x/fhir");
}

Bytes seed(uint8_t method, uint8_t flags, const std::string& address, const std::string& header, const std::string& body) {
  return Bytes(1, char(method)) + Bytes(1, char(flags)) + address + "\n" + header + "\n" + body;
}

std::vector<Bytes> seeds() {
  const std::string bundle = R"({"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=urn:mrn|8"}},
    {"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:1"}},"request":{"method":"POST","url":"Observation"}},{"request":{"method":"GET","url":"Patient?identifier=urn:mrn|7"}}]})";
  return {
      seed(0, 0, "metadata", "", ""),
      seed(0, 4,
           "Patient?identifier=urn:mrn|7,urn:x%7C8&_count=1&_total=accurate&_lastUpdated=ge2020-01-"
           "01T08:30Z",
           "", ""),
      seed(0, 0,
           "Observation?_include=Observation:device&_revinclude=Provenance:target&_sort=-date&"
           "subject:identifier=a|b&_cursor=00",
           "", ""),
      seed(0, 0,
           "$export?_type=Patient,Observation&_since=2026-03-01T08:30:00+08:00&_outputFormat="
           "application/fhir%2Bndjson",
           "", ""),
      seed(0, 192, "Patient/$export?_type=Device,Patient&_typeFilter=x&patient=Patient/1", "", ""),
      seed(0, 32, "Patient/p1/_history/1", "W/\"1\"", ""),
      seed(0, 0, "Patient/_history?_since=2020&_before=3", "", ""),
      seed(1, 3, "Patient/_search", "", "gender=female&_summary=count"),
      seed(1, 0, "Patient", "identifier=urn:mrn|7", R"({"resourceType":"Patient","active":true})"),
      seed(2, 16, "Patient/p1", "W/\"1\"",
           R"({"resourceType":"Patient","id":"p1","birthDate":"1961-03"})"),
      seed(2, 0, "Patient?identifier=urn:mrn|7", "",
           R"({"resourceType":"Patient","multipleBirthInteger":1.50e2})"),
      seed(
          3, 2, "Patient/p1", "",
          R"([{"op":"test","path":"/gender","value":"female"},{"op":"move","from":"/gender","path":"/birthDate"},{"op":"add","path":"/identifier/-","value":{"value":"~1"}}])"),
      seed(1, 0, "", "", bundle),
      seed(
          1, 0, "", "",
          std::string(
              R"({"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"PATCH","url":"Patient/p1","ifMatch":"W/\"1\""},"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W10="}}]})"))};
}

const fuzz::Registered registered({"cloud_fhir", run, seeds});

}  // namespace
