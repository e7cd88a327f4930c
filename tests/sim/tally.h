// Tally: what the seeds met, so that a summary shows which paths were never tried.
// Promises: sums over seeds and processes are plain sums. Leaves to others: printing it (runner).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace egret::sim {

enum class Met : uint8_t {
  records, repeated_bodies, unanswered, poison, telemetry, large_records,
  edge_crashes, failed_edge_writes, disk_rollbacks, disks_replaced, live_rollbacks, disk_clones, live_clones,
  sheds, room_purges, corrupt_blocks, clock_jumps,
  cloud_crashes, failed_commits, unknown_commits, backups, confirms, restores, old_restores,
  frames, dropped, repeated, held_back, replayed, noise, link_cuts, outages, oversized, packet_limits,
  hellos, welcomes, batches, acks, need_hellos, gap_answers, forks, bad_bodies, w_falls,
  purges, purged_records, rehomes, block_rehomes, parks, unparks, corrupt_gaps, new_runs, epochs, finished_epochs,
  gap_shed, gap_corrupt, gap_purged, gap_parked, unverified, duplicates, quarantined,
  tail_lost, orphans, fork_incidents, duplicate_identities, closed_incidents, excused, real_crypto,
  count_
};
inline constexpr size_t kMets = static_cast<size_t>(Met::count_);
const char* name_of(Met met);

struct Tally {
  std::array<uint64_t, kMets> n{};
  uint64_t& operator[](Met met) { return n[static_cast<size_t>(met)]; }
  uint64_t operator[](Met met) const { return n[static_cast<size_t>(met)]; }
  void add(const Tally& other) {
    for (size_t i = 0; i < kMets; i++) n[i] += other.n[i];
  }
};

}  // namespace egret::sim
