// /api/live, /api/timeline, /api/whoami, /api/incidents: what those who run the region watch, and what they do about it.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/api/live.h"
#include "cloud/api/query.h"
#include "cloud/api/region.h"
#include "cloud/incidents.h"
#include "cloud/json_text.h"
#include "schemas/record_text.h"

namespace egret::cloud {
namespace {

constexpr Roles kReaders{Role::viewer, Role::operations, Role::auditor};
constexpr size_t kIncidentsMax = 1'000;
constexpr int64_t kMinuteUs = 60'000'000;

void answer_live(const Region& region, const ApiCall& call, HttpAnswer answer) {
  region.on_store([region, after = header_of(call.http, "last-event-id"), still = call.still, answer = std::move(answer)](OpenedStore* store) {
    if (store == nullptr) return answer(error_answer(503, "the store is being opened again"));
    auto flow = std::make_shared<HttpFlow>();
    if (!region.live->watch(*store->store, flow, after, region.facilities_now(), still)) {
      HttpResponse full = error_answer(503, fmt::format("{} watch, as many as may; ask again later", kLiveWatchers));
      full.headers.emplace_back("Retry-After", "5");
      return answer(std::move(full));
    }
    HttpResponse out{200, "text/event-stream", {}, {}};
    out.flow = std::move(flow);
    answer(std::move(out));
  });
}

// Open ones; of one site the closed ones, too. The newest first.
Result<std::string> incidents_json(OpenedStore& store, const std::string& of) {
  const auto facs = of.empty() ? store.store->facilities() : Result<std::vector<Facility>>(std::vector<Facility>{of});
  if (!facs) return facs.error();
  std::vector<std::pair<Facility, Incident>> all;
  auto txn = store.store->begin();
  for (const Facility& fac : *facs) {
    const auto some = txn->incidents(fac, of.empty());
    if (!some) return some.error();
    for (const Incident& incident : *some) all.emplace_back(fac, incident);
  }
  std::ranges::sort(all, [](const auto& a, const auto& b) { return a.second.id > b.second.id; });
  const bool more = all.size() > kIncidentsMax;
  if (more) all.resize(kIncidentsMax);
  std::string out;
  for (const auto& [fac, incident] : all) out += (out.empty() ? "" : ",") + to_json(fac, incident);
  return fmt::format(R"({{"incidents":[{}],"more":{}}})", out, more);
}

// Only minutes in which something changed; `watched`: in which somebody looked, so that nothing is drawn where nobody knows.
Result<std::string> timeline_json(OpenedStore& store, const Timeline& timeline, const Facility& fac, WallTime now) {
  const auto facs = store.store->facilities();
  if (!facs) return facs.error();
  if (std::ranges::find(*facs, fac) == facs->end()) return Error{Errc::not_found, "no such facility"};
  const auto minutes = timeline.site(*store.kv, fac);
  if (!minutes) return minutes.error();
  const auto at = [](int64_t minute) { return json_time({minute * kMinuteUs}); };
  std::string changes, watched;
  for (const SiteMinute& m : *minutes)
    changes += fmt::format(R"({}{{"at":{},"state":"{}","linked":{},"records":{},"behind":{},"gap_records":{},"last_seen":{}}})", changes.empty() ? "" : ",", at(m.minute), name_of(m.attention), m.linked, m.records,
                           m.behind, m.gap_records, json_time(m.last_seen));
  int64_t from = 0, last = 0;
  const auto end_run = [&] { watched += last == 0 ? "" : fmt::format(R"({}{{"from":{},"to":{}}})", watched.empty() ? "" : ",", at(from), at(last)); };
  for (const RegionMinute& m : timeline.region()) {
    if (m.minute != last + 1) {
      end_run();
      from = m.minute;
    }
    last = m.minute;
  }
  end_run();
  return fmt::format(R"({{"facility":{},"now":{},"minutes":[{}],"watched":[{}]}})", json_string(fac), json_time(now), changes, watched);
}

HttpResponse close_one(OpenedStore& store, const Facility& fac, const std::string& id, std::string note, WallTime now) {
  const auto closed = close_incident(*store.store, fac, id, std::move(note), now);
  return closed ? json_answer(200, to_json(fac, *closed)) : error_answer(closed.error());
}

}  // namespace

void add_ops(Endpoints& endpoints, const Region& region) {
  endpoints.add(unaudited({"GET", "/api/live", kReaders, "server-sent events: how every site stands, and what changes, once a second", [region](const ApiCall& call, HttpAnswer answer) { answer_live(region, call, std::move(answer)); }}));
  endpoints.add(unaudited({"GET", "/api/timeline/{facility}", kReaders, "how a site stood in each minute of the last 24 hours: linked, committed, behind, in gaps", of_site([region](const ApiCall& call, HttpAnswer answer) {
                             answer_from_store(region, std::move(answer), [region, fac = call.names[0]](OpenedStore& store) { return answer_of(timeline_json(store, region.live->timeline(), fac, region.now())); });
                           })}));
  endpoints.add(unaudited({"GET", "/api/whoami", {Role::viewer, Role::operations, Role::auditor, Role::admin, Role::fhir}, "whose token this is, and its role", [](const ApiCall& call, HttpAnswer answer) {
                             answer(json_answer(200, fmt::format(R"({{"name":{},"role":"{}"}})", json_string(call.caller.name), name_of(call.caller.role))));
                           }}));
  endpoints.add(unaudited({"GET", "/api/incidents", kReaders, "?facility=F: open incidents of all sites; of one its closed ones, too", [region](const ApiCall& call, HttpAnswer answer) {
                             const auto query = query_of(call.http.query, {"facility"});
                             if (!query) return answer(error_answer(query.error()));
                             const auto at = query->find("facility");
                             const std::string fac = at == query->end() ? "" : at->second;
                             if (!fac.empty() && !valid_facility(fac)) return answer(error_answer(400, kWrongSite));
                             answer_from_store(region, std::move(answer), [fac](OpenedStore& store) { return answer_of(incidents_json(store, fac)); });
                           }}));
  endpoints.add({"POST", "/api/incidents/{facility}/{id}/close", {Role::operations}, R"({"note":"…"}: closes an incident; 404 when it is closed)", of_site([region](const ApiCall& call, HttpAnswer answer) {
                   auto note = note_in(call.http.body);
                   if (!note) return answer(error_answer(note.error()));
                   answer_from_store(region, std::move(answer), [fac = call.names[0], id = call.names[1], note = std::move(*note), now = region.now()](OpenedStore& store) { return close_one(store, fac, id, note, now); });
                 })});
}

}  // namespace egret::cloud
