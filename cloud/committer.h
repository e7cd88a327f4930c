// Committer: group commit of frames (es1 section 6): one transaction for what has queued, answers
// after it. Promises: no answer before its commit is confirmed; silence when the outcome is
// unknown; one bad frame never delays its neighbours (a failed group is replayed one by one); what lost against another
// reconciler is tried again.
// Leaves to others: threads and queues (server), the rules (Reconciler), disk (Store).
#pragma once

#include <functional>
#include <span>

#include "cloud/reconciler.h"

namespace egret::cloud {

struct CommitReport {
  std::vector<Reply> replies;
  std::vector<Outcome> outcomes;  // one a frame, without replies; for metrics
  uint64_t failed = 0;            // frames whose commit failed even alone
  uint64_t unknown = 0;           // frames whose commit has an unknown outcome
};

class Committer {
 public:
  Committer(Store& store, Reconciler& reconciler) : store_(store), reconciler_(reconciler) {}
  CommitReport run(std::span<const Inbound> group, Now now);

 private:
  enum class Went : uint8_t { well, badly, lost_a_race };
  Went run_group(std::span<const Inbound> group, Now now, CommitReport& report);
  Went try_group(std::span<const Inbound> group, Now now, CommitReport& report);
  Store& store_;
  Reconciler& reconciler_;
};

}  // namespace egret::cloud
