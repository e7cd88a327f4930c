// Shrink: makes the plan of a failing seed small, so that a person can see what it takes.
// Promises: what it returns still breaks the same invariant; each try is a process of its own.
// Leaves to others: reading it (a person), keeping it (tests/sim/scenarios).
#pragma once

#include "schemas/mutants.h"
#include "tests/sim/plan.h"

namespace egret::sim {

// The violation of one plan; empty: none. An abort of the program is one too.
std::string violation_of(const Plan& plan);
// Tries for at most `seconds`.
Plan shrink(Plan plan, const std::string& violation, double seconds);

}  // namespace egret::sim
