// OwnFacility: the facility that the region itself is: what its own interfaces take in is stated by it, and stored as any site's.
// Promises: no site may have its name. Leaves to others: what is taken in (fhir/), its rows (tables.h).
#pragma once

#include "schemas/types.h"

namespace egret::cloud {

inline constexpr const char* kRegionFacility = "region";

}  // namespace egret::cloud
