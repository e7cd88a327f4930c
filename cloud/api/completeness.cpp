// /api/completeness: how far the region is complete, of all sites, of one, and signed.
#include "cloud/completeness.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/api/query.h"
#include "cloud/api/region.h"
#include "cloud/json_text.h"
#include "cloud/merge/moment.h"

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

// Of every site, records of each day: received, and expected (null: too little is known).
Result<std::string> matrix_json(OpenedStore& store, const Region& region, uint32_t days) {
  const FacilitiesQuery query = region.facilities_now();
  const auto views = facilities(*store.store, query);
  if (!views) return views.error();
  std::string names, sites;
  for (uint32_t i = 0; i < days; i++) names += (i == 0 ? "" : ",") + json_time({query.now.us - int64_t{days - 1 - i} * kDayUs}).substr(0, 11) + "\"";
  std::vector<const FacilityView*> by_name;
  for (const FacilityView& view : *views) by_name.push_back(&view);
  std::ranges::sort(by_name, {}, &FacilityView::fac);
  for (const FacilityView* view : by_name) {
    const auto volume = volumes(*store.kv, view->fac, query.now, days);
    if (!volume) return volume.error();
    std::string received, expected;
    for (const DayVolume& day : *volume) {
      received += (received.empty() ? "" : ",") + std::to_string(day.all());
      expected += (expected.empty() ? "" : ",") + (day.expected ? std::to_string(*day.expected) : "null");
    }
    sites += fmt::format(R"({}{{"facility":{},"missing":{},"gap_records":{},"received":[{}],"expected":[{}]}})", sites.empty() ? "" : ",", json_string(view->fac), view->behind, view->row.gap_records, received, expected);
  }
  return fmt::format(R"({{"now":{},"days":[{}],"sites":[{}]}})", json_time(query.now), names, sites);
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
                             answer_from_store(region, std::move(answer), [region, days = static_cast<uint32_t>(*days)](OpenedStore& store) { return answer_of(matrix_json(store, region, days)); });
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
