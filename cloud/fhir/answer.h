// Answer: one request of a FHIR client and its answer (FHIR R4, RESTful API, JSON). The facade of the region's store.
// Promises: what is answered 2xx to a write is synced, and can be read; every refusal is an OperationOutcome without a
// patient's value; while the views are being made anew nothing is answered from them.
// Leaves to others: HTTP and roles (cloud/api), which thread this is: who writes is on the store's.
#pragma once

#include "cloud/fhir/exchange.h"
#include "cloud/fhir/world.h"

namespace egret::cloud::fhir {

Response answer(const Request& request, World& world);
// Does this request change nothing? Then it may be answered from a state of the store that only lasts; when its views are
// whole, for else they must be made first.
bool only_reads(const Request& request);
// One resource, or one version of it: little is read.
bool reads_one(const Request& request);

}  // namespace egret::cloud::fhir
