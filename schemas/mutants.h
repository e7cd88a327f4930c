// Mutants: known ways to get es1 wrong, planted in the real code to show that the simulator finds them.
// Promises: in every build but the simulator's own (EGRET_MUTANTS) each is constantly off and compiles away.
// Leaves to others: choosing one (tests/sim).
#pragma once

#include <cstdint>

namespace egret {

enum class Mutant : uint8_t {
  none,
  purge_on_puback,        // delete when the broker has acknowledged
  purge_to_w,             // delete up to W, not up to S
  no_digest,              // believe numbers without hashes
  no_rehome,              // on disagreement just carry on
  overlap_dropped,        // a batch that overlaps W is taken for a pure duplicate
  gap_prefix_unchecked,   // a batch that begins with a gap is taken on any history
  gap_lost_on_rehome,     // re-homing forgets the gaps
  finished_believed_once, // the finished list is never sent again after a restore
  claim_not_compared,     // the cloud's highest claim is not looked at
  moved_closes_row,       // a moved row refuses batches
  old_hello_ignored,      // a HELLO with an older number is ignored
  claims_without_digest,  // a claim is a bare number
  parked_purged,          // purge deletes parked blocks
  possession_from_digest, // equal digests are taken for holding the data
};
inline constexpr int kMutants = 14;
const char* name_of(Mutant mutant);

#ifdef EGRET_MUTANTS
extern Mutant planted_mutant;  // set by the simulator, one at a time
inline bool mutant(Mutant m) { return planted_mutant == m; }
#else
constexpr bool mutant(Mutant) { return false; }
#endif

}  // namespace egret
