#include "cloud/api/region.h"

#include "cloud/api/door.h"
#include "cloud/page.h"

namespace egret::cloud {

void answer_from_store(const Region& region, HttpAnswer answer, FromStore from) {
  region.on_store([answer = std::move(answer), from = std::move(from)](OpenedStore* store) {
    if (store != nullptr) return answer(from(*store));
    HttpResponse later = error_answer(503, "the store is being opened again");
    later.headers.emplace_back("Retry-After", "1");
    answer(std::move(later));
  });
}

void add_house(Endpoints& endpoints, const Region& region) {
  endpoints.add(unaudited({"GET", "/", Roles::anybody(), "the page; what it shows comes from /api/facilities", [](const ApiCall&, HttpAnswer answer) {
                             answer({200, "text/html; charset=utf-8", page_html(), {{"Content-Security-Policy", page_policy()}}});
                           }}));
  endpoints.add(unaudited({"GET", "/healthz", Roles::anybody(), "200 when broker and store work, else 503 and why", [health = region.health](const ApiCall&, HttpAnswer answer) { answer(health()); }}));
  endpoints.add(unaudited({"GET", "/metrics", {Role::viewer, Role::operations, Role::auditor, Role::admin}, "Prometheus' text format",
                           [metrics = region.metrics](const ApiCall&, HttpAnswer answer) { answer(metrics()); }}));
}

Endpoints api_endpoints(const Region& region) {
  Endpoints out;
  add_house(out, region);
  add_views(out, region);
  add_fhir(out, region);
  add_fhir_exports(out, region);
  add_completeness(out, region);
  add_feeds(out, region);
  add_quality(out, region);
  add_audit(out, region);
  // Last, for it lists all: itself too.
  const auto list = std::make_shared<std::string>();
  out.add(unaudited({"GET", "/api", Roles::anybody(), "this list", [list](const ApiCall&, HttpAnswer answer) { answer(json_answer(200, *list)); }}));
  *list = to_json(out);
  return out;
}

}  // namespace egret::cloud
