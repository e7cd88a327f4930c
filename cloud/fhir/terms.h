// Terms: by which values a resource is found, and whether one matches what is searched for (FHIR R4, Search).
// Promises: the index and the search read a resource in the same way, so what the index finds matches, and what matches is
// in the index; a time is the range that its digits leave open. Leaves to others: which parameters a type has (types.h),
// walking (search.h).
#pragma once

#include "cloud/fhir/types.h"

namespace egret::cloud::fhir {

struct Token {
  std::string system, code;
};
// What elements of kind token say: Coding, CodeableConcept, Identifier, code, boolean.
std::vector<Token> tokens_at(const Json& resource, const Param& param);
// system|code, |code, system| or code, with \| for a bar of its own.
struct WantedToken {
  std::optional<std::string> system;  // none: any; "": without one
  std::string code;                   // "": any
  bool is(const Token& token) const;
};
WantedToken wanted_token(std::string_view text);

// [from, to) in microseconds since 1970 UTC: of "2026", "2026-03", "2026-03-01", "2026-03-01T08:30Z" and all with more digits.
struct Span {
  int64_t from_us = 0, to_us = 0;
};
std::optional<Span> span_of(std::string_view date);
enum class Compare : uint8_t { eq, ne, gt, lt, ge, le };
struct WantedDate {
  Compare compare = Compare::eq;
  Span span;
  bool is(const Span& of) const;
};
// ge2026-03-01; nullopt: it is none, or has a prefix that is not known here (sa, eb, ap).
std::optional<WantedDate> wanted_date(std::string_view text);

// One of a search's parameters: any of its values will do.
struct Criterion {
  const Param* param = nullptr;
  bool by_identifier = false;  // subject:identifier=system|value
  std::vector<std::string> values;
  std::vector<std::string> also = {};  // references that mean the same: other names of a patient
};
bool matches(const Json& resource, const Criterion& criterion, std::string_view base);
bool matches_value(const Json& resource, const Criterion& criterion, const std::string& value, std::string_view base);

// The places of a resource in the index: at most kFhirTermsMax; what is past that is not found by it.
using Term = std::array<uint8_t, 8>;
std::vector<Term> terms_of(const Json& resource, const Type& type);
// The place where a value would be found; nullopt: it is in no index, and all must be looked at.
std::optional<Term> term_of(const Type& type, const Criterion& criterion, const std::string& value, std::string_view base);

// Values separated by commas, with \, for a comma of its own. Errors: too_large (kFhirOrValuesMax).
Result<std::vector<std::string>> split_values(std::string_view text);

}  // namespace egret::cloud::fhir
