// Broker: the dumb pipe of es1 section 1, in five kinds. wild loses, repeats, reorders and holds frames back for an hour.
// mosquitto, emqx and nats keep a queue for each subscriber, like the product: mosquitto drops what is new without a word,
// emqx what is oldest, nats has no $share (every reconciler gets all) and redelivers out of order. evil is wild, and replays
// from hours ago, flips bits, mixes topics up and forges NEED_HELLO. All say PUBACK to everything and forget at a restart.
// Promises: what it delivers unmarked was sent by somebody; what it made up is marked; after heal() everything arrives once
// and soon.
// Leaves to others: who is connected (World).
#pragma once

#include <deque>
#include <map>

#include "schemas/topics.h"
#include "tests/sim/journal.h"
#include "tests/sim/plan.h"

namespace egret::sim {

struct Parcel {
  Facility fac;
  TopicKind topic = TopicKind::down;
  Bytes frame;
  bool forged = false;  // nobody sent this, or not there
};

class Broker {
 public:
  // `reconciler`: which one gets it, of what goes up. False: it hangs; try again.
  using Deliver = std::function<bool(const Parcel&, size_t reconciler)>;
  Broker(Timeline& time, Journal& journal, const Plan& plan, Deliver deliver)
      : time_(time), journal_(journal), entropy_(plan.seed ^ 0xb20c), plan_(plan), deliver_(std::move(deliver)) {}

  void take(Parcel parcel);
  // A one-way outage: what goes this way is lost until then.
  void block(bool up, int64_t ms);
  void forget_all();
  // Something that was sent before, again.
  void replay();
  // The same with one bit changed. nullopt: nothing was sent yet.
  std::optional<Parcel> noise();
  void heal();
  int64_t latency() { return 1 + static_cast<int64_t>(entropy_.below(static_cast<uint64_t>(healed_ ? 50 : plan_.latency_ms))); }

 private:
  static constexpr size_t kRemembered = 64, kOld = 32;
  // A connection's subscription: (topic kind, reconciler) or (down, site).
  struct Subscriber {
    std::deque<Parcel> waiting;
    size_t in_flight = 0;
    MonoTime busy_until;
  };
  using Who = std::tuple<TopicKind, size_t, Facility>;

  bool chance(uint64_t permille) { return !healed_ && entropy_.below(1000) < permille; }
  bool queues() const { return plan_.broker != BrokerKind::wild && plan_.broker != BrokerKind::evil; }
  void remember(const Parcel& parcel);
  void route(int64_t ms, const Parcel& parcel);
  void deliver_in(int64_t ms, const Parcel& parcel, size_t reconciler);
  void queue_for(const Who& who, const Parcel& parcel);
  void serve(const Who& who, const Parcel& parcel);
  void served(const Who& who, const Parcel& parcel);
  void do_evil(const Parcel& parcel);

  Timeline& time_;
  Journal& journal_;
  SeededEntropy entropy_;
  const Plan& plan_;
  Deliver deliver_;
  std::deque<Parcel> sent_;
  std::vector<Parcel> old_;  // some of all that was ever sent
  uint64_t seen_ = 0, wave_ = 0, turn_ = 0;
  std::map<Who, Subscriber> subscribers_;
  MonoTime up_blocked_until_, down_blocked_until_;
  bool healed_ = false;
};

}  // namespace egret::sim
