#include "cloud/api/region.h"

#include <algorithm>

#include "cloud/api/door.h"
#include "cloud/dashboard/assets.h"
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

ApiHandler of_site(ApiHandler handler) {
  return [handler = std::move(handler)](const ApiCall& call, HttpAnswer answer) {
    if (!valid_facility(call.names[0])) return answer(error_answer(400, kWrongSite));
    call.note->about.push_back({AuditKind::facility, call.names[0], {}});
    handler(call, std::move(answer));
  };
}

namespace {

// Its own scripts and styles, and nothing else from anywhere.
constexpr const char* kDashboardPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

bool names(const HttpRequest& request, const char* header, std::string_view what) { return header_of(request, header).find(what) != std::string::npos; }

HttpResponse asset_answer(const HttpRequest& request, const DashboardAsset& asset) {
  HttpResponse out{200, std::string(asset.content_type), {}, {}};
  out.headers = {{"Cache-Control", "no-cache"}, {"ETag", std::string(asset.etag)}, {"Vary", "Accept-Encoding"}, {"Content-Security-Policy", kDashboardPolicy}, {"Referrer-Policy", "no-referrer"}};
  if (names(request, "if-none-match", asset.etag)) {
    out.status = 304;
  } else if (names(request, "accept-encoding", "gzip")) {
    out.headers.emplace_back("Content-Encoding", "gzip");
    out.body = asset.gzip;
  } else {
    out.body = asset.body;
  }
  return out;
}

void add_pages(Endpoints& endpoints) {
  const auto plain = [](const ApiCall&, HttpAnswer answer) { answer({200, "text/html; charset=utf-8", page_html(), {{"Content-Security-Policy", page_policy()}}}); };
  const auto assets = dashboard_assets();
  const auto built = [assets](const ApiCall& call, HttpAnswer answer) {
    const auto found = std::ranges::find(assets, call.http.path, &DashboardAsset::path);
    answer(found == assets.end() ? error_answer(404, "the dashboard has no such part") : asset_answer(call.http, *found));
  };
  endpoints.add(unaudited({"GET", "/", Roles::anybody(), "the dashboard; what it shows comes from the endpoints below", assets.empty() ? ApiHandler(plain) : ApiHandler(built)}));
  endpoints.add(unaudited({"GET", "/assets/*", Roles::anybody(), "its parts", built}));
  endpoints.add(unaudited({"GET", "/plain", Roles::anybody(), "the table of sites alone, for old browsers", plain}));
}

}  // namespace

void add_house(Endpoints& endpoints, const Region& region) {
  add_pages(endpoints);
  endpoints.add(unaudited({"GET", "/healthz", Roles::anybody(), "200 when broker and store work, else 503 and why", [health = region.health](const ApiCall&, HttpAnswer answer) { answer(health()); }}));
  endpoints.add(unaudited({"GET", "/metrics", {Role::viewer, Role::operations, Role::auditor, Role::admin}, "Prometheus' text format",
                           [metrics = region.metrics](const ApiCall&, HttpAnswer answer) { answer(metrics()); }}));
}

Endpoints api_endpoints(const Region& region) {
  Endpoints out;
  add_house(out, region);
  add_views(out, region);
  add_recalls(out, region);
  add_fhir(out, region);
  add_fhir_exports(out, region);
  add_completeness(out, region);
  add_feeds(out, region);
  add_quality(out, region);
  add_audit(out, region);
  add_ops(out, region);
  add_quarantine(out, region);
  // Last, for it lists all: itself too.
  const auto list = std::make_shared<std::string>();
  out.add(unaudited({"GET", "/api", Roles::anybody(), "this list", [list](const ApiCall&, HttpAnswer answer) { answer(json_answer(200, *list)); }}));
  *list = to_json(out);
  return out;
}

}  // namespace egret::cloud
