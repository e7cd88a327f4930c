#include "schemas/mutants.h"

namespace egret {

#ifdef EGRET_MUTANTS
Mutant planted_mutant = Mutant::none;
#endif

const char* name_of(Mutant mutant) {
  static constexpr const char* kNames[] = {
      "none", "ack_before_sync", "purge_on_puback", "w_before_records", "overlap_dropped",
      "old_epoch_resumed", "ack_digest_off", "welcome_digest_off", "batch_digest_off", "no_digest",
      "purge_to_w", "old_welcome_believed", "no_rehome", "gap_lost_on_rehome", "gap_prefix_unchecked",
      "claim_not_compared", "finished_believed_once", "sync_retried", "shed_in_two_steps", "dedup_by_time",
      "persistent_session", "never_resent", "unguarded_difference", "backoff_reset_on_connect",
      "unreadable_stops", "unreadable_takes_all", "ack_on_unknown_commit", "counter_nonce",
      "shed_takes_results", "full_disk_for_ever", "poison_aborts_group", "wall_clock_timers",
      "telemetry_starves", "wire_size_trusted", "moved_closes_row", "old_hello_ignored",
      "claims_without_digest", "parked_purged", "possession_from_digest", "moved_claims_believed",
      "unknown_field_refused", "version_not_compared", "frame_version_ignored", "next_key_forgotten", "answering_key_forgotten",
      "old_key_kept", "revoked_is_heard", "witness_one_lane"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kMutants + 1);
  return kNames[static_cast<int>(mutant)];
}

int number_of(Mutant mutant) {
  static constexpr int kNumbers[] = {0, 1, 2, 3, 4, 5, 6, 6, 6, 6, 7, 8, 9, 9, 9, 9, 9, 10, 11, 12, 13, 14, 15, 16, 17, 17, 18, 19, 20, 21, 22, 23, 24, 25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  static_assert(sizeof(kNumbers) / sizeof(kNumbers[0]) == kMutants + 1);
  return kNumbers[static_cast<int>(mutant)];
}

}  // namespace egret
