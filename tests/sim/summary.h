// Summary: says what many seeds met, and what they should have met and did not.
// Promises: each thing that can happen is a line; one that never did is marked, unless it is known why it cannot.
// Leaves to others: counting (Tally).
#pragma once

#include <string>
#include <vector>

#include "tests/sim/tally.h"

namespace egret::sim {

// Fewer seeds than this may miss what is rare.
inline constexpr uint64_t kSeedsToMeetAll = 2000;

// What never happened and has no excuse, by name.
std::vector<std::string> never_met(const Tally& tally);
void print_summary(const Tally& tally, bool say_never);
// The same as members of a JSON object, without the braces.
std::string summary_json(const Tally& tally);

}  // namespace egret::sim
