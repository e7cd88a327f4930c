// Scope: one site (and perhaps its clone), a network that forgets no message until it has come twice, and the region, as a value that can be copied:
// every way that a few events can follow each other is tried from it.
// Promises: the objects inside are the real ones (Session, Buffer, Committer, Reconciler, KvStore); steps are atomic:
// the disk answers at once, and what a broker acknowledges it acknowledges at once.
// Leaves to others: which step comes next (main.cpp), long waits, lanes, sizes, bad frames (the simulator).
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cloud/store_kv.h"
#include "edge/buffer.h"
#include "edge/session.h"
#include "tests/sim/kv_memory.h"

namespace egret::scope {

// What may still happen, and how often.
enum class Step : uint8_t {
  deliver, timer, append, hello, image, backup,
  crash, disk_rollback, live_rollback, disk_clone, live_clone, restore, shed, room_purge, corrupt,
  count_
};
inline constexpr size_t kSteps = static_cast<size_t>(Step::count_);
inline constexpr bool is_fault(Step s) { return s >= Step::crash; }
const char* name_of(Step step);

struct Limits {
  std::array<int, kSteps> most{};  // of each; deliver has none
  int faults = 0;                  // of all that are faults together
  int copies = 2;                  // of a message
  StreamId lane = StreamId::telemetry;
};

// Chance that is a number counted up: the same steps draw the same.
class CountedEntropy final : public Entropy {
 public:
  uint64_t at = 0;
  uint64_t next() override { return ++at * 0x9e3779b97f4a7c15ULL | 1; }
};

struct Message {
  bool up = false;
  bool control = false;
  Bytes frame;
  Bytes content;  // the frame without what only tells the time
  SessionId sid{};
};
struct Machine {
  KvMemory::State disk;
  edge::Buffer::Memory memory;
  std::shared_ptr<edge::Session> session;  // never steps: it is copied onto a buffer that lives
};
// A message under way: it may come as often as Limits allow, or never.
struct Carried {
  std::shared_ptr<const Message> message;
  int times = 0;
};
using Ids = std::set<int>;

struct State {
  std::vector<Machine> machines;
  KvMemory::State region;
  std::vector<Carried> net;
  std::optional<Machine> image;
  std::optional<KvMemory::State> backup;
  Bytes last_hello;  // of which the region still knows what credit it gave
  MonoTime now{1'000'000};
  // The region's chance and runs, then each machine's: steps of different parties draw the same in whatever order.
  std::array<uint64_t, 4> drawn{1ULL << 40, 2ULL << 40, 3ULL << 40, 4ULL << 40};
  std::array<int, 4> runs{0, 0, 100, 200};
  std::array<int, kSteps> done{};
  int faults = 0;
  Ids accepted, shed, excused;
  bool went_back = false;  // a site or its disk
};

State first_state(const Limits& limits);
// Everything that tells two states apart and can still matter, times to five seconds.
Bytes fingerprint(const State& state, const Limits& limits);

// Does this session wait for the WELCOME that echoes `hello_nonce`? Any other it drops unread.
bool awaits(const edge::Session& session, ByteView hello_nonce);
bool speaks_as(const edge::Session& session, const SessionId& sid);

struct Choice {
  Step step;
  size_t which = 0;  // the message, or the machine
};
std::vector<Choice> choices(const State& state, const Limits& limits);
std::string describe(const State& state, const Choice& choice);
// Empty: all is well; else which invariant fell and how.
std::string carry_out(State& state, const Choice& choice, const Limits& limits);
// From here on nothing goes wrong any more: does everything arrive?
std::string converges(State state, const Limits& limits);

}  // namespace egret::scope
