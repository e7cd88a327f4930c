#include "cloud/committer.h"

#include "schemas/mutants.h"

namespace egret::cloud {

CommitReport Committer::run(std::span<const Inbound> group, Now now) {
  CommitReport report;
  if (run_group(group, now, report)) return report;
  if (mutant(Mutant::poison_aborts_group)) {
    report.failed = group.size();
    return report;
  }
  // Something in the group could not be committed: each alone, so that one bad frame delays no
  // neighbour.
  for (size_t i = 0; i < group.size(); i++) {
    if (!run_group(group.subspan(i, 1), now, report)) report.failed++;
  }
  return report;
}

// False: nothing of the group was committed, and nothing was said. True as well when the outcome is
// unknown: then nothing is said either, and the edges' timers will ask again.
bool Committer::run_group(std::span<const Inbound> group, Now now, CommitReport& report) {
  Result<StoreMeta> meta = store_.meta();
  if (!meta) return false;
  std::unique_ptr<Txn> txn = store_.begin();
  std::vector<Reply> replies;
  std::vector<Outcome> outcomes;
  bool wrote = false;
  uint64_t unread = 0;  // frames that the store could not be read for
  for (const Inbound& frame : group) {
    txn->savepoint();
    Result<Outcome> applied = reconciler_.apply(frame, *txn, *meta, now);
    if (!applied && mutant(Mutant::poison_aborts_group)) return false;
    if (!applied) {
      txn->rollback_to_savepoint();
      if (group.size() == 1) return false;
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
  if (result == CommitResult::failed) return false;
  if (result == CommitResult::unknown && !mutant(Mutant::ack_on_unknown_commit)) {
    report.unknown += group.size();
    return true;
  }
  report.failed += unread;
  for (Reply& reply : replies) report.replies.push_back(std::move(reply));
  for (Outcome& outcome : outcomes) report.outcomes.push_back(std::move(outcome));
  return true;
}

}  // namespace egret::cloud
