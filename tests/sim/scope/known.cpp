#include "tests/sim/scope/known.h"

#include "schemas/error.h"

namespace egret::scope {
namespace {

constexpr No kNoMax = (1u << 28) - 2;

uint64_t key_of(Step step, No who, No with) {
  const uint64_t with_or_none = with == kNone ? kNoMax + 1 : with;
  return static_cast<uint64_t>(step) << 56 | uint64_t{who} << 28 | with_or_none;
}

// The number of what has this print; `make` is asked when it is new.
template <class Numbered, class Make>
No number_of(Numbered& numbered, Bytes print, const Make& make) {
  const auto [at, fresh] =
      numbered.by_print.try_emplace(std::move(print), static_cast<No>(numbered.all.size()));
  EGRET_INVARIANT(at->second < kNoMax, "two numbers and a step fit into one key");
  if (fresh) numbered.all.push_back(make());
  return at->second;
}

}  // namespace

const char* name_of(Step step) {
  static constexpr const char* kNames[] = {
      "deliver",       "append",        "hello",      "image",      "backup",  "CRASH",
      "DISK-ROLLBACK", "LIVE-ROLLBACK", "DISK-CLONE", "LIVE-CLONE", "RESTORE", "SHED",
      "ROOM-PURGE",    "CORRUPT",       "REPEAT",     "DEADLINE"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kSteps);
  return kNames[static_cast<size_t>(step)];
}

No Known::number(const Machine& machine) {
  return number_of(machines_, print_of(machine),
                   [&] { return KnownMachine{machine, held_by(machine)}; });
}
No Known::number(const Region& region) {
  return number_of(regions_, print_of(region),
                   [&] { return KnownRegion{region, stored_in(region), is_sound(region)}; });
}
No Known::number(const Message& message) {
  return number_of(messages_, print_of(message), [&] { return message; });
}

template <class Party>
Outcome Known::outcome(const Stepped<Party>& done) {
  Outcome out{number(done.after), {}};
  for (const Message& message : done.said) out.said.push_back(number(message));
  return out;
}

Outcome Known::first_machine() {
  return outcome(scope::first_machine());
}
No Known::first_region() {
  return number(scope::first_region());
}

const Outcome& Known::machine_does(Step step, No who, No with) {
  const auto [at, fresh] = steps_.try_emplace(key_of(step, who, with));
  if (fresh) at->second = carry_out_on_machine(step, who, with);
  return at->second;
}

const Outcome& Known::region_does(Step step, No who, No with) {
  const auto [at, fresh] = steps_.try_emplace(key_of(step, who, with));
  if (fresh) at->second = carry_out_on_region(step, who, with);
  return at->second;
}

Outcome Known::carry_out_on_machine(Step step, No who, No with) {
  const Machine machine = this->machine(who).value;
  switch (step) {
    case Step::deliver:
      return outcome(hears(machine, message(with)));
    case Step::append:
      return outcome(takes_in(machine, static_cast<int>(with), lane_));
    case Step::deadline:
      return outcome(deadline_comes(machine));
    case Step::hello:
      return outcome(greets(machine));
    case Step::crash:
      return outcome(started_again(machine));
    case Step::disk_rollback:
      return outcome(started_again(put_back(machine, this->machine(with).value)));
    case Step::live_rollback:
      return {number(put_back(machine, this->machine(with).value)), {}};
    case Step::disk_clone:
      return outcome(started_again(made_clone(machine)));
    case Step::live_clone:
      return {number(made_clone(machine)), {}};
    case Step::shed:
      return outcome(sheds(machine));
    case Step::room_purge:
      return outcome(purges_for_room(machine));
    default:
      EGRET_INVARIANT(step == Step::corrupt, "a step of a machine");
      return outcome(spoiled(machine));
  }
}

Outcome Known::carry_out_on_region(Step step, No who, No with) {
  const Region region = this->region(who).value;
  if (step == Step::backup) return {number(backs_up(region)), {}};
  if (step == Step::restore) return {number(restored(region, this->region(with).value)), {}};
  EGRET_INVARIANT(step == Step::deliver, "a step of the region");
  return outcome(takes(region, message(with)));
}

bool Known::listens(No machine, No message) {
  const auto [at, fresh] = listens_.try_emplace(key_of(Step::deliver, machine, message));
  if (fresh) at->second = scope::listens(this->machine(machine).value, this->message(message));
  return at->second;
}

}  // namespace egret::scope
