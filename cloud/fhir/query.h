// Query: what a search asks for, read from its parameters.
// Promises: every parameter is known, or is named as one that is not (strict), or left out and reported (lenient); numbers
// and lists are bounded. Leaves to others: finding (search.h).
#pragma once

#include "cloud/fhir/exchange.h"
#include "cloud/fhir/terms.h"

namespace egret::cloud::fhir {

enum class Order : uint8_t { none, oldest_first, newest_first };

struct Query {
  const Type* type = nullptr;
  std::vector<Criterion> criteria;
  size_t count = 0;
  Order order = Order::none;            // by the type's date
  bool count_only = false;              // _summary=count
  bool total = false;                   // _total=accurate
  std::vector<std::string> includes;    // "Observation:device"
  bool with_provenance = false;         // _revinclude=Provenance:target
  std::string cursor;
  Parameters understood;                // without the cursor: what the links repeat
  std::vector<std::string> ignored;     // names that FHIR or this server does not know here

  const Criterion* find(std::string_view name) const;
};

// Errors: bad_input, too_large, unsupported (strict, and something is not known).
Result<Query> parse_search(const Type& type, const Parameters& parameters, bool strict);
// The date that a type is sorted by; nullptr: it has none.
const Param* date_of(const Type& type);

}  // namespace egret::cloud::fhir
