#include "cloud/committer.h"

#include "schemas/mutants.h"

namespace egret::cloud {
namespace {

constexpr int kRaceTries = 8;  // against other reconcilers; whoever commits makes progress, so few are needed

std::vector<Facility> facilities_of(std::span<const Inbound> group) {
  std::vector<Facility> out;
  for (const Inbound& frame : group) out.push_back(frame.fac);
  return out;
}

}  // namespace

CommitReport Committer::run(std::span<const Inbound> group, Now now) {
  CommitReport report;
  if (run_group(group, now, report) == Went::well) return report;
  if (mutant(Mutant::poison_aborts_group)) {
    report.failed = group.size();
    return report;
  }
  // Something in the group could not be committed: each alone, so that one bad frame delays no
  // neighbour.
  for (size_t i = 0; i < group.size(); i++) {
    if (run_group(group.subspan(i, 1), now, report) != Went::well) report.failed++;
  }
  return report;
}

Committer::Went Committer::run_group(std::span<const Inbound> group, Now now, CommitReport& report) {
  Went went = try_group(group, now, report);
  for (int tries = 1; went == Went::lost_a_race && tries < kRaceTries; tries++) went = try_group(group, now, report);
  return went;
}

// Badly or a race lost: nothing of the group was committed, and nothing was said. Well is also an outcome that is unknown:
// then nothing is said either, and the edges' timers will ask again.
Committer::Went Committer::try_group(std::span<const Inbound> group, Now now, CommitReport& report) {
  std::unique_ptr<Txn> txn = store_.begin(facilities_of(group));
  txn->suppose_new();
  Result<StoreMeta> meta = store_.meta();
  if (!meta) return meta.error().code == Errc::conflict ? Went::lost_a_race : Went::badly;
  std::vector<Reply> replies;
  std::vector<Outcome> outcomes;
  bool wrote = false;
  uint64_t unread = 0;  // frames that the store could not be read for
  for (const Inbound& frame : group) {
    txn->savepoint();
    Result<Outcome> applied = reconciler_.apply(frame, *txn, *meta, now);
    if (!applied && mutant(Mutant::poison_aborts_group)) return Went::badly;
    if (!applied && applied.error().code == Errc::conflict) return Went::lost_a_race;
    if (!applied) {
      txn->rollback_to_savepoint();
      if (group.size() == 1) return Went::badly;
      Outcome failed;
      failed.drop = DropReason::store;
      outcomes.push_back(std::move(failed));
      unread++;
      continue;
    }
    wrote |= applied->wrote;
    for (Reply& reply : applied->replies) replies.push_back(std::move(reply));
    applied->replies.clear();
    outcomes.push_back(std::move(*applied));
  }
  CommitResult result = wrote ? store_.commit(std::move(txn)) : CommitResult::committed;
  if (result == CommitResult::failed) return Went::badly;
  if (result == CommitResult::conflict) return Went::lost_a_race;
  if (result == CommitResult::unknown && !mutant(Mutant::ack_on_unknown_commit)) {
    report.unknown += group.size();
    return Went::well;
  }
  report.failed += unread;
  for (Reply& reply : replies) report.replies.push_back(std::move(reply));
  for (Outcome& outcome : outcomes) report.outcomes.push_back(std::move(outcome));
  return Went::well;
}

}  // namespace egret::cloud
