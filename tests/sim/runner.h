// Runner: many seeds, each worker a process of its own, so that a broken invariant of the program itself (an abort)
// is a finding and not the end.
// Promises: the first failing seed is the smallest one; the same seeds give the same sums whatever `jobs` is.
// Leaves to others: what a seed is (World), the command line (egret_sim.cpp).
#pragma once

#include <functional>
#include <string>

#include "schemas/mutants.h"
#include "tests/sim/tally.h"

namespace egret::sim {

struct RunOrder {
  uint64_t from = 1;
  uint64_t seeds = 1;
  unsigned jobs = 1;
  uint64_t hours = 1;      // virtual, of the faults of a seed
  double minutes = 0;      // then no new seed is begun; 0: all seeds
  Mutant mutant = Mutant::none;
  bool quiet = false;  // nothing on stderr from the workers
};

struct RunResult {
  uint64_t done = 0;
  Tally tally;
  double cpu_s = 0;          // of all workers
  uint64_t failed_seed = 0;  // 0: none
  std::string violation;
  std::string last_lines;
  uint64_t hash = 0;         // over the hashes of all seeds
};

// Called after each seed: how many are done.
using Progress = std::function<void(uint64_t done)>;
RunResult run_seeds(const RunOrder& order, const Progress& progress);

}  // namespace egret::sim
