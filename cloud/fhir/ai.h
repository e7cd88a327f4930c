// Ai: results, runs, models, patients and reviews as FHIR resources, after the AI Transparency guide: what a model said is
// labelled AIAST, names its Device, and has Provenance. Pure readings of the views; nothing is kept.
// Promises: the same statements give the same resources and versions, whatever the order in which they came; what was taken
// back is readable by id, with status entered-in-error. Leaves to others: resources that clients wrote (shelf.h), search.
//
// Ids: an Observation is 32 hex digits of its result's UUID and the facility; a DiagnosticReport the same of its run; a
// Provenance the first 16 bytes of its record's SHA-256 and the facility that stated it; a Device is its model's SHA-256;
// a Patient is the store's pseudonym of an identifier. A version of an Observation is NUMBER-HASH: the version as its
// facility counts, and the first 8 bytes of the SHA-256 of the statement that made it.
#pragma once

#include "cloud/fhir/json.h"
#include "cloud/fhir/sight.h"
#include "cloud/result_index.h"

namespace egret::cloud::fhir {

// 16 bytes and a facility as an id, and the way back; nullopt: it is none.
struct UnitId {
  Uuid unit{};
  Facility fac;
};
std::string id_of(const Uuid& unit, const Facility& fac);
std::optional<UnitId> unit_in(std::string_view id);
std::optional<Hash> hash_in(std::string_view id);
inline std::string observation_id(const ResultName& name) { return id_of(name.id, name.fac); }

// nullopt: there is no such thing, or nothing of it may be shown yet. Errors: corrupt, store_failed.
using Found = Result<std::optional<Json>>;
// One version; "": the current one.
Found observation(Sight& sight, const ResultName& name, std::string_view version = {});
// Newest first; the current one leads.
Result<std::vector<Json>> observation_history(Sight& sight, const ResultName& name);
// The version that this record made of the result; nullopt: it made none that is shown.
Found observation_by(Sight& sight, const ResultName& name, const Hash& record);
// The Observation of a result, and what its report says of it.
struct Concluded {
  Json observation;
  std::string conclusion;
};
Result<std::optional<Concluded>> concluded(Sight& sight, const ResultName& name);
Found report(Sight& sight, const RunName& run);
Found device(Sight& sight, const Hash& model);
Found patient(Sight& sight, const Hash& name);
Found provenance(Sight& sight, const UnitId& id);
// Of every statement about a result; `version`: of that one.
Result<std::vector<Json>> provenances_of(Sight& sight, const ResultName& name, std::string_view version = {});

}  // namespace egret::cloud::fhir
