// /api/completeness: how far the region is complete, of all sites, of one, and signed.
#include "cloud/completeness.h"

#include "cloud/api/query.h"
#include "cloud/api/region.h"

namespace egret::cloud {
namespace {

constexpr Roles kReaders{Role::viewer, Role::operations, Role::auditor};

HttpResponse summary(OpenedStore& store, const Region& region) {
  const FacilitiesQuery query = region.facilities_now();
  const auto views = facilities(*store.store, query);
  return views ? json_answer(200, summary_json(*views, query.now)) : error_answer(views.error());
}

HttpResponse one(OpenedStore& store, const Region& region, const Facility& fac, bool statement) {
  const FacilitiesQuery query = region.facilities_now();
  const auto of = completeness(*store.store, *store.kv, fac, query);
  if (!of) return error_answer(of.error());
  if (!statement) return json_answer(200, to_json(*of, query.now));
  const auto key = region.statement_key();
  const auto meta = store.store->meta();
  if (!key || !meta) return error_answer(key ? meta.error() : key.error());
  auto text = signed_statement(*of, *meta, query.now, *key);
  return text ? HttpResponse{200, "application/x-ndjson", std::move(*text), {}} : error_answer(text.error());
}

HttpResponse matrix(OpenedStore& store, const Region& region, uint32_t days) {
  const FacilitiesQuery query = region.facilities_now();
  const auto views = facilities(*store.store, query);
  return views ? answer_of(volumes_json(*store.kv, *views, query.now, days)) : error_answer(views.error());
}

}  // namespace

void add_completeness(Endpoints& endpoints, const Region& region) {
  endpoints.add(unaudited({"GET", "/api/completeness", kReaders, "each site: complete or not, what is missing, gaps, last seen, ETA", [region](const ApiCall&, HttpAnswer answer) {
                             answer_from_store(region, std::move(answer), [region](OpenedStore& store) { return summary(store, region); });
                           }}));
  endpoints.add(unaudited({"GET", "/api/volumes", kReaders, "?days=14: of every site, records of each day (UTC): received and expected; at most 31 days", [region](const ApiCall& call, HttpAnswer answer) {
                             const auto query = query_of(call.http.query, {"days"});
                             const auto days = query ? number_in(*query, "days", 14, 1, 31) : Result<uint64_t>(query.error());
                             if (!days) return answer(error_answer(days.error()));
                             answer_from_store(region, std::move(answer), [region, days = static_cast<uint32_t>(*days)](OpenedStore& store) { return matrix(store, region, days); });
                           }}));
  const auto of_one = [region](bool statement) {
    return [region, statement](const ApiCall& call, HttpAnswer answer) {
      if (valid_facility(call.names[0])) call.note->about.push_back({AuditKind::facility, call.names[0], {}});
      answer_from_store(region, std::move(answer), [region, statement, fac = call.names[0]](OpenedStore& store) { return one(store, region, fac, statement); });
    };
  };
  endpoints.add({"GET", "/api/completeness/{facility}", kReaders, "one site: each stream of each epoch with its gaps and reasons; records by day, received and expected", of_one(false)});
  endpoints.add({"GET", "/api/completeness/{facility}/statement", kReaders, "the same, signed; egret-agent verify-statement checks it at the site", of_one(true)});
}

}  // namespace egret::cloud
