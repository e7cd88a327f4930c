// Known: every machine, region and message that was met, each once and under a number, and what
// becomes of it when something happens. Promises: a step is carried out once for all states in
// which the same happens to the same party. Leaves to others: what a party does (party.h), which
// parties meet (state.h).
#pragma once

#include <unordered_map>

#include "tests/sim/scope/party.h"

namespace egret::scope {

using No = uint32_t;
inline constexpr No kNone = UINT32_MAX;

struct KnownMachine {
  Machine value;
  Records held = 0;
};
struct KnownRegion {
  Region value;
  Records stored = 0;
  std::string wrong;  // of the ledger; empty: it proves itself
};
// What a step led to.
struct Outcome {
  No after = kNone;
  std::vector<No> said;
};

// What may happen.
enum class Step : uint8_t {
  deliver,
  append,
  hello,
  image,
  backup,
  // Faults. repeat: a message comes and may come again; deadline: whoever waits has waited too
  // long.
  crash,
  disk_rollback,
  live_rollback,
  disk_clone,
  live_clone,
  restore,
  shed,
  room_purge,
  corrupt,
  repeat,
  deadline,
  count_
};
inline constexpr size_t kSteps = static_cast<size_t>(Step::count_);
inline constexpr bool is_fault(Step s) {
  return s >= Step::crash;
}
const char* name_of(Step step);

class Known {
 public:
  explicit Known(StreamId lane) : lane_(lane) {}
  Outcome first_machine();
  No first_region();

  const KnownMachine& machine(No no) const { return machines_.all[no]; }
  const KnownRegion& region(No no) const { return regions_.all[no]; }
  const Message& message(No no) const { return messages_.all[no]; }
  // `with`: the message, the record's number, the image or the backup. A message is for the region, or for machines: so one key
  // serves both.
  const Outcome& machine_does(Step step, No who, No with = kNone);
  const Outcome& region_does(Step step, No who, No with = kNone);
  bool listens(No machine, No message);

  size_t machines() const { return machines_.all.size(); }
  size_t regions() const { return regions_.all.size(); }
  size_t messages() const { return messages_.all.size(); }

 private:
  template <class T>
  struct Numbered {
    std::vector<T> all;
    std::unordered_map<Bytes, No> by_print;
  };
  No number(const Machine& machine);
  No number(const Region& region);
  No number(const Message& message);
  template <class Party>
  Outcome outcome(const Stepped<Party>& done);
  Outcome carry_out_on_machine(Step step, No who, No with);
  Outcome carry_out_on_region(Step step, No who, No with);

  StreamId lane_;
  Numbered<KnownMachine> machines_;
  Numbered<KnownRegion> regions_;
  Numbered<Message> messages_;
  std::unordered_map<uint64_t, Outcome> steps_;
  std::unordered_map<uint64_t, bool> listens_;
};

}  // namespace egret::scope
