#include "tests/sim/broker.h"

#include "schemas/frame.h"

namespace egret::sim {
namespace {

constexpr int64_t kHangLookMs = 1'000;
constexpr int64_t kAckWaitMs = 30'000;  // NATS redelivers what was not acknowledged by then

void flip_bit(Bytes& frame, Entropy& entropy) {
  const size_t bit = entropy.below(frame.size() * 8);
  frame[bit / 8] = static_cast<char>(frame[bit / 8] ^ (1 << bit % 8));
}

}  // namespace

void Broker::remember(const Parcel& parcel) {
  sent_.push_back(parcel);
  if (sent_.size() > kRemembered) sent_.pop_front();
  seen_++;
  if (old_.size() < kOld) {
    old_.push_back(parcel);
  } else if (const uint64_t at = entropy_.below(seen_); at < kOld) {
    old_[at] = parcel;
  }
}

void Broker::take(Parcel parcel) {
  Tally& tally = journal_.tally;
  tally[Met::frames]++;
  remember(parcel);
  const MonoTime blocked = parcel.topic == TopicKind::down ? down_blocked_until_ : up_blocked_until_;
  if (chance(plan_.evil_permille)) do_evil(parcel);
  if (time_.now() < blocked || chance(plan_.drop_permille)) {
    tally[Met::dropped]++;
    return journal_.note("  lost on the way");
  }
  const uint64_t copies = chance(plan_.repeat_permille) ? 2 + entropy_.below(2) : 1;
  tally[Met::repeated] += copies - 1;
  for (uint64_t i = 0; i < copies; i++) {
    const bool held = chance(plan_.hold_permille);
    tally[Met::held_back] += held;
    const int64_t wait = held ? static_cast<int64_t>(entropy_.below(static_cast<uint64_t>(plan_.hold_ms))) : 0;
    route(latency() + wait, parcel);
  }
}

// To whoever subscribes to it.
void Broker::route(int64_t ms, const Parcel& parcel) {
  if (healed_ || !queues()) return deliver_in(ms, parcel, turn_++);
  time_.in(ms, [this, parcel, wave = wave_] {
    if (wave != wave_) return;
    if (parcel.topic == TopicKind::down) return queue_for({TopicKind::down, 0, parcel.fac}, parcel);
    if (plan_.broker != BrokerKind::nats) return queue_for({parcel.topic, turn_++ % plan_.reconcilers, {}}, parcel);
    for (size_t r = 0; r < plan_.reconcilers; r++) queue_for({parcel.topic, r, {}}, parcel);
  });
}

void Broker::deliver_in(int64_t ms, const Parcel& parcel, size_t reconciler) {
  time_.in(ms, [this, parcel, reconciler, wave = wave_] {
    if (wave == wave_) deliver_(parcel, reconciler);
  });
}

void Broker::queue_for(const Who& who, const Parcel& parcel) {
  Subscriber& s = subscribers_[who];
  if (s.in_flight < plan_.inflight_max) return serve(who, parcel);
  s.waiting.push_back(parcel);
  // NATS keeps it on disk, and has acknowledged it.
  if (s.waiting.size() <= plan_.queue_max || plan_.broker == BrokerKind::nats) return;
  journal_.tally[plan_.broker == BrokerKind::emqx ? Met::queue_dropped_oldest : Met::queue_dropped_newest]++;
  journal_.note("  the broker's queue is full");
  if (plan_.broker == BrokerKind::emqx) {
    s.waiting.pop_front();
  } else {
    s.waiting.pop_back();
  }
}

void Broker::serve(const Who& who, const Parcel& parcel) {
  Subscriber& s = subscribers_[who];
  s.in_flight++;
  s.busy_until = std::max(s.busy_until, time_.now()) + 1 + static_cast<int64_t>(entropy_.below(uint64_t(plan_.serve_ms) + 1));
  time_.in(s.busy_until - time_.now(), [this, who, parcel, wave = wave_] {
    if (wave == wave_) served(who, parcel);
  });
  if (plan_.broker != BrokerKind::nats || !chance(50)) return;
  journal_.tally[Met::redelivered]++;
  time_.in(kAckWaitMs, [this, who, parcel, wave = wave_] {
    if (wave == wave_) deliver_(parcel, std::get<1>(who));
  });
}

void Broker::served(const Who& who, const Parcel& parcel) {
  if (!deliver_(parcel, std::get<1>(who))) {  // the queue behind it fills
    return time_.in(kHangLookMs, [this, who, parcel, wave = wave_] {
      if (wave == wave_) served(who, parcel);
    });
  }
  Subscriber& s = subscribers_[who];
  s.in_flight--;
  if (s.waiting.empty()) return;
  const Parcel next = std::move(s.waiting.front());
  s.waiting.pop_front();
  serve(who, next);
}

// What it makes of a frame that it has seen: all of it must be harmless.
void Broker::do_evil(const Parcel& parcel) {
  journal_.tally[Met::forged]++;
  Parcel made = parcel;
  made.forged = true;
  switch (entropy_.below(5)) {
    case 0: {  // the clear answer that costs a HELLO, to a frame that is really out
      const auto parsed = parse_frame(parcel.frame);
      if (!parsed || parcel.topic == TopicKind::down) return;
      made.topic = TopicKind::down;
      made.frame = need_hello_frame(parsed->prefix.sid, parsed->prefix.nonce);
      return deliver_in(latency(), made, turn_++);
    }
    case 1:
      flip_bit(made.frame, entropy_);
      return deliver_in(latency(), made, turn_++);
    case 2:  // another facility's topic
      made.fac = made.fac == "north" ? "south" : "north";
      return deliver_in(latency(), made, turn_++);
    case 3:  // the region's own words, or a site's, sent back where they came from
      made.topic = made.topic == TopicKind::down ? TopicKind::up_bulk : TopicKind::down;
      return deliver_in(latency(), made, turn_++);
    default: {  // really sent, hours ago
      const Parcel& old = old_[entropy_.below(old_.size())];
      return deliver_in(latency(), old, turn_++);
    }
  }
}

void Broker::block(bool up, int64_t ms) {
  (up ? up_blocked_until_ : down_blocked_until_) = time_.now() + ms;
}

void Broker::forget_all() {
  wave_++;
  subscribers_.clear();
}

void Broker::replay() {
  if (sent_.empty()) return;
  for (uint64_t n = 1 + entropy_.below(4); n > 0; n--) {
    deliver_in(latency(), sent_[entropy_.below(sent_.size())], turn_++);
  }
}

std::optional<Parcel> Broker::noise() {
  if (sent_.empty()) return std::nullopt;
  Parcel parcel = sent_[entropy_.below(sent_.size())];
  flip_bit(parcel.frame, entropy_);
  parcel.forged = true;
  return parcel;
}

void Broker::heal() {
  healed_ = true;
  forget_all();
  up_blocked_until_ = down_blocked_until_ = time_.now();
}

}  // namespace egret::sim
