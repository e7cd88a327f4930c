// Gate: what may leave: nothing of a patient whose data may be kept and not be used (cloud/restrictions.h).
// Promises: what is read through the facade passes here, whichever way it was found: from a list it is left out, asked for by
// its id it is refused, without a word about the patient; what cannot be judged does not leave. So it is with records that
// leave as they came in (changes, export): of a document of the region's own the resource in it is judged.
// Leaves to others: ordering it (control).
#pragma once

#include "cloud/fhir/exchange.h"
#include "cloud/fhir/sight.h"

namespace egret::cloud::fhir {

// Errors: corrupt, store_failed.
Result<bool> is_restricted(Sight& sight, const Json& resource);
// A record as it stands at a place. Errors: the same.
Result<bool> is_restricted(Sight& sight, const Facility& fac, const Place& place, ByteView body);
Response restricted_refusal();
// An answer to a read, as it may leave.
Response let_out(Sight& sight, Response answer);

}  // namespace egret::cloud::fhir
