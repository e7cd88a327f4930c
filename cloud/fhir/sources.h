// Sources: where the candidates of a search come from: for each type the narrowest table that its parameters allow.
// Promises: everything that matches is in a source; each source has one order, and goes on behind any of its keys, so that
// a cursor stays good while results come. Leaves to others: whether a candidate matches, and pages (search.h).
#pragma once

#include "cloud/fhir/fetch.h"
#include "cloud/fhir/query.h"
#include "cloud/fhir/world.h"

namespace egret::cloud::fhir {

// False: enough.
using EachCandidate = std::function<bool(ByteView key, Json resource)>;

struct Source {
  // Candidates behind `after` (empty: all), in the order of their keys. Errors: corrupt, store_failed.
  std::function<Result<void>(ByteView after, const EachCandidate& each)> walk;
  // Which value of which criterion it was made from, `also` counted on behind `values`: what an earlier source of the same
  // criterion has, it has shown.
  const Criterion* chosen = nullptr;
  size_t value = 0;
  bool by_date = false;  // its order is the order of dates that was asked for
};

// `query` outlives the sources. Errors: corrupt, store_failed, too_large (kFhirCountedMax results of one patient).
Result<std::vector<Source>> sources_of(World& world, const Query& query);

// Fills in, for each criterion about a patient, the other names that mean the same (rule 15).
Result<void> resolve_patients(World& world, Query& query);

}  // namespace egret::cloud::fhir
