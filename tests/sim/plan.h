// Plan: what one seed will do to its world: which machines and broker, which faults, how often, when (swarm testing: each
// seed has its own few).
// Promises: a pure function of seed and hours; its text says all of it and can be read back.
// Leaves to others: doing it (World).
#pragma once

#include <string>
#include <vector>

#include "cloud/reconciler.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/sim/turns.h"

namespace egret::sim {

enum class Deed : uint8_t {
  append, append_unanswered,
  // a machine
  edge_crash, move_cut_short, edge_write_fails, edge_sync_gone, edge_reads_fail, disk_full, image, disk_rollback, disk_replaced, live_rollback,
  disk_clone, live_clone, shed, room_purge, corrupt, clock_jump,
  // keys, versions, the witness
  other_version, witness_lost, witness_old, region_key_rotates, region_key_retires, site_key_renewed, site_revoked,
  // the region
  cloud_crash, reconciler_crash, reconciler_hangs, commit_fails, commit_unknown, block_site, backup, confirm, restore,
  old_restore,
  // the way
  link_cut, send_fails, up_outage, down_outage, broker_restart, broker_refuses, replay, noise, packet_limit,
  count_
};
inline constexpr size_t kDeeds = static_cast<size_t>(Deed::count_);
const char* name_of(Deed deed);

// wild keeps no promise; the others queue like the product they are named after; evil also lies.
enum class BrokerKind : uint8_t { wild, mosquitto, emqx, nats, evil, count_ };
const char* name_of(BrokerKind kind);

struct Planned {
  int64_t at_ms;
  Deed deed;
  uint64_t site;    // which one, modulo how many there are
  uint64_t chance;  // what it still draws
  auto operator<=>(const Planned&) const = default;
};

struct Plan {
  uint64_t seed = 0;             // of all chance that is left to the world
  bool real_crypto = false;
  bool clones = false;           // the second site is a copy of the first, or nothing
  uint64_t sites = 2, reconcilers = 1;
  cloud::SafePolicy safe = cloud::SafePolicy::backup;
  int64_t safe_age_ms = 0;
  int64_t span_ms = 0;           // of the time with faults
  uint64_t credit_queue = 1024;  // what the region believes the broker can queue
  // The broker and the machines.
  BrokerKind broker = BrokerKind::wild;
  uint64_t queue_max = 1000, inflight_max = 20;  // a subscriber's
  int64_t serve_ms = 0;                          // a message of a subscriber, at most
  int64_t latency_ms = 0;                        // usual, at most
  uint64_t drop_permille = 0, repeat_permille = 0, hold_permille = 0, evil_permille = 0;
  int64_t hold_ms = 0;           // a frame that is held back, at most
  int64_t disk_ms = 0;           // the writer's delay, at most
  bool says_limit = false;       // the broker names its packet limit, or just cuts the line
  bool newer_sites = false, newer_region = false;  // say more than the other side knows
  bool lying_disk = false;       // sites' syncs do nothing: only I13 is held
  // The producers.
  uint64_t telemetry_permille = 0, critical_permille = 0, bulk_permille = 0;
  uint64_t poison_permille = 0, large_permille = 0, again_permille = 0;
  uint64_t unit_max = 1;         // records of one append
  TurnRates turns{};
  std::vector<Planned> deeds;
};

// Hours: how long the faults last, at most.
Plan draw_plan(uint64_t seed, uint64_t hours);

}  // namespace egret::sim
