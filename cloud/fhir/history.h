// History: the versions of one resource, or of a type in the order in which the region had them, newest first (FHIR R4).
// Promises: a walk through the feed costs a bounded number of looks a page and says where it goes on; nothing that was
// committed before the walk began is left out. Leaves to others: what a version is (fetch.h).
#pragma once

#include "cloud/fhir/exchange.h"
#include "cloud/fhir/types.h"
#include "cloud/fhir/world.h"

namespace egret::cloud::fhir {

// Of types that are kept version by version: Observation, and all that clients wrote.
Response instance_history(World& world, const Type& type, const std::string& id, const Parameters& parameters);
Response type_history(World& world, const Type& type, const Parameters& parameters);

}  // namespace egret::cloud::fhir
