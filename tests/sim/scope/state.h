// State: one site (and perhaps its clone), the region, and a network that forgets no message, as
// numbers of what is known: every way that a few events can follow each other is tried from it.
// Promises: equal states have equal words; what cannot matter any more is not in them.
// Leaves to others: which step comes next (main.cpp), what a party does (party.h).
#pragma once

#include <array>
#include <string>
#include <vector>

#include "tests/sim/scope/known.h"

namespace egret::scope {

struct Limits {
  std::array<int, kSteps> most{};  // of each; deliver has none
  int faults = 0;                  // of all that are faults together
  size_t net_max = 32;             // messages under way, at most
  bool may(Step kind) const { return most[static_cast<size_t>(kind)] > 0; }
};

struct State {
  std::array<No, 2> machines{kNone, kNone};
  No region = kNone, image = kNone, backup = kNone;
  std::vector<No> net;  // messages under way, rising: each comes once or never
  std::array<uint8_t, kSteps> done{};
  uint8_t faults = 0;
  Records accepted = 0, shed = 0, excused = 0;
  bool went_back = false;  // a site or its disk; or it was cloned
  bool overfull = false;   // more under way than Limits allow
};

struct Choice {
  Step step = Step::deliver;
  size_t which = 0;  // the message, or the machine
};

class Scope {
 public:
  Scope(const Limits& limits, StreamId lane) : limits_(limits), known_(lane) {}
  State first_state();
  std::vector<Choice> choices(const State& state) const;
  // Empty: all is well; else which invariant fell and how.
  std::string carry_out(State& state, const Choice& choice);
  // From here on nothing goes wrong any more: does everything arrive?
  std::string converges(State state);
  // Two states with equal words are one.
  uint64_t words_of(const State& state) const;
  std::string describe(const State& state, const Choice& choice) const;
  const Known& known() const { return known_; }

 private:
  void send(State& state, const std::vector<No>& said);
  void machine_does(State& state, Step step, size_t which, No with = kNone);
  void region_does(State& state, Step step, No with = kNone);
  void deliver(State& state, size_t which, bool again);
  void append(State& state, size_t which);
  void carry_out_fault(State& state, const Choice& choice);
  void forget_what_cannot_matter(State& state);
  Records there(const State& state) const;
  Records owed(const State& state) const;
  void excuse(State& state) const;

  Limits limits_;
  Known known_;
};

}  // namespace egret::scope
