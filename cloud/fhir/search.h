// Search: a search as a Bundle: page by page, with absolute links (FHIR R4, Search).
// Promises: a page costs a bounded number of looks, and says in a link where it goes on; a page may be short, or empty, and
// still have one. A cursor is this store's own, for this search: anything else is refused. Leaves to others: candidates
// (sources.h), what matches (terms.h).
#pragma once

#include "cloud/fhir/query.h"
#include "cloud/fhir/world.h"

namespace egret::cloud::fhir {

// GET Type?..., or POST Type/_search. Errors are answers.
Response search(World& world, const Type& type, const Parameters& parameters, bool strict);

// The matches of a condition, at most two: enough to tell none, one and several. Only parameters of the search that say what
// must be are allowed. Errors: as of parse_search; bad_input (no parameter).
Result<std::vector<Json>> matches_of(World& world, const Type& type, const Parameters& parameters);

// Does a resource that is not stored yet match such a condition? Errors: the same.
Result<bool> satisfies(World& world, const Type& type, const Parameters& parameters, const Json& resource);

}  // namespace egret::cloud::fhir
