#include "tests/sim/tally.h"

namespace egret::sim {

const char* name_of(Met met) {
  static constexpr const char* kNames[] = {
      "records", "repeated bodies", "appends without an answer", "poison records", "telemetry records",
      "large records", "edge crashes", "failed edge writes", "disk rollbacks", "disks replaced",
      "live rollbacks", "disk clones", "live clones", "sheds", "room purges", "corrupt blocks",
      "clock jumps", "cloud crashes", "failed commits", "unknown commits", "backups",
      "backups confirmed", "restores of the newest", "restores of an older one", "frames", "dropped",
      "repeated", "held back", "replayed", "noise frames", "link cuts", "one-way outages", "oversized",
      "packet limits", "HELLO", "WELCOME", "BATCH", "ACK", "NEED_HELLO", "ACK GAP", "ACK FORK",
      "ACK BAD_BODY", "falls of W seen", "purges", "purged records", "re-homings",
      "block re-homings", "parks", "unparks", "blocks found corrupt", "new runs", "epochs",
      "finished epochs", "GAP SHED", "GAP CORRUPT", "GAP PURGED", "GAP PARKED", "unverified rows",
      "duplicates", "quarantined", "TAIL_LOST", "ORPHAN", "FORK", "DUPLICATE_IDENTITY",
      "incidents closed", "excused records", "seeds with real crypto"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kMets);
  return kNames[static_cast<size_t>(met)];
}

}  // namespace egret::sim
