// DamageTrials: a folder damaged at one place, in thousands of ways: each time a fresh copy, one
// damage drawn from the trial's number, and a life after it in a process of its own. Promises: an
// undamaged copy must come out "whole" first; each WRONG, crash and hang fails the test that calls,
// with the number that repeats it; counts by kind of file and outcome are printed. Leaves to
// others: what is in the folder, and what may come of it.
//
// EGRET_DAMAGE_SEED=N runs trial N alone, EGRET_DAMAGE_KEEP=DIR keeps what it damaged.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace egret::test {

inline constexpr uint64_t kShortDamageRun = 200, kLongDamageRun = 5'000;

struct DamageTrials {
  using Life = std::function<std::string(const std::filesystem::path&)>;
  std::string about;           // which of several, for a person; may be empty
  Life before;                 // fills the folder; says "ok"
  Life after;                  // the first word of what it says, up to a colon, is the outcome
  std::filesystem::path part;  // of the folder: where the damage is done; empty: anywhere
  uint64_t count = 0;
};

// Within a test case.
void run(const DamageTrials& trials);

}  // namespace egret::test
