// Review: a person's answer to a result, as a FHIR client gives it: a Provenance that targets a version of the Observation
// and has an agent of type `verifier`. It becomes a Review record of the region's own facility, so it counts like one that a
// site sent: by role, time and the version that was seen (rules 19 and 20).
// Promises: a Provenance that is a review is complete, or is refused with what is missing; anything else is no review.
// Leaves to others: storing (keep.h), what it changes (cloud/merge).
//
//   target[0].reference                 Observation/ID/_history/VERSION of a result
//   agent: type verifier,
//     who.identifier.value              pseudonym of the reviewer, never a name
//     role (urn:egret:fhir)             nurse, technician, physician, specialist, senior_specialist, panel
//   activity (urn:egret:fhir)           agreed, rejected, deferred, not_required
//   reason                              why, where it says so
//   occurredDateTime, else recorded     when
#pragma once

#include "cloud/fhir/types.h"
#include "schemas/record.h"

namespace egret::cloud::fhir {

// nullopt: no review of a result. Errors: bad_input (an element is missing, or says something else).
Result<std::optional<NewBody>> review_in(const Json& provenance);

}  // namespace egret::cloud::fhir
