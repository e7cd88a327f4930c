// Tally: what the seeds met, so that a summary shows which paths were never tried.
// Promises: sums over seeds and processes are plain sums.
// Leaves to others: printing it and judging what is missing (Summary).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "edge/session_table.h"
#include "schemas/buggify.h"

namespace egret::sim {

enum class Met : uint8_t {
  // what producers, machines, region and broker did
  records, repeated_bodies, unanswered, poison, telemetry, large_records,
  edge_crashes, failed_edge_writes, disk_rollbacks, disks_replaced, live_rollbacks, disk_clones, live_clones,
  sheds, room_purges, corrupt_blocks, clock_jumps,
  cloud_crashes, failed_commits, unknown_commits, backups, confirms, restores, old_restores,
  syncs_gone, failed_reads, full_disks, lying_disks, reconciler_crashes, reconciler_hangs, lost_races, blocked_sites,
  frames, dropped, repeated, held_back, replayed, noise, forged, queue_dropped_newest, queue_dropped_oldest, redelivered,
  other_versions, other_frames, witnesses_read, witness_alarms, witnesses_lost, witnesses_old,
  region_keys_rotated, region_keys_retired, site_keys_renewed, sites_revoked, revoked_frames,
  link_cuts, refused, unsent, outages, oversized, packet_limits,
  // what was said
  hellos, batches, welcome_ok, welcome_retry, welcome_version, welcome_blocked,
  acks, ack_gap, ack_fork, ack_bad_body, ack_need_dict, need_hellos,
  // what a site did
  w_falls, purges, purged_records, rehomes, block_rehomes, parks, unparks, corrupt_gaps, new_runs, epochs, finished_epochs,
  // what the region holds
  gap_shed, gap_corrupt, gap_purged, gap_parked, no_reason, disk_budget, unreadable, cloud_restored, frame_too_large, undecodable,
  unverified, duplicates, quarantined,
  tail_lost, orphans, fork_incidents, duplicate_identities, restored, closed_incidents, excused,
  // which seeds
  real_crypto, several_reconcilers, clone_seeds, newer_sites, newer_regions,
  count_
};
inline constexpr size_t kMets = static_cast<size_t>(Met::count_);
inline constexpr size_t kSessionPairs = edge::kStates * edge::kEventKinds;
inline constexpr size_t kLedgerPairs = kVerdicts * kRowKinds;
inline constexpr size_t kInvariants = 21;  // I1 to I20; 0 is not used

struct Tally {
  std::array<uint64_t, kMets> n{};
  std::array<uint64_t, kTurns> turns{};
  std::array<uint64_t, kMarks> marks{};
  std::array<uint64_t, kSessionPairs> session{};
  std::array<uint64_t, kLedgerPairs> ledger{};
  std::array<uint64_t, kInvariants> checked{};  // how often each invariant was really compared
  uint64_t& operator[](Met met) { return n[static_cast<size_t>(met)]; }
  uint64_t operator[](Met met) const { return n[static_cast<size_t>(met)]; }
  void add(const Tally& other);
};

const char* name_of(Met met);

}  // namespace egret::sim
