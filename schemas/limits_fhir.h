// LimitsFhir: every number of the FHIR facade, once, beside limits.h. Units are in the names.
// Promises: limits that must agree are checked here by the compiler. Leaves to others: enforcing them.
#pragma once

#include "schemas/limits.h"

namespace egret {

inline constexpr size_t kFhirRequestBytesMax = 2 * kMiB;  // a resource or a Bundle
inline constexpr size_t kFhirValuesMax = 200'000;         // JSON values of one
inline constexpr size_t kFhirResourceBytesMax = 512 * kKiB;
inline constexpr size_t kFhirEntriesMax = 1'000;          // of a transaction or batch
inline constexpr size_t kFhirPatchStepsMax = 1'000;
inline constexpr size_t kFhirParametersMax = 64;
inline constexpr size_t kFhirParameterBytesMax = 4 * kKiB;
inline constexpr size_t kFhirOrValuesMax = 64;            // values of one parameter, separated by commas
inline constexpr size_t kFhirPage = 50;                   // resources on a page when the client does not say
inline constexpr size_t kFhirPageMax = 200;
inline constexpr size_t kFhirIncludedMax = 1'000;         // resources that a page brings along
inline constexpr size_t kFhirLooksMax = 2'000;            // candidates of a search that are looked at for one page
inline constexpr size_t kFhirCountedMax = 10'000;         // candidates that are looked at to count, or to sort
inline constexpr size_t kFhirTermsMax = 256;              // of one resource, in the index
inline constexpr size_t kFhirIdCharsMax = 64;             // FHIR R4 id
inline constexpr int64_t kFhirIntervalUs = 366LL * 24 * 3600 * 1'000'000;  // what a result is about lasts no longer
inline constexpr int kFhirWriteTries = 8;                 // against other writers

static_assert(kFhirResourceBytesMax <= kDocumentBytesMax && kFhirResourceBytesMax <= kFhirRequestBytesMax,
              "a resource fits a document, and a request");
static_assert(32 + kFacilityCharsMax <= kFhirIdCharsMax, "16 bytes in hex and a facility fit an id");
static_assert(kFhirPage <= kFhirPageMax && kFhirPageMax <= kFhirLooksMax, "a page can be filled");

}  // namespace egret
