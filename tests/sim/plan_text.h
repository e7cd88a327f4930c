// PlanText: a plan as a text that a person reads and a file keeps: a scenario.
// Promises: what is written reads back as the same plan; an unknown word is an error that names its line.
// Leaves to others: what the plan does (World).
#pragma once

#include "schemas/error.h"
#include "tests/sim/plan.h"

namespace egret::sim {

std::string text_of(const Plan& plan);
// Lines that begin with # are for people. Errors: bad_input.
Result<Plan> read_plan(const std::string& text);

}  // namespace egret::sim
