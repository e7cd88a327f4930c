// Region: what the API's handlers work with, and the endpoints of the room: each adds its own to the table.
// Promises: a handler touches the store only in a job, and writes only on the store's thread.
// Leaves to others: threads and sockets (server), who may (door.h).
#pragma once

#include "cloud/api/audit_desk.h"
#include "cloud/api/endpoints.h"
#include "cloud/api/waiting.h"
#include "cloud/facilities.h"
#include "cloud/store_thread.h"

namespace egret::cloud {

namespace fhir {
class Exports;
}
class Live;

struct Region {
  std::function<void(StoreThread::Job)> on_store;  // null to the job: the store is being opened again
  std::function<void(ReadJob)> beside_store;       // for what only reads; on any thread, several at once
  std::function<void(ReadJob)> read_here;          // the same for what reads little; on the calling thread where that can be
  FacilitiesQuery facilities;                      // `now` and `rates` are filled in at each request
  std::function<const std::map<Facility, double>*()> rates;  // only in a job
  std::function<WallTime()> now;
  std::function<MonoTime()> mono;
  std::shared_ptr<Waiting> waiting;                // looked at on the store's thread
  std::shared_ptr<Live> live;                      // on the store's thread
  std::function<HttpResponse()> metrics, health;
  std::function<Result<SitePrivateKey>()> statement_key;  // Errors: not_found, config
  std::shared_ptr<AuditDesk> audit;
  std::shared_ptr<fhir::Exports> exports;
  // Only in a job: the store as it is now, for an export to read. Errors: as of access.h.
  std::function<Result<OpenedStore>(const OpenedStore& store)> freeze;

  FacilitiesQuery facilities_now() const {  // only in a job
    FacilitiesQuery out = facilities;
    out.now = now();
    out.rates = rates();
    return out;
  }
};

// Answers from a job on the store's thread; 503 while it is down.
using FromStore = std::function<HttpResponse(OpenedStore& store)>;
void answer_from_store(const Region& region, HttpAnswer answer, FromStore from);

// A handler for a path whose first name is a site: 400 when it is none; what is asked is about it.
ApiHandler of_site(ApiHandler handler);
inline constexpr const char* kWrongSite = "facility: 1-32 of [a-z0-9-]";

// The page, /metrics, /healthz, /api: what is there whatever the store holds.
void add_house(Endpoints& endpoints, const Region& region);
// /api/facilities, /api/results, /api/restrictions.
void add_views(Endpoints& endpoints, const Region& region);
// /api/recalls.
void add_recalls(Endpoints& endpoints, const Region& region);
// /api/alerts, /api/changes.
void add_feeds(Endpoints& endpoints, const Region& region);
// /api/quality.
void add_quality(Endpoints& endpoints, const Region& region);
// /api/audit.
void add_audit(Endpoints& endpoints, const Region& region);
// /api/completeness.
void add_completeness(Endpoints& endpoints, const Region& region);

// /api/live, /api/timeline, /api/whoami, /api/incidents.
void add_ops(Endpoints& endpoints, const Region& region);
// /api/quarantine.
void add_quarantine(Endpoints& endpoints, const Region& region);

// /fhir: the FHIR facade (cloud/fhir).
void add_fhir(Endpoints& endpoints, const Region& region);
// /fhir/$export: its bulk exports.
void add_fhir_exports(Endpoints& endpoints, const Region& region);

// All of them.
Endpoints api_endpoints(const Region& region);

}  // namespace egret::cloud
