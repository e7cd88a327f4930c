// Party: a site's machine and the region as values between two steps, and what each does when
// something happens to it. Promises: the objects inside are the real ones (Session, Buffer,
// Committer, Reconciler, KvStore); a step is a pure function of the party and what happens to it,
// chance included; steps are atomic: the disk answers at once, and what a broker acknowledges it
// acknowledges at once. Leaves to others: what happens next (state.h), long waits, lanes, sizes,
// bad frames (the simulator).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cloud/store_kv.h"
#include "edge/buffer.h"
#include "edge/session.h"
#include "tests/sim/kv_memory.h"

namespace egret::scope {

// Of the few records that there are, some: a bit each.
using Records = uint8_t;
inline constexpr int kRecordsMax = 8;

struct Message {
  bool up = false;
  bool control = false;
  Bytes frame;
  FrameType type = FrameType::hello;
  SessionId sid{};
  Bytes hello_nonce;  // of a WELCOME: the HELLO that it answers
};

// Chance is a number that is drawn from where a party stands: it is new where it has to be, and the
// same whatever happened elsewhere before. So one state is reached on many ways.
struct Machine {
  KvMemory::State disk;
  edge::Buffer::Memory memory;
  std::shared_ptr<edge::Session> session;  // never steps: it is copied onto a buffer that lives
  MonoTime now{1'000'000};
  int runs = 0;   // keys made so far; these two never go back, whatever the machine does
  int moves = 0;  // how often it was put back, or made a clone
};
struct Region {
  KvMemory::State disk;
  Bytes last_hello;  // of which it still knows what credit it gave
  int restores = 0;
};

// A party after a step, and what it said in it.
template <class Party>
struct Stepped {
  Party after;
  std::vector<Message> said;
};
using MachineStep = Stepped<Machine>;
using RegionStep = Stepped<Region>;

// ---- a machine ----
MachineStep first_machine();
MachineStep started_again(Machine machine);
MachineStep hears(Machine machine, const Message& message);
MachineStep deadline_comes(Machine machine);
MachineStep greets(Machine machine);  // though nothing asks for it
MachineStep takes_in(Machine machine, int record, StreamId lane);
// Telemetry that is not confirmed gives way, though the region may have it: a gap names it from now
// on.
MachineStep sheds(Machine machine);
MachineStep purges_for_room(Machine machine);
// A bit of the first block flips: what the region has of it, the region may go back behind.
MachineStep spoiled(Machine machine);
// `image` takes its place, still running.
Machine put_back(const Machine& machine, const Machine& image);
Machine made_clone(const Machine& image);

Records held_by(const Machine& machine);
// HELLOs that its run has said.
uint64_t greetings_of(const Machine& machine);
bool listens(const Machine& machine, const Message& down);

// ---- the region ----
Region first_region();
RegionStep takes(Region region, const Message& message);
// A backup that is confirmed: from now on S covers what is in it.
Region backs_up(Region region);
Region restored(const Region& region, const Region& backup);

Records stored_in(const Region& region);
// The ledger proves itself; else what is wrong.
std::string is_sound(const Region& region);

// Everything that tells two parties apart and can still matter, times to five seconds.
Bytes print_of(const Machine& machine);
Bytes print_of(const Region& region);
Bytes print_of(const Message& message);

}  // namespace egret::scope
