// Incidents: how they are shown, and closed by a person.
// Promises: an incident is closed once, with its note and time, in one synced write.
// Leaves to others: opening them (Reconciler), who may (api, control).
#pragma once

#include <string>

#include "cloud/store_kv.h"

namespace egret::cloud {

// The incident as it is then. Errors: not_found (no open one of that facility has this number), store_failed, corrupt.
Result<Incident> close_incident(KvStore& store, const Facility& fac, const std::string& id, std::string note, WallTime now);

// One object. `closed` is null while it is open.
std::string to_json(const Facility& fac, const Incident& incident);

}  // namespace egret::cloud
