// KvStore: the Store over any Kv: RocksDB in production, a model with crashes in the simulator.
// Promises: a transaction is one synced batch; duplicates, tombstones and quarantine are judged
// inside it; the same calls give the same bytes. Reads may come from any thread; begin, change and
// commit from one at a time. Over a SharedKv several processes may do so. Leaves to others: the format on disk (tables.h), what may be written
// when (Reconciler), files and locks (Kv).
#pragma once

#include <atomic>

#include "cloud/each_of.h"
#include "cloud/shared_kv.h"
#include "cloud/tables.h"

namespace egret::cloud {

class KvStore final : public Store {
 public:
  KvStore(Kv& kv, const MetaRow& meta, bool has_tombstones)
      : kv_(kv), shared_(dynamic_cast<SharedKv*>(&kv)), store_key_(meta.store_key), has_tombstones_(has_tombstones) {}

  // How work in pieces is done from now on; one piece after the other before that.
  void work_with(EachOf each) { each_ = std::move(each); }

  std::unique_ptr<Txn> begin() override { return begin({}); }
  std::unique_ptr<Txn> begin(std::span<const Facility> about) override;
  CommitResult commit(std::unique_ptr<Txn> txn) override;
  Result<StoreMeta> meta() override;
  Result<std::vector<Facility>> facilities() override;

  // Why the last commit did not succeed; for the log.
  const Error& last_error() const { return last_error_; }
  Kv& kv() { return kv_; }
  const Kv& kv() const { return kv_; }

  // What a confirmed backup holds of a row.
  struct BackedUp {
    Facility fac;
    StreamKey key;
    Seq w;
    Hash c{};
  };
  struct Confirmed {
    uint64_t rows = 0;  // S moved or stood there already
    uint64_t strangers =
        0;  // rows of the backup that are no part of this store's history: nothing is set
  };
  // Sets S of every row that the backup proves, and then notes that a backup is confirmed; `rows`
  // in the order of facilities. Errors: store_failed, corrupt, conflict (run it again).
  Result<Confirmed> confirm_backup(std::span<const BackedUp> rows, WallTime now);
  // After a restore: a new gen, and one incident a facility that has claimed more than W. Which
  // ones is the answer.
  Result<std::vector<Facility>> mark_restored(Entropy& entropy, WallTime now,
                                              const std::string& note);
  // Forgets sessions that were not used since `before`; their frames get NEED_HELLO. How many is
  // the answer.
  Result<uint64_t> drop_sessions(WallTime before);

 private:
  Result<MetaRow> meta_row();
  Result<void> commit_or_error(std::unique_ptr<Txn> txn);
  Kv& kv_;
  SharedKv* const shared_;  // kv_, when it is one
  const Key32 store_key_;
  EachOf each_ = one_by_one;
  std::atomic<bool> has_tombstones_;
  Error last_error_;
};

// Opens the store that `kv` (with kCloudSpaces spaces) holds, and founds it when it is empty.
// Errors: newer_format, corrupt, store_failed.
Result<std::unique_ptr<KvStore>> open_store(Kv& kv, Entropy& entropy);

}  // namespace egret::cloud
