// Results: what the region holds of single results, as people and scripts read it.
// Promises: no value and no patient: numbers, verdicts, issues, and where the bytes are; what is shown is what the views
// say, and how far they are is said beside it. Leaves to others: making the views (Follower).
#pragma once

#include <functional>
#include <map>

#include "cloud/merge/moment.h"
#include "cloud/view_tables.h"

namespace egret::cloud {

// facility/id, as in addresses; nullopt when it is none.
std::optional<ResultName> result_name_of(std::string_view text);
std::string text_of(const ResultName& name);

// As record.proto names them; "none" for 0.
std::string status_name(ResultStatus status);
std::string verdict_name(uint8_t verdict);

// Who is known to have read a result: whoever reviewed a version of it.
struct Reader {
  Facility fac;
  std::string reviewer;  // a pseudonym
  uint8_t role = 0;
  uint32_t version_seen = 0;
  ReviewVerdict verdict = ReviewVerdict::agreed;
  int64_t t_us = 0;
};
// What the records and the region's orders add to a row.
struct ResultDetail {
  std::map<Hash, Moment> issued;  // of each version, by body: when it was made known [23]
  std::vector<Reader> readers;
  std::vector<uint64_t> recalls;  // that mark it [21]
  std::vector<uint64_t> restrictions;  // orders by which its patient's data is kept and not used [28]
};
// Errors: corrupt, store_failed. A record that was erased meanwhile is left out.
Result<ResultDetail> detail_of(const Kv& kv, const ResultName& name, const ResultRow& row);

std::string to_json(const ResultName& name, const ResultRow& row, const ResultDetail& detail);
// For a terminal: what is current, its history, what is odd.
std::string to_text(const ResultName& name, const ResultRow& row, const ResultDetail& detail);

// Calls `each` for the results of a facility (empty: of all) on the worklist, or whose alert is in `state`, until it
// returns false.
using EachResult = std::function<bool(const ResultName&)>;
Result<void> each_odd(const Kv& kv, const Facility& fac, const EachResult& each);
Result<void> each_alert(const Kv& kv, const Facility& fac, AlertState state, const EachResult& each);

}  // namespace egret::cloud
