#include "schemas/mutants.h"

namespace egret {

#ifdef EGRET_MUTANTS
Mutant planted_mutant = Mutant::none;
#endif

const char* name_of(Mutant mutant) {
  static constexpr const char* kNames[] = {
      "none", "purge_on_puback", "purge_to_w", "no_digest", "no_rehome", "overlap_dropped", "gap_prefix_unchecked",
      "gap_lost_on_rehome", "finished_believed_once", "claim_not_compared", "moved_closes_row", "old_hello_ignored",
      "claims_without_digest", "parked_purged", "possession_from_digest"};
  return kNames[static_cast<int>(mutant)];
}

}  // namespace egret
