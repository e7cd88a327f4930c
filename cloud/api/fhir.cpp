// /fhir: the FHIR R4 facade. What is asked and answered is cloud/fhir's; here it gets HTTP around it.
#include "cloud/api/fhir_http.h"
#include "cloud/fhir/answer.h"
#include "cloud/fhir/shown.h"
#include "schemas/entropy.h"
#include "schemas/limits_fhir.h"

namespace egret::cloud {
namespace {

fhir::Request request_of(const ApiCall& call) {
  fhir::Request out;
  out.method = call.http.method == "HEAD" ? "GET" : call.http.method;
  out.path = call.http.path.substr(std::min(call.http.path.size(), std::string_view(kFhirPath).size()));
  out.query = call.http.query;
  out.body = call.http.body;
  out.content_type = header_of(call.http, "content-type");
  out.if_match = header_of(call.http, "if-match");
  out.if_none_match = header_of(call.http, "if-none-match");
  out.if_none_exist = header_of(call.http, "if-none-exist");
  out.prefer = header_of(call.http, "prefer");
  out.base = fhir_base_of(call.http);
  out.client = call.caller.name;
  return out;
}

HttpResponse answer_from(OpenedStore& store, const fhir::Request& request, WallTime now, std::shared_ptr<fhir::Known> known, AuditNote& note) {
  OsEntropy entropy;
  fhir::World world(*store.kv, *store.store, entropy, now, std::move(known));
  world.base = request.base;
  world.client = request.client;
  const fhir::Response response = fhir::answer(request, world);
  note.about = fhir::shown_in(request, response, world);
  return fhir_as_http(response);
}

// Of a state of the store that lasts. nullopt: its views are not whole.
std::optional<HttpResponse> answer_beside(OpenedStore& store, std::shared_ptr<void>& kept, const fhir::Request& request, WallTime now, AuditNote& note) {
  if (!kept) kept = std::make_shared<fhir::Known>();
  auto known = std::static_pointer_cast<fhir::Known>(kept);
  OsEntropy entropy;
  const auto whole = fhir::World(*store.kv, *store.store, entropy, now, known).views_whole();
  if (!whole || !*whole) return std::nullopt;
  return answer_from(store, request, now, std::move(known), note);
}

}  // namespace

void add_fhir(Endpoints& endpoints, const Region& region) {
  const ApiHandler handler = [region](const ApiCall& call, HttpAnswer answer) {
    auto request = std::make_shared<const fhir::Request>(request_of(call));
    const auto note = call.note;
    note->what = fhir::interaction_of(*request);
    note->keep = note->what != "capabilities";
    const WallTime now = region.now();
    // The time of a write is of the store's thread: what is written later has a later time, which exports rely on.
    const FromStore owner = [clock = region.now, request, note](OpenedStore& store) { return answer_from(store, *request, clock(), std::make_shared<fhir::Known>(), *note); };
    if (!fhir::only_reads(*request)) return answer_from_store(region, std::move(answer), owner);
    const auto& read = fhir::reads_one(*request) ? region.read_here : region.beside_store;
    read([region, now, request, owner, note, answer = std::move(answer)](OpenedStore* store, std::shared_ptr<void>* kept) {
      auto beside = store != nullptr && kept != nullptr ? answer_beside(*store, *kept, *request, now, *note) : std::nullopt;
      if (beside) return answer(std::move(*beside));
      // Views that are not whole are made by who owns the store.
      answer_from_store(region, answer, owner);
    });
  };
  const std::string below = std::string(kFhirPath) + "/*";
  const auto add = [&](const char* method, const std::string& path, const char* does) {
    // A search by form is a read.
    const auto changes = [](const HttpRequest& request) { return request.method != "GET" && request.method != "HEAD" && !request.path.ends_with("/_search"); };
    endpoints.add({method, path, {Role::fhir}, does, handler, kFhirRequestBytesMax, fhir_refusal, true, changes});
  };
  add("GET", below, "FHIR R4: read, search, history; metadata says what works (cloud/fhir/README.md)");
  add("POST", below, "FHIR R4: create, search by form");
  add("PUT", below, "FHIR R4: update");
  add("PATCH", below, "FHIR R4: JSON Patch");
  add("POST", kFhirPath, "FHIR R4: a transaction or batch");
}

}  // namespace egret::cloud
