#include "tests/sim/scope/state.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <bit>

namespace egret::scope {
namespace {

constexpr int kConvergeSteps = 400;

Records with(Records some, unsigned more) { return static_cast<Records>(some | more); }
Records without(Records all, Records some) {
  return static_cast<Records>(all & ~some);
}

int first_of(Records records) { return std::countr_zero(records) + 1; }

bool of_machine(Step s) {
  return s != Step::backup && s != Step::restore && s != Step::image && s != Step::disk_clone &&
         s != Step::live_clone;
}

// splitmix64's last steps, over one word after the other.
struct Words {
  uint64_t hash = 0x9e3779b97f4a7c15;
  void add(uint64_t word) {
    uint64_t z = hash + word + 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    hash = z ^ (z >> 31);
  }
};

}  // namespace

State Scope::first_state() {
  State state;
  state.region = known_.first_region();
  const Outcome outcome = known_.first_machine();
  state.machines[0] = outcome.after;
  send(state, outcome.said);
  return state;
}

std::vector<Choice> Scope::choices(const State& state) const {
  std::vector<Choice> out;
  for (size_t i = state.net.size(); i > 0; i--) out.push_back({Step::deliver, i - 1});
  const size_t machines = state.machines[1] == kNone ? 1 : 2;
  for (size_t s = 1; s < kSteps; s++) {
    const Step step = static_cast<Step>(s);
    if (state.done[s] >= limits_.most[s] || (is_fault(step) && state.faults >= limits_.faults))
      continue;
    const bool rolls = step == Step::disk_rollback || step == Step::live_rollback;
    const bool clones = step == Step::disk_clone || step == Step::live_clone;
    if (rolls && state.image == kNone) continue;
    if (clones && machines > 1) continue;
    if (step == Step::restore && state.backup == kNone) continue;
    if (step == Step::image && state.faults >= limits_.faults) continue;
    const size_t on = step == Step::repeat ? state.net.size() : of_machine(step) ? machines : 1;
    for (size_t i = 0; i < on; i++) out.push_back({step, i});
  }
  return out;
}

std::string Scope::describe(const State& state, const Choice& choice) const {
  const bool repeats = choice.step == Step::repeat;
  if (choice.step != Step::deliver && !repeats)
    return fmt::format("{} {}", name_of(choice.step), choice.which);
  const Message& m = known_.message(state.net[choice.which]);
  return fmt::format("{}{} of run {} #{}", repeats ? "REPEAT " : "", egret::name_of(m.type),
                     m.sid[0], state.net[choice.which]);
}

// ---- the parties ----

void Scope::send(State& state, const std::vector<No>& said) {
  for (const No message : said) {
    const auto at = std::ranges::lower_bound(state.net, message);
    if (at == state.net.end() || *at != message) state.net.insert(at, message);
  }
}

void Scope::machine_does(State& state, Step step, size_t which, No with) {
  const Outcome& outcome = known_.machine_does(step, state.machines[which], with);
  state.machines[which] = outcome.after;
  send(state, outcome.said);
}

void Scope::region_does(State& state, Step step, No with) {
  const Outcome& outcome = known_.region_does(step, state.region, with);
  state.region = outcome.after;
  send(state, outcome.said);
}

void Scope::deliver(State& state, size_t which, bool again) {
  const No message = state.net[which];
  if (!again) state.net.erase(state.net.begin() + static_cast<long>(which));
  if (known_.message(message).up) return region_does(state, Step::deliver, message);
  for (size_t i = 0; i < state.machines.size(); i++) {
    if (state.machines[i] != kNone && known_.listens(state.machines[i], message))
      machine_does(state, Step::deliver, i, message);
  }
}

void Scope::append(State& state, size_t which) {
  const auto record = static_cast<No>(std::popcount(state.accepted));
  machine_does(state, Step::append, which, record);
  state.accepted = with(state.accepted, 1u << record);
}

// ---- what must be somewhere ----

Records Scope::there(const State& state) const {
  Records all = known_.region(state.region).stored;
  for (const No machine : state.machines) {
    if (machine != kNone) all = with(all, known_.machine(machine).held);
  }
  return all;
}

Records Scope::owed(const State& state) const {
  return without(without(state.accepted, state.shed), state.excused);
}

// What outside force has destroyed the last copy of.
void Scope::excuse(State& state) const {
  state.excused = with(state.excused, without(state.accepted, there(state)));
}

void Scope::carry_out_fault(State& state, const Choice& choice) {
  state.faults++;
  const Step step = choice.step;
  if (step == Step::repeat) return deliver(state, choice.which, true);
  if (step == Step::restore) {
    region_does(state, Step::restore, state.backup);
    const bool exposed = state.done[static_cast<size_t>(Step::room_purge)] > 0;
    if (state.went_back || exposed) excuse(state);
    return;
  }
  const bool clones = step == Step::disk_clone || step == Step::live_clone;
  const bool rolls = step == Step::disk_rollback || step == Step::live_rollback;
  // A clone that is made of an older image is one that was made then, whose first word is late.
  if (clones) state.machines[1] = state.machines[0];
  const size_t which = clones ? 1 : choice.which;
  const Records before = known_.machine(state.machines[which]).held;
  machine_does(state, step, which, rolls ? state.image : kNone);
  const Records lost = without(before, known_.machine(state.machines[which]).held);
  if (step == Step::shed) state.shed = with(state.shed, lost);
  // What the region has of it, it may go back behind: then both copies are destroyed.
  if (step == Step::corrupt) state.excused = with(state.excused, lost);
  if (rolls) excuse(state);
  state.went_back |= clones || rolls;
}

// When the last fault has been, no image and no backup is gone back to, and which fault it was
// tells nothing. What is said to a run that nobody is any more, and can be no more, is dropped
// unread; so is a WELCOME that nobody waits for.
void Scope::forget_what_cannot_matter(State& state) {
  if (state.faults >= limits_.faults) {
    state.image = state.backup = kNone;
    state.went_back = false;
    for (size_t s = 0; s < kSteps; s++) {
      if (is_fault(static_cast<Step>(s)) || static_cast<Step>(s) == Step::image) state.done[s] = 0;
    }
  }
  std::erase_if(state.net, [&](No message) {
    auto hears = [&](No machine) { return machine != kNone && known_.listens(machine, message); };
    return !known_.message(message).up && !hears(state.machines[0]) && !hears(state.machines[1]) &&
           !hears(state.image);
  });
  state.overfull = state.net.size() > limits_.net_max;
}

std::string Scope::carry_out(State& state, const Choice& choice) {
  state.done[static_cast<size_t>(choice.step)] = static_cast<uint8_t>(
      state.done[static_cast<size_t>(choice.step)] + (choice.step != Step::deliver));
  switch (choice.step) {
    case Step::deliver:
      deliver(state, choice.which, false);
      break;
    case Step::append:
      append(state, choice.which);
      break;
    case Step::image:
      state.image = state.machines[0];
      break;
    case Step::backup:
      if (limits_.may(Step::restore)) state.backup = state.region;
      region_does(state, Step::backup);
      break;
    case Step::hello:
      machine_does(state, Step::hello, choice.which);
      break;
    default:
      carry_out_fault(state, choice);
  }
  forget_what_cannot_matter(state);
  const Records lost = without(owed(state), there(state));
  if (lost != 0) return fmt::format("I9: record {} was accepted and is nowhere", first_of(lost));
  return known_.region(state.region).wrong;
}

// Each message once, in its order; timers when nothing is on its way.
std::string Scope::converges(State state) {
  state.net.clear();
  for (int i = 0; i < kConvergeSteps; i++) {
    if (without(owed(state), known_.region(state.region).stored) == 0) return {};
    if (!state.net.empty()) {
      const std::string bad = carry_out(state, {Step::deliver, 0});
      if (!bad.empty()) return bad;
      continue;
    }
    for (size_t m = 0; m < state.machines.size(); m++) {
      if (state.machines[m] != kNone) machine_does(state, Step::deadline, m);
    }
  }
  const Records late = without(owed(state), known_.region(state.region).stored);
  return late == 0 ? std::string() : fmt::format("I16: record {} does not arrive", first_of(late));
}

uint64_t Scope::words_of(const State& state) const {
  Words words;
  auto two = [&](uint64_t a, uint64_t b) { words.add(a << 32 | b); };
  two(state.machines[0], state.machines[1]);
  two(state.region, state.image);
  two(state.backup, state.net.size());
  for (const No message : state.net) words.add(message);
  two(uint64_t{state.faults} << 8 | state.accepted,
      uint64_t{state.shed} << 16 | uint64_t{state.excused} << 8 | state.went_back);
  for (size_t s = 0; s < kSteps; s += 8) {
    uint64_t word = 0;
    for (size_t i = s; i < std::min(s + 8, kSteps); i++) word = word << 8 | state.done[i];
    words.add(word);
  }
  return words.hash;
}

}  // namespace egret::scope
