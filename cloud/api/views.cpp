// /api/facilities, /api/results, /api/recalls: how things stand, as people and scripts read it. No patient's data.
#include "cloud/api/region.h"
#include "cloud/recall_report.h"
#include "cloud/results.h"

namespace egret::cloud {
namespace {

constexpr Roles kReaders{Role::viewer, Role::operations, Role::auditor};

Result<std::string> facilities_json(OpenedStore& store, const Region& region) {
  FacilitiesQuery query = region.facilities;
  query.now = region.now();
  query.rates = region.rates();
  const auto views = facilities(*store.store, query);
  if (!views) return views.error();
  return to_json(*views, query.now);
}

Result<std::string> result_json(OpenedStore& store, const std::string& text) {
  const auto name = result_name_of(text);
  if (!name) return Error{Errc::bad_input, "a result is named /api/results/FACILITY/UUID"};
  const auto row = find_result(*store.kv, *name);
  if (!row) return row.error();
  if (!*row) return Error{Errc::not_found, "nothing was ever said of this result"};
  const auto detail = detail_of(*store.kv, *name, **row);
  if (!detail) return detail.error();
  return to_json(*name, **row, *detail);
}

}  // namespace

void add_views(Endpoints& endpoints, const Region& region) {
  endpoints.add({"GET", "/api/facilities", kReaders, "each site: what wants attention, how far it is complete, gaps, incidents, its vitals", [region](const ApiCall&, HttpAnswer answer) {
                   answer_from_store(region, std::move(answer), [region](OpenedStore& store) { return answer_of(facilities_json(store, region)); });
                 }});
  endpoints.add({"GET", "/api/results/{facility}/{id}", kReaders, "one result: what is current, its history, issues, alert, recalls; no value, no patient", [region](const ApiCall& call, HttpAnswer answer) {
                   answer_from_store(region, std::move(answer), [name = call.names[0] + "/" + call.names[1]](OpenedStore& store) { return answer_of(result_json(store, name)); });
                 }});
  const auto recalls = [region](std::string which, const ApiCall& call, HttpAnswer answer) {
    answer_from_store(region, std::move(answer), [which = std::move(which), query = call.http.query](OpenedStore& store) { return answer_of(recalls_text(*store.kv, which, query)); });
  };
  endpoints.add({"GET", "/api/recalls", kReaders, "every recall and every undoing, with who, when and why", [recalls](const ApiCall& call, HttpAnswer answer) { recalls("", call, std::move(answer)); }});
  endpoints.add({"GET", "/api/recalls/preview", kReaders, "?model=M&version=V&from=A&to=B&facility=F: what a recall would touch, by site; changes nothing",
                 [recalls](const ApiCall& call, HttpAnswer answer) { recalls("preview", call, std::move(answer)); }});
  endpoints.add({"GET", "/api/recalls/{id}", kReaders, "one recall and what it touches", [recalls](const ApiCall& call, HttpAnswer answer) { recalls(call.names[0], call, std::move(answer)); }});
}

}  // namespace egret::cloud
