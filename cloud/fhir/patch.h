// Patch: JSON Patch (RFC 6902) on the tree of a resource.
// Promises: all steps or none; what grows is bounded; an error names step and rule, never a value. Leaves to others: whether
// what comes out may be stored (types.h).
#pragma once

#include "cloud/fhir/json.h"

namespace egret::cloud::fhir {

// Errors: bad_input (no patch, a path that is not there), conflict (a test that fails), too_large (kFhirPatchStepsMax, or
// more than kFhirRequestBytesMax come out).
Result<Json> patched(Json target, const Json& patch);

}  // namespace egret::cloud::fhir
