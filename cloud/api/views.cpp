// /api/facilities, /api/results, /api/restrictions: how things stand, as people and scripts read it. No patient's data.
#include <algorithm>

#include "cloud/api/region.h"
#include "cloud/restrictions.h"
#include "cloud/results.h"

namespace egret::cloud {
namespace {

constexpr Roles kReaders{Role::viewer, Role::operations, Role::auditor};

Result<std::string> facilities_json(OpenedStore& store, const Region& region) {
  const FacilitiesQuery query = region.facilities_now();
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

Result<std::string> restrictions_json(const Kv& kv) {
  const auto all = restriction_orders(kv);
  if (!all) return all.error();
  std::string out;
  for (const RestrictionOrder& order : *all) {
    const bool lifted = std::ranges::any_of(*all, [&](const RestrictionOrder& o) { return o.kind == RestrictionOrder::Kind::lift && o.lifts == order.id; });
    out += (out.empty() ? "" : ",") + to_json(order, lifted);
  }
  return "{\"orders\":[" + out + "]}";
}

}  // namespace

void add_views(Endpoints& endpoints, const Region& region) {
  endpoints.add(unaudited({"GET", "/api/facilities", kReaders, "each site: what wants attention, how far it is complete, gaps, incidents, its vitals", [region](const ApiCall&, HttpAnswer answer) {
                             answer_from_store(region, std::move(answer), [region](OpenedStore& store) { return answer_of(facilities_json(store, region)); });
                           }}));
  endpoints.add({"GET", "/api/results/{facility}/{id}", kReaders, "one result: what is current, its history, issues, alert, recalls; no value, no patient", [region](const ApiCall& call, HttpAnswer answer) {
                   const std::string text = call.names[0] + "/" + call.names[1];
                   if (const auto name = result_name_of(text)) call.note->about.push_back(subject_of(*name));
                   answer_from_store(region, std::move(answer), [text](OpenedStore& store) { return answer_of(result_json(store, text)); });
                 }});
  endpoints.add({"GET", "/api/restrictions", {Role::operations, Role::auditor}, "whose data may be kept and not be used: every order and every lifting; patients by pseudonym", [region](const ApiCall&, HttpAnswer answer) {
                   answer_from_store(region, std::move(answer), [](OpenedStore& store) { return answer_of(restrictions_json(*store.kv)); });
                 }});
}

}  // namespace egret::cloud
