// Fetch: one resource by type, id and version, wherever it comes from: made from results, or written by a client.
// Promises: a version that was served is served again while its records are there. Leaves to others: searching (search.h).
#pragma once

#include "cloud/fhir/ai.h"
#include "cloud/fhir/shelf.h"

namespace egret::cloud::fhir {

// `version` "": the current one. nullopt: there is none. Errors: corrupt, store_failed.
Found fetch(Sight& sight, std::string_view type, std::string_view id, std::string_view version = {});
// Is this the id of something that is made from results? A client may not write there.
bool is_derived_id(std::string_view type, std::string_view id);
// Newest first.
Result<std::vector<Json>> history_of(Sight& sight, std::string_view type, std::string_view id);

std::string version_of(const Json& resource);
std::string last_updated_of(const Json& resource);

}  // namespace egret::cloud::fhir
