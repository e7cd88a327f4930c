// Shown: what an answer of the facade shows or wrote, and of whom, for the audit log.
// Promises: every resource of the answer, and every patient that one of them names; names as cloud/audit.h wants them, so no
// identifier, no value of a search and no id that a client chose stands in the log.
// Leaves to others: writing it down (api/audit_desk.h).
#pragma once

#include "cloud/audit.h"
#include "cloud/fhir/exchange.h"
#include "cloud/fhir/world.h"

namespace egret::cloud::fhir {

// "read Observation", "search Patient", "transaction": words and types that the facade knows, nothing else.
std::string interaction_of(const Request& request);
// Of an answer that shows nothing, what was asked for by its id.
std::vector<AuditSubject> shown_in(const Request& request, const Response& response, World& world);
// What a resource is called in the log.
Result<AuditSubject> subject_of(World& world, std::string_view type, std::string_view id);

}  // namespace egret::cloud::fhir
