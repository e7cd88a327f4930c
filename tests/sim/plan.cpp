#include "tests/sim/plan.h"

#include <algorithm>
#include <map>

namespace egret::sim {
namespace {

constexpr int64_t kMinuteMs = 60'000;
constexpr uint64_t kRealCryptoEvery = 16;
constexpr uint64_t kClaimsBelowEvery = 25;

using Counts = std::map<Deed, uint64_t>;

// Some come in company: what makes them matter.
void draw_rollbacks(SeededEntropy& e, Plan& plan, Counts& n, const auto& some) {
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
    plan.clones = true;
    n[e.below(2) == 0 ? Deed::disk_clone : Deed::live_clone] = 1;
  }
}

// The faults that this seed knows, and how often each may happen.
Counts draw_faults(SeededEntropy& e, Plan& plan) {
  Counts n;
  auto some = [&](Deed deed, uint64_t one_in, uint64_t most) {
    if (e.below(one_in) == 0) n[deed] = 1 + e.below(most);
  };
  some(Deed::edge_crash, 2, 3);
  some(Deed::edge_write_fails, 6, 2);
  some(Deed::move_cut_short, 8, 2);
  if (n.contains(Deed::move_cut_short)) plan.turns[static_cast<size_t>(Turn::one_block_a_step)] = 500;
  some(Deed::edge_sync_gone, 8, 2);
  some(Deed::edge_reads_fail, 8, 2);
  some(Deed::disk_full, 8, 1);
  some(Deed::cloud_crash, 3, 3);
  some(Deed::reconciler_crash, 6, 2);
  some(Deed::reconciler_hangs, 6, 2);
  some(Deed::block_site, 10, 1);
  some(Deed::commit_fails, 5, 3);
  some(Deed::commit_unknown, 4, 3);
  some(Deed::link_cut, 3, 4);
  some(Deed::send_fails, 6, 2);
  some(Deed::up_outage, 4, 2);
  some(Deed::down_outage, 4, 2);
  some(Deed::broker_restart, 5, 2);
  some(Deed::broker_refuses, 6, 2);
  some(Deed::replay, 3, 4);
  some(Deed::noise, 5, 3);
  some(Deed::clock_jump, 6, 2);
  some(Deed::append_unanswered, 3, 2);
  some(Deed::shed, 3, 3);
  some(Deed::corrupt, 5, 2);
  some(Deed::room_purge, 6, 2);
  draw_rollbacks(e, plan, n, some);
  return n;
}

void draw_broker(SeededEntropy& e, Plan& plan) {
  constexpr int64_t kLatencies[] = {20, 200, 2'000, 20'000};
  constexpr uint64_t kRates[] = {0, 0, 20, 100, 300};
  constexpr BrokerKind kKinds[] = {BrokerKind::wild, BrokerKind::wild, BrokerKind::wild, BrokerKind::mosquitto,
                                   BrokerKind::emqx, BrokerKind::nats, BrokerKind::evil, BrokerKind::evil};
  plan.broker = kKinds[e.below(8)];
  plan.latency_ms = kLatencies[e.below(4)];
  const bool queues = plan.broker != BrokerKind::wild && plan.broker != BrokerKind::evil;
  if (!queues) {
    plan.drop_permille = kRates[e.below(5)];
    plan.repeat_permille = kRates[e.below(5)];
    plan.hold_permille = kRates[e.below(5)];
  }
  // As shipped, or so small and slow that its queue fills with what a small world sends.
  if (queues && e.below(3) != 0) {
    plan.queue_max = 1 + e.below(4);
    plan.inflight_max = 1 + e.below(2);
    plan.serve_ms = 200 + static_cast<int64_t>(e.below(20'000));
  }
  if (plan.broker == BrokerKind::evil) plan.evil_permille = 10 + e.below(150);
  plan.hold_ms = e.below(2) == 0 ? 2 * kMinuteMs : 60 * kMinuteMs;
  plan.disk_ms = e.below(2) == 0 ? 5 : 3'000;
  plan.says_limit = e.below(2) == 0;
  if (e.below(6) == 0) plan.credit_queue = 2 * (2 * plan.sites + e.below(5));  // each can have its turn
}

void draw_turns(SeededEntropy& e, Plan& plan) {
  constexpr uint16_t kRates[] = {5, 50, 300};
  for (size_t i = 0; i < kTurns; i++) {
    if (e.below(5) == 0) plan.turns[i] = kRates[e.below(3)];
  }
}

void draw_producers(SeededEntropy& e, Plan& plan) {
  constexpr uint64_t kRates[] = {0, 0, 50, 200};
  plan.telemetry_permille = 100 + e.below(900);
  plan.critical_permille = e.below(300);
  plan.bulk_permille = kRates[e.below(4)];
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
  plan.span_ms = std::max(plan.span_ms, 5 * 60 * kMinuteMs);
}

// Site and region go back to the same night, other records take the numbers, and the broker repeats frames of the day
// that was lost: some start exactly where the new history ends. Drawn by chance alone it would take too many seeds.
void draw_same_night(SeededEntropy& e, Plan& plan) {
  plan.clones = false;
  plan.broker = BrokerKind::wild;
  plan.reconcilers = 1;
  plan.latency_ms = 2'000;
  plan.drop_permille = 0;
  plan.telemetry_permille = 1000;
  plan.critical_permille = plan.bulk_permille = plan.poison_permille = plan.large_permille = 0;
  plan.unit_max = 1;
  plan.disk_ms = 5;
  plan.turns = {};
  plan.credit_queue = 1024;
  plan.lying_disk = false;
  plan.deeds.clear();
  int64_t at = 1'000;
  auto then = [&](Deed deed, uint64_t within_ms) {
    at += 1 + static_cast<int64_t>(e.below(within_ms));
    plan.deeds.push_back({at, deed, 0, e.next()});
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

// A site goes back in time while little of what it has claimed has come, and writes beyond those numbers before it is
// told: what it claimed then lies below the head of what it now moves.
void draw_claims_below(SeededEntropy& e, Plan& plan) {
  draw_same_night(e, plan);
  plan.deeds.clear();
  plan.latency_ms = 2'000 + static_cast<int64_t>(e.below(6'000));
  plan.turns[static_cast<size_t>(Turn::tiny_batch)] = 800;
  int64_t at = 1'000;
  auto then = [&](Deed deed, uint64_t within_ms) {
    at += 1 + static_cast<int64_t>(e.below(within_ms));
    plan.deeds.push_back({at, deed, 0, e.next()});
  };
  then(Deed::append, 5'000);
  at += 30'000;
  for (uint64_t nights = 1 + e.below(3); nights > 0; nights--) {
    then(Deed::image, 5'000);
    const uint64_t lost = 3 + e.below(5);
    for (uint64_t n = lost; n > 0; n--) then(Deed::append, 4'000);
    then(Deed::live_rollback, 4'000);
    for (uint64_t n = lost + 1 + e.below(3); n > 0; n--) then(Deed::append, 300);
    at += 20'000;
  }
  plan.span_ms = std::max<int64_t>(4 * kMinuteMs, at);
}

void draw_times(SeededEntropy& e, Plan& plan, const Counts& n) {
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
  for (size_t i = 0; i < order.size(); i++) plan.deeds.push_back({times[i], order[i], e.next(), e.next()});
  // What was on its way when the region went back still comes.
  for (size_t i = 0; i < order.size(); i++) {
    const bool goes_back = order[i] == Deed::restore || order[i] == Deed::old_restore;
    for (uint64_t k = goes_back && e.below(2) == 0 ? 12 : 0; k > 0; k--) {
      plan.deeds.push_back({times[i] + static_cast<int64_t>(e.below(40'000)), Deed::replay, 0, e.next()});
    }
  }
}

// Drawn apart: what a seed does beside is as it was before these were known.
void draw_keys_and_versions(Plan& plan) {
  SeededEntropy e(plan.seed ^ 0x6b657973);
  plan.newer_sites = e.below(6) == 0;
  plan.newer_region = e.below(6) == 0;
  auto some = [&](Deed deed, uint64_t one_in) {
    if (e.below(one_in) != 0) return;
    plan.deeds.push_back({static_cast<int64_t>(e.below(static_cast<uint64_t>(plan.span_ms))), deed, e.next(), e.next()});
  };
  some(Deed::other_version, 8);
  some(Deed::witness_lost, 12);
  some(Deed::witness_old, 8);
  some(Deed::site_key_renewed, 12);
  some(Deed::site_revoked, 12);
  if (e.below(8) != 0) return;
  const int64_t at = static_cast<int64_t>(e.below(static_cast<uint64_t>(plan.span_ms / 2)));
  plan.deeds.push_back({at, Deed::region_key_rotates, 0, e.next()});
  plan.deeds.push_back({at + static_cast<int64_t>(e.below(120'000)), Deed::region_key_retires, 0, e.next()});
}

}  // namespace

Plan draw_plan(uint64_t seed, uint64_t hours) {
  SeededEntropy e(seed * 0x9e3779b97f4a7c15ULL + 0x51ed270b);
  Plan plan;
  plan.seed = seed;
  plan.real_crypto = seed % kRealCryptoEvery == 0;
  constexpr cloud::SafePolicy kPolicies[] = {cloud::SafePolicy::backup, cloud::SafePolicy::backup,
                                             cloud::SafePolicy::commit, cloud::SafePolicy::age,
                                             cloud::SafePolicy::by_default};
  plan.safe = kPolicies[e.below(5)];
  plan.safe_age_ms = 5 * kMinuteMs;
  constexpr int64_t kSpans[] = {4 * kMinuteMs, 15 * kMinuteMs, 45 * kMinuteMs};
  plan.span_ms = hours <= 1 ? kSpans[e.below(3)] : static_cast<int64_t>(hours) * 60 * kMinuteMs;
  plan.sites = 1 + e.below(4);
  plan.reconcilers = e.below(3) == 0 ? 2 + e.below(2) : 1;
  plan.lying_disk = e.below(20) == 0;
  draw_broker(e, plan);
  draw_producers(e, plan);
  draw_turns(e, plan);
  Counts n = draw_faults(e, plan);
  draw_packet_limit(e, plan, n);
  n[Deed::append] = 6 + e.below(20);
  // A long seed has more of everything, and more time between.
  for (auto& [deed, times] : n) times *= hours <= 1 ? 1 : 1 + hours / 6;
  draw_times(e, plan, n);
  if (e.below(12) == 0) draw_same_night(e, plan);
  if (seed % kClaimsBelowEvery == 13) draw_claims_below(e, plan);
  draw_keys_and_versions(plan);
  if (plan.clones) plan.sites = 2;
  std::ranges::sort(plan.deeds);
  return plan;
}

const char* name_of(Deed deed) {
  static constexpr const char* kNames[] = {
      "append", "append-unanswered",
      "edge-crash", "move-cut-short", "edge-write-fails", "edge-sync-gone", "edge-reads-fail", "disk-full", "image", "disk-rollback",
      "disk-replaced", "live-rollback", "disk-clone", "live-clone", "shed", "room-purge", "corrupt", "clock-jump",
      "other-version", "witness-lost", "witness-old", "region-key-rotates", "region-key-retires", "site-key-renewed", "site-revoked",
      "cloud-crash", "reconciler-crash", "reconciler-hangs", "commit-fails", "commit-unknown", "block-site", "backup",
      "confirm", "restore", "restore-old",
      "link-cut", "send-fails", "up-outage", "down-outage", "broker-restart", "broker-refuses", "replay", "noise", "packet-limit"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kDeeds);
  return kNames[static_cast<size_t>(deed)];
}

const char* name_of(BrokerKind kind) {
  static constexpr const char* kNames[] = {"wild", "mosquitto", "emqx", "nats", "evil"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == static_cast<size_t>(BrokerKind::count_));
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace egret::sim
