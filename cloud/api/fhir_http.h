// FhirHttp: what the endpoints below /fhir share: FHIR's answers and refusals in HTTP, and the
// address of the facade. Promises: a refusal is an OperationOutcome. Leaves to others: what is
// answered (cloud/fhir), who may (door.h).
#pragma once

#include "cloud/api/region.h"
#include "cloud/fhir/exchange.h"

namespace egret::cloud {

using fhir::kFhirPath;

HttpResponse fhir_as_http(const fhir::Response& from);
// How the door says 401 and 403 there.
HttpResponse fhir_refusal(unsigned status, const std::string& text);
// As the client wrote it, or as the proxy in front says it was written; without a slash at its end.
std::string fhir_base_of(const HttpRequest& request);

}  // namespace egret::cloud
