// Result: what a region holds of one result, as a pure function of the set of statements about it.
// Promises: order, repeats and the store that they lie in change nothing; nothing is thrown away: what is not current is
// history, and what is odd is an issue that names version and body. Leaves to others: which statements belong to one
// result ((facility, logical id): only the owning facility versions or retracts), values, patients, telling anybody.
//
// The numbers in brackets are the rules of cloud/merge/README.md.
#pragma once

#include <span>

#include "cloud/merge/statement.h"

namespace egret::cloud {

// On disk. Never renumbered.
enum class IssueKind : uint8_t {
  missing_version = 1,            // [5] a number below the highest has not come
  same_version = 2,               // [4] two bodies under one number; the one with the higher hash counts
  illegal_step = 3,               // [7] final, and then preliminary: kept, not current
  unchanged_without_values = 4,   // [8] "as before", and there is nothing before
  resurrection = 5,               // [13] a version of a result that was retracted
  not_deterministic = 6,          // [17] the same model said something else of the same object
  reviews_disagree = 7,           // [19]
  stale_review = 8,               // [20] of a version that is not current any more
};
const char* name_of(IssueKind kind);

struct Issue {
  IssueKind kind = IssueKind::missing_version;
  uint32_t first = 0, last = 0;  // versions
  Hash body{};                   // that it is about; zeros: none
  auto operator<=>(const Issue&) const = default;
};

// [22] One alert a result, however often it comes.
enum class AlertState : uint8_t { none = 0, open = 1, withdrawn = 2 };

struct ResultView {
  // The statement that is current: a version, or the review that changed it. Absent: nothing may be shown.
  std::optional<Hash> current;
  uint32_t number = 0;          // its version
  ResultStatus status = ResultStatus::unknown;
  std::optional<Hash> values;   // the body whose values hold: another's, for a version without values of its own
  std::optional<Hash> review;   // the review that counts [19]
  std::optional<ReviewVerdict> verdict;
  bool retracted = false;       // [11] readable by id, out of counts, searches and exports
  RetractionReason reason = RetractionReason::unstated;
  bool critical = false;
  AlertState alert = AlertState::none;
  std::vector<Uuid> successors;  // [18] both are kept
  std::vector<Issue> issues;
  bool operator==(const ResultView&) const = default;
};

ResultView merge_result(std::span<const Statement> statements);

}  // namespace egret::cloud
