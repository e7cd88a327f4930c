// ExportWish: what a bulk export asks for, read from its parameters (FHIR Bulk Data Access,
// kick-off request). Promises: a parameter that is not known is refused, or left out and reported
// (Prefer: handling=lenient); so is a type. Leaves to others: which resources that are
// (export_walk.h), when (exports.h).
//
//   _outputFormat   application/fhir+ndjson, application/ndjson or ndjson; the only format there is
//   _type           types, separated by commas; none: all that there are
//   _since          an instant: what has changed at it or later
#pragma once

#include "cloud/fhir/exchange.h"
#include "cloud/fhir/types.h"

namespace egret::cloud::fhir {

inline constexpr const char* kExportFormat = "application/fhir+ndjson";

enum class ExportLevel : uint8_t { system, patients };  // $export, Patient/$export

struct ExportWish {
  ExportLevel level = ExportLevel::system;
  std::vector<const Type*> types;  // each once
  std::optional<int64_t> since_us;
  std::vector<std::string> ignored;  // what was left out, for a person; no values
};

// Which types an export of this level may have.
bool is_exported(ExportLevel level, const Type& type);
// "respond-async", "handling=lenient": is it one of the preferences of a Prefer header?
bool prefers(std::string_view header, std::string_view preference);
// Errors: bad_input, too_large (kFhirOrValuesMax), unsupported.
Result<ExportWish> parse_export(ExportLevel level, const Parameters& parameters, bool lenient);

}  // namespace egret::cloud::fhir
