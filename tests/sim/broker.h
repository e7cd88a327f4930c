// Broker: the dumb pipe of es1 section 1 at its worst: loses, repeats, reorders and holds frames back for an hour, forgets
// everything at a restart, and says PUBACK to all of it.
// Promises: what it delivers was sent by somebody (noise apart); after heal() everything arrives once and soon.
// Leaves to others: who is connected (World).
#pragma once

#include <deque>

#include "schemas/topics.h"
#include "tests/sim/journal.h"
#include "tests/sim/plan.h"

namespace egret::sim {

struct Parcel {
  Facility fac;
  TopicKind topic = TopicKind::down;
  Bytes frame;
};

class Broker {
 public:
  using Deliver = std::function<void(const Parcel&)>;
  Broker(Timeline& time, Journal& journal, Entropy& entropy, const Plan& plan, Deliver deliver)
      : time_(time), journal_(journal), entropy_(entropy), plan_(plan), deliver_(std::move(deliver)) {}

  void take(Parcel parcel);
  // A one-way outage: what goes this way is lost until then.
  void block(bool up, int64_t ms);
  void forget_all() { wave_++; }
  // Something that was sent before, again.
  void replay();
  // The same with one bit changed. nullopt: nothing was sent yet.
  std::optional<Parcel> noise();
  void heal();
  int64_t latency() { return 1 + static_cast<int64_t>(entropy_.below(static_cast<uint64_t>(healed_ ? 50 : plan_.latency_ms))); }

 private:
  static constexpr size_t kRemembered = 64;
  void deliver_in(int64_t ms, const Parcel& parcel);
  Timeline& time_;
  Journal& journal_;
  Entropy& entropy_;
  const Plan& plan_;
  Deliver deliver_;
  std::deque<Parcel> sent_;
  uint64_t wave_ = 0;
  MonoTime up_blocked_until_, down_blocked_until_;
  bool healed_ = false;
};

}  // namespace egret::sim
