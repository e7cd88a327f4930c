// Results: what the region holds of single results, as people and scripts read it.
// Promises: no value and no patient: numbers, verdicts, issues, and where the bytes are; what is shown is what the views
// say, and how far they are is said beside it. Leaves to others: making the views (Follower).
#pragma once

#include <functional>

#include "cloud/view_tables.h"

namespace egret::cloud {

// facility/id, as in addresses; nullopt when it is none.
std::optional<ResultName> result_name_of(std::string_view text);
std::string text_of(const ResultName& name);

std::string to_json(const ResultName& name, const ResultRow& row);
// For a terminal: what is current, its history, what is odd.
std::string to_text(const ResultName& name, const ResultRow& row);

// Calls `each` for the results of a facility (empty: of all) on the worklist, or whose alert is in `state`, until it
// returns false.
using EachResult = std::function<bool(const ResultName&)>;
Result<void> each_odd(const Kv& kv, const Facility& fac, const EachResult& each);
Result<void> each_alert(const Kv& kv, const Facility& fac, AlertState state, const EachResult& each);

}  // namespace egret::cloud
