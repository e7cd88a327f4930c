#include "tests/sim/tally.h"

namespace egret::sim {
namespace {

template <size_t N>
void sum(std::array<uint64_t, N>& to, const std::array<uint64_t, N>& from) {
  for (size_t i = 0; i < N; i++) to[i] += from[i];
}

}  // namespace

void Tally::add(const Tally& other) {
  sum(n, other.n);
  sum(turns, other.turns);
  sum(marks, other.marks);
  sum(session, other.session);
  sum(ledger, other.ledger);
  sum(checked, other.checked);
}

const char* name_of(Met met) {
  static constexpr const char* kNames[] = {
      "records", "repeated bodies", "appends without an answer", "poison records", "telemetry records", "large records",
      "edge crashes", "failed edge writes", "disk rollbacks", "disks replaced", "live rollbacks", "disk clones", "live clones",
      "sheds", "room purges", "corrupt blocks", "clock jumps",
      "cloud crashes", "failed commits", "unknown commits", "backups", "backups confirmed", "restores of the newest",
      "restores of an older one",
      "syncs gone", "failed reads", "full disks", "seeds with a lying disk", "reconciler crashes", "reconcilers that hang",
      "commits lost to a rival", "blocked sites",
      "frames", "dropped", "repeated", "held back", "replayed", "noise frames", "forged frames", "full queue drops the newest",
      "full queue drops the oldest", "redelivered",
      "agents of another version", "frames of another version", "witnesses read", "witness alarms", "witnesses lost", "old witnesses",
      "region keys rotated", "region keys retired", "site keys renewed", "sites revoked", "frames of revoked sites",
      "link cuts", "connections refused", "frames not sent", "one-way outages", "oversized", "packet limits",
      "HELLO", "BATCH", "WELCOME OK", "WELCOME RETRY", "WELCOME VERSION", "WELCOME BLOCKED",
      "ACK OK", "ACK GAP", "ACK FORK", "ACK BAD_BODY", "ACK NEED_DICT", "NEED_HELLO",
      "falls of W seen", "purges", "purged records", "re-homings", "block re-homings", "parks", "unparks",
      "blocks found corrupt", "new runs", "epochs", "finished epochs",
      "GAP SHED", "GAP CORRUPT", "GAP PURGED", "GAP PARKED", "gaps without a reason", "gaps: disk budget", "gaps: unreadable",
      "gaps: cloud restored", "gaps: frame too large", "gaps: undecodable", "unverified rows", "duplicates", "quarantined",
      "TAIL_LOST", "ORPHAN", "FORK", "DUPLICATE_IDENTITY", "RESTORED", "incidents closed", "excused records",
      "seeds with real crypto", "seeds with several reconcilers", "seeds with a clone",
      "seeds with newer sites", "seeds with a newer region"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kMets);
  return kNames[static_cast<size_t>(met)];
}

}  // namespace egret::sim
