#include "tests/sim/plan.h"

#include <algorithm>
#include <map>

namespace egret::sim {
namespace {

constexpr int64_t kMinuteMs = 60'000;
constexpr uint64_t kRealCryptoEvery = 16;

using Counts = std::map<Deed, uint64_t>;

// The faults that this seed knows, and how often each may happen. Some come in company: what makes them matter.
Counts draw_faults(SeededEntropy& e, Plan& plan) {
  Counts n;
  auto some = [&](Deed deed, uint64_t one_in, uint64_t most) {
    if (e.below(one_in) == 0) n[deed] = 1 + e.below(most);
  };
  some(Deed::edge_crash, 2, 3);
  some(Deed::edge_write_fails, 6, 2);
  some(Deed::cloud_crash, 3, 3);
  some(Deed::commit_fails, 5, 3);
  some(Deed::commit_unknown, 4, 3);
  some(Deed::link_cut, 3, 4);
  some(Deed::up_outage, 4, 2);
  some(Deed::down_outage, 4, 2);
  some(Deed::broker_restart, 5, 2);
  some(Deed::replay, 3, 4);
  some(Deed::noise, 5, 3);
  some(Deed::clock_jump, 6, 2);
  some(Deed::append_unanswered, 3, 2);
  some(Deed::shed, 3, 3);
  some(Deed::corrupt, 5, 2);
  some(Deed::room_purge, 6, 2);
  some(Deed::live_rollback, 3, 2);
  some(Deed::disk_rollback, 5, 2);
  some(Deed::disk_replaced, 12, 1);
  if (n.contains(Deed::live_rollback) || n.contains(Deed::disk_rollback)) n[Deed::image] = 1 + e.below(3);
  some(Deed::restore, 3, 2);
  some(Deed::old_restore, 8, 1);
  const bool goes_back = n.contains(Deed::restore) || n.contains(Deed::old_restore);
  if (goes_back || e.below(2) == 0) {
    n[Deed::backup] = 1 + e.below(4);
    n[Deed::confirm] = 1 + e.below(4);
  }
  if (e.below(5) == 0) {
    plan.one_facility = true;
    n[e.below(2) == 0 ? Deed::disk_clone : Deed::live_clone] = 1;
  }
  return n;
}

void draw_network(SeededEntropy& e, Plan& plan) {
  constexpr int64_t kLatencies[] = {20, 200, 2'000, 20'000};
  constexpr uint64_t kRates[] = {0, 0, 20, 100, 300};
  plan.latency_ms = kLatencies[e.below(4)];
  plan.drop_permille = kRates[e.below(5)];
  plan.repeat_permille = kRates[e.below(5)];
  plan.hold_permille = kRates[e.below(5)];
  plan.hold_ms = e.below(2) == 0 ? 2 * kMinuteMs : 60 * kMinuteMs;
  plan.disk_ms = e.below(2) == 0 ? 5 : 3'000;
  plan.says_limit = e.below(2) == 0;
}

void draw_producers(SeededEntropy& e, Plan& plan) {
  constexpr uint64_t kRates[] = {0, 0, 50, 200};
  plan.telemetry_permille = 100 + e.below(900);
  plan.critical_permille = e.below(300);
  plan.poison_permille = kRates[e.below(4)];
  plan.again_permille = kRates[e.below(4)];
  plan.large_permille = 0;
  plan.unit_max = 1 + e.below(4);
}

// A packet limit matters to records that are larger than it, and only after hours.
void draw_packet_limit(SeededEntropy& e, Plan& plan, Counts& n) {
  if (e.below(8) != 0) return;
  n[Deed::packet_limit] = 1 + e.below(2);
  plan.large_permille = 300;
  plan.span_ms = 5 * 60 * kMinuteMs;
}

// Site and region go back to the same night, other records take the numbers, and the broker repeats frames of the day
// that was lost: some start exactly where the new history ends. Drawn by chance alone it would take too many seeds.
void draw_same_night(SeededEntropy& e, Plan& plan) {
  plan.one_facility = false;
  plan.latency_ms = 2'000;
  plan.drop_permille = 0;
  plan.telemetry_permille = 1000;
  plan.critical_permille = plan.poison_permille = plan.large_permille = 0;
  plan.unit_max = 1;
  plan.disk_ms = 5;
  plan.deeds.clear();
  int64_t at = 1'000;
  auto then = [&](Deed deed, uint64_t within_ms) {
    at += 1 + static_cast<int64_t>(e.below(within_ms));
    plan.deeds.push_back({at, deed, 0});
  };
  then(Deed::append, 20'000);
  then(Deed::append, 20'000);
  then(Deed::image, 20'000);
  then(Deed::backup, 5'000);
  then(Deed::confirm, 100);
  for (uint64_t n = 1 + e.below(4); n > 0; n--) {
    for (Deed deed : {Deed::append, Deed::append, Deed::shed, Deed::shed}) then(deed, 300);
    at += 4'000;
  }
  at += 10'000;
  then(Deed::restore, 5'000);
  then(Deed::live_rollback, 2'000);
  for (uint64_t n = 1 + e.below(3); n > 0; n--) then(Deed::append, 3'000);
  at += 5'000;
  for (int n = 0; n < 24; n++) then(Deed::replay, 3'000);
  plan.span_ms = std::max(plan.span_ms, at);
}

}  // namespace

Plan draw_plan(uint64_t seed) {
  SeededEntropy e(seed * 0x9e3779b97f4a7c15ULL + 0x51ed270b);
  Plan plan;
  plan.real_crypto = seed % kRealCryptoEvery == 0;
  constexpr cloud::SafePolicy kPolicies[] = {cloud::SafePolicy::backup, cloud::SafePolicy::backup,
                                             cloud::SafePolicy::commit, cloud::SafePolicy::age,
                                             cloud::SafePolicy::by_default};
  plan.safe = kPolicies[e.below(5)];
  plan.safe_age_ms = 5 * kMinuteMs;
  constexpr int64_t kSpans[] = {4 * kMinuteMs, 15 * kMinuteMs, 45 * kMinuteMs};
  plan.span_ms = kSpans[e.below(3)];
  draw_network(e, plan);
  draw_producers(e, plan);
  Counts n = draw_faults(e, plan);
  draw_packet_limit(e, plan, n);
  n[Deed::append] = 6 + e.below(20);
  std::vector<Deed> order;
  for (const auto& [deed, times] : n) order.insert(order.end(), times, deed);
  for (size_t i = order.size(); i > 1; i--) std::swap(order[i - 1], order[e.below(i)]);
  // Half of the deeds follow closely on the one before: that is when they meet.
  std::vector<int64_t> times;
  for (size_t i = 0; i < order.size(); i++) {
    const int64_t far = static_cast<int64_t>(e.below(static_cast<uint64_t>(plan.span_ms)));
    const int64_t near = times.empty() ? far : times.back() + static_cast<int64_t>(e.below(15'000));
    times.push_back(e.below(2) == 0 ? std::min(near, plan.span_ms - 1) : far);
  }
  for (size_t i = 0; i < order.size(); i++) plan.deeds.push_back({times[i], order[i], e.next()});
  if (e.below(12) == 0) draw_same_night(e, plan);
  std::ranges::sort(plan.deeds, {}, [](const Planned& p) { return std::pair(p.at_ms, p.site); });
  return plan;
}

const char* name_of(Deed deed) {
  static constexpr const char* kNames[] = {
      "append", "append-unanswered", "edge-crash", "edge-write-fails", "image", "DISK-ROLLBACK", "DISK-REPLACED",
      "LIVE-ROLLBACK", "DISK-CLONE", "LIVE-CLONE", "shed", "room-purge", "corrupt", "clock-jump", "cloud-crash",
      "commit-fails", "commit-unknown", "backup", "confirm", "RESTORE", "RESTORE-OLD", "link-cut", "up-outage",
      "down-outage", "broker-restart", "replay", "noise", "packet-limit"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kDeeds);
  return kNames[static_cast<size_t>(deed)];
}

}  // namespace egret::sim
