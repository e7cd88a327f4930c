// Gate: what may leave the facade: nothing of a patient whose data may be kept and not be used (cloud/restrictions.h).
// Promises: what is read passes here, whichever way it was found: from a list it is left out, asked for by its id it is
// refused, without a word about the patient; what cannot be judged does not leave.
// Leaves to others: ordering it (control), what the other interfaces show (changes, export).
#pragma once

#include "cloud/fhir/exchange.h"
#include "cloud/fhir/world.h"

namespace egret::cloud::fhir {

// Errors: corrupt, store_failed.
Result<bool> is_restricted(World& world, const Json& resource);
Response restricted_refusal();
// An answer to a read, as it may leave.
Response let_out(World& world, Response answer);

}  // namespace egret::cloud::fhir
