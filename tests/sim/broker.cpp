#include "tests/sim/broker.h"

namespace egret::sim {

void Broker::take(Parcel parcel) {
  Tally& tally = journal_.tally;
  tally[Met::frames]++;
  sent_.push_back(parcel);
  if (sent_.size() > kRemembered) sent_.pop_front();
  const MonoTime blocked = parcel.topic == TopicKind::down ? down_blocked_until_ : up_blocked_until_;
  auto chance = [&](uint64_t permille) { return !healed_ && entropy_.below(1000) < permille; };
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
    deliver_in(latency() + wait, parcel);
  }
}

void Broker::deliver_in(int64_t ms, const Parcel& parcel) {
  time_.in(ms, [this, parcel, wave = wave_] {
    if (wave == wave_) deliver_(parcel);
  });
}

void Broker::block(bool up, int64_t ms) {
  (up ? up_blocked_until_ : down_blocked_until_) = time_.now() + ms;
}

void Broker::replay() {
  if (sent_.empty()) return;
  for (uint64_t n = 1 + entropy_.below(4); n > 0; n--) deliver_in(latency(), sent_[entropy_.below(sent_.size())]);
}

std::optional<Parcel> Broker::noise() {
  if (sent_.empty()) return std::nullopt;
  Parcel parcel = sent_[entropy_.below(sent_.size())];
  const size_t bit = entropy_.below(parcel.frame.size() * 8);
  parcel.frame[bit / 8] = static_cast<char>(parcel.frame[bit / 8] ^ (1 << bit % 8));
  return parcel;
}

void Broker::heal() {
  healed_ = true;
  forget_all();
  up_blocked_until_ = down_blocked_until_ = time_.now();
}

}  // namespace egret::sim
