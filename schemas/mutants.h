// Mutants: known ways to get es1 wrong, planted in the real code to show that the simulator finds them.
// Promises: in every build but the simulator's own (EGRET_MUTANTS) each is constantly off and compiles away.
// Leaves to others: choosing one (tests/sim).
#pragma once

#include <cstdint>

namespace egret {

// Numbered are the 25 bugs that others had, some in several forms; the others are es1's own.
enum class Mutant : uint8_t {
  none,
  ack_before_sync,          //  1  the producer is answered before the sync
  purge_on_puback,          //  2  delete when the broker has acknowledged
  w_before_records,         //  3  W is committed before the records, in a transaction of its own
  overlap_dropped,          //  4  a batch that overlaps W is taken for a pure duplicate
  old_epoch_resumed,        //  5  a new run goes on in the old epoch, and no digest is compared
  ack_digest_off,           //  6  ACK is believed without its digest
  welcome_digest_off,       //  6  WELCOME is believed without its digest
  batch_digest_off,         //  6  BATCH is believed without its digest
  no_digest,                //  6  all three
  purge_to_w,               //  7  delete up to W, not up to S
  old_welcome_believed,     //  8  a WELCOME with an old nonce is believed
  no_rehome,                //  9  on disagreement just carry on
  gap_lost_on_rehome,       //  9  re-homing forgets the gaps
  gap_prefix_unchecked,     //  9  a batch that begins with a gap is taken on any history
  claim_not_compared,       //  9  the cloud's highest claim is not looked at
  finished_believed_once,   //  9  the finished list is never sent again after a restore
  sync_retried,             // 10  a sync that failed is tried again, and all goes on
  shed_in_two_steps,        // 11  the range of what is shed is recorded in a second write
  dedup_by_time,            // 12  a copy that comes late takes effect again
  persistent_session,       // 13  the broker keeps a session for who is gone
  never_resent,             // 14  a batch that was lost is never sent again; other streams go on
  unguarded_difference,     // 15  first - W of unsigned numbers, without a guard
  backoff_reset_on_connect, // 16  backoff begins anew with each connection, however short
  unreadable_stops,         // 17  a block that cannot be read stops its stream
  unreadable_takes_all,     // 17  a block that cannot be read takes the rest of its stream with it
  ack_on_unknown_commit,    // 18  ACK is sent though nobody knows whether the commit took place
  counter_nonce,            // 19  nonces are counted, not made from the content
  shed_takes_results,       // 20  when there is no telemetry left, results are shed
  full_disk_for_ever,       // 21  what was refused on a full disk is refused for ever
  poison_aborts_group,      // 22  one record that breaks a rule aborts the commit of its neighbours
  wall_clock_timers,        // 23  timers read the wall clock
  telemetry_starves,        // 24  lanes by strict priority
  wire_size_trusted,        // 25  the decompressed size is what the wire says
  moved_closes_row,         //     a moved row refuses batches
  old_hello_ignored,        //     a HELLO with an older number is ignored
  claims_without_digest,    //     a claim is a bare number
  parked_purged,            //     purge deletes parked blocks
  possession_from_digest,   //     equal digests are taken for holding the data
  moved_claims_believed,    //     of a moved row only what was claimed at its head is judged
  unknown_field_refused,    //     a message with a field of a later version is dropped
  version_not_compared,     //     a HELLO without a protocol in common is welcome
  frame_version_ignored,    //     a frame of another version is read as one of this
  next_key_forgotten,       //     the region's next key is not remembered
  answering_key_forgotten,  //     a region with one key is asked with the configured one again
  old_key_kept,             //     a run goes on with a key that nobody answers to
  revoked_is_heard,         //     a revoked site is heard
  witness_one_lane,         //     the witness looks at one lane alone
};
inline constexpr int kMutants = 47;
const char* name_of(Mutant mutant);
// Its number above; 0: none.
int number_of(Mutant mutant);

#ifdef EGRET_MUTANTS
extern Mutant planted_mutant;  // set by the simulator, one at a time
inline bool mutant(Mutant m) { return planted_mutant == m; }
#else
constexpr bool mutant(Mutant) { return false; }
#endif

}  // namespace egret
