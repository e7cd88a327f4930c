// StoreThread: the one thread that owns the store: takes what has queued, commits it as a group,
// hands the answers to the broker, and runs what others want to know of the store between two
// groups. Promises: an answer leaves only after its commit; while the store is down nothing is
// taken (the broker unsubscribes) and it is opened anew until it works; a job always runs, with
// null while it is down. Leaves to others: rules (Reconciler), grouping and replay (Committer),
// reading beside it (Readers), time limits of a waiting client.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "cloud/broker.h"
#include "cloud/facilities.h"
#include "cloud/progress.h"
#include "cloud/store_kv.h"

namespace egret::cloud {

class Metrics;

struct OpenedStore {
  std::unique_ptr<Kv> kv;
  std::unique_ptr<KvStore> store;  // refers to kv, and so goes first
};
// A job that only reads. store null: the store is down. kept null: what it reads may change under others' hands later; else
// it never will, and what the job puts there the next one finds that sees the same.
using ReadJob = std::function<void(OpenedStore* store, std::shared_ptr<void>* kept)>;
// Errors: locked, newer_format, corrupt, store_failed.
using StoreOpener = std::function<Result<OpenedStore>()>;

struct StoreHealth {
  bool healthy = false;
  std::string why;               // why not, for a person
  int64_t heartbeat_age_ms = 0;  // since the thread last came round
  uint64_t credit_granted = 0;
};

// Time, as everything gets it that runs below.
Now clock_now();

class StoreThread {
 public:
  struct Parts {
    StoreOpener open;
    ReconcilerConfig reconciler;
    int64_t silent_after_ms = kSilentAfterMs;  // for the metrics
    KeyRing* keys = nullptr;
    Entropy* entropy = nullptr;
    Broker* broker = nullptr;
    Metrics* metrics = nullptr;
    // On the store thread, each time it comes round, at least twice a second; null: the store is down.
    std::function<void(OpenedStore* store)> each_round = {};
    // The log of alerts has grown.
    std::function<void()> alerts_told = {};
    size_t group_frames_max = 64;
    size_t group_bytes_max = 16 * kMiB;
  };
  // All that `parts` point to outlives the thread. `first` is open already.
  StoreThread(Parts parts, OpenedStore first);
  // Ends the group at hand, runs what was posted with null, closes the store.
  ~StoreThread();
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  // Runs on the store thread between two groups; null: the store is down.
  using Job = std::function<void(OpenedStore* store)>;
  void post(Job job);
  // Runs what only reads: on a thread beside, and on a state of the store that lasts, where the store can be read so
  // (Readers), else as post() would.
  void read(ReadJob job);
  // The same on the calling thread, at once, where it can be: for what reads little.
  void read_here(ReadJob job);
  StoreHealth health() const;
  // Only for jobs: the rates as they stand.
  const std::map<Facility, double>& rates() const;

 private:
  void leave_to_owner(ReadJob job);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace egret::cloud
