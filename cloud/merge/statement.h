// Statement: what merging looks at in one record about a result: numbers, verdicts, hashes; no value, no patient.
// Promises: a statement is made from a body alone, so it is the same whenever and however often that body came; the
// hash of the body tells two of them apart. Leaves to others: what a set of them means (result.h).
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "schemas/record.h"

namespace egret::cloud {

// The numbers of record.proto.
enum class ResultStatus : uint8_t {
  registered = 1,
  preliminary = 2,
  final = 3,
  amended = 4,
  corrected = 5,
  cancelled = 6,
  entered_in_error = 7,
  unknown = 8,
};
enum class RetractionReason : uint8_t { unstated = 0, wrong_patient = 1, wrong_image = 2, model_fault = 3, test_data = 4, other = 5 };
enum class ReviewVerdict : uint8_t { agreed = 1, agreed_with_changes = 2, rejected = 3, deferred = 4, not_required = 5 };

// A code of a code system, by 8 bytes of a hash: enough to find by, for what is found is looked at.
using CodeHash = std::array<uint8_t, 8>;
CodeHash hash_of_code(const std::string& system, const std::string& code);

// A version as its own facility states it.
struct Version {
  uint32_t number = 1;
  Hash body{};
  ResultStatus status = ResultStatus::preliminary;
  bool unchanged = false;  // final, and its values are those of the version before (HL7 v2 OBX-11 U)
  bool critical = false;
  Hash output{};  // of what the model says: value, components, interpretation
  Hash model{};   // zeros: none named
  Uuid run{};     // one inference run
  int64_t t_us = 0;   // when what it is about took place
  Hash subject{};     // the patient, as the store names one (cloud/patients.h); zeros: not read
  std::vector<CodeHash> codes;  // what was asked, as it is stated
};

// The owning facility takes the result back. `number` is the version that this is.
struct Retraction {
  uint32_t number = 1;
  Hash body{};
  RetractionReason reason = RetractionReason::unstated;
};

// A person's answer to a version; any facility may give one.
struct Review {
  uint32_t version_seen = 1;
  Hash body{};
  uint8_t role = 0;  // ordered, as Review.Role of record.proto
  ReviewVerdict verdict = ReviewVerdict::agreed;
  int64_t t_us = 0;  // when it was made, as the review says
};

// Another result of the same facility says that it takes this one's place.
struct Successor {
  Hash body{};
  Uuid result{};
  Hash model{};
};

using Statement = std::variant<Version, Retraction, Review, Successor>;

}  // namespace egret::cloud
