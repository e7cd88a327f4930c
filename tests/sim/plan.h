// Plan: what one seed will do to its world: which faults, how often, when (swarm testing: each seed has its own few).
// Promises: a pure function of the seed. Leaves to others: doing it (World).
#pragma once

#include <string>
#include <vector>

#include "cloud/reconciler.h"
#include "tests/sim/seeded_entropy.h"

namespace egret::sim {

enum class Deed : uint8_t {
  append, append_unanswered,
  edge_crash, edge_write_fails, image, disk_rollback, disk_replaced, live_rollback, disk_clone, live_clone,
  shed, room_purge, corrupt, clock_jump,
  cloud_crash, commit_fails, commit_unknown, backup, confirm, restore, old_restore,
  link_cut, up_outage, down_outage, broker_restart, replay, noise, packet_limit,
  count_
};
inline constexpr size_t kDeeds = static_cast<size_t>(Deed::count_);
const char* name_of(Deed deed);

struct Planned {
  int64_t at_ms;
  Deed deed;
  uint64_t site;  // which one, modulo how many there are
};

struct Plan {
  bool real_crypto = false;
  bool one_facility = false;  // clones: both agents are one site
  cloud::SafePolicy safe = cloud::SafePolicy::backup;
  int64_t safe_age_ms = 0;
  int64_t span_ms = 0;  // of the time with faults
  // The broker and the machines.
  int64_t latency_ms = 0;        // usual, at most
  uint64_t drop_permille = 0, repeat_permille = 0, hold_permille = 0;
  int64_t hold_ms = 0;           // a frame that is held back, at most
  int64_t disk_ms = 0;           // the writer's delay, at most
  bool says_limit = false;       // the broker names its packet limit, or just cuts the line
  // The producers.
  uint64_t telemetry_permille = 0, critical_permille = 0;
  uint64_t poison_permille = 0, large_permille = 0, again_permille = 0;
  uint64_t unit_max = 1;         // records of one append
  std::vector<Planned> deeds;
};

Plan draw_plan(uint64_t seed);

}  // namespace egret::sim
