// Turns: the simulator's side of schemas/buggify.h: how often each turn is taken, and what marks were met.
// Promises: the same seed takes the same turns; none without a Turns object, none after stop().
// Leaves to others: which rates (Plan), what a turn does (the code at its place).
#pragma once

#include "schemas/buggify.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/sim/tally.h"

namespace egret::sim {

const char* name_of(Turn turn);
const char* name_of(Mark mark);
const char* name_of(Verdict verdict);
const char* name_of(RowKind row);

using TurnRates = std::array<uint16_t, kTurns>;  // in thousandths

// One at a time in a process.
class Turns {
 public:
  Turns(uint64_t seed, const TurnRates& rates, Tally& tally);
  ~Turns();
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;
  void stop() { stopped_ = true; }
  bool taken(Turn turn);
  Tally& tally() { return tally_; }

 private:
  SeededEntropy chance_;
  TurnRates rates_;
  Tally& tally_;
  bool stopped_ = false;
};

}  // namespace egret::sim
