// Follower: makes the views of space 5 from what is committed, behind the commits and without ever holding one up.
// Promises: a view is what merge_result() says of all that is committed up to `done`, whenever it stops and begins
// again; what a kill undoes is done again. Views of another format, or of a store that had none, are made anew from the
// blocks. Leaves to others: when it works (ViewThread), what is committed (KvStore).
#pragma once

#include "cloud/block_reader.h"
#include "cloud/gauges.h"
#include "cloud/model_uses.h"
#include "cloud/patients.h"
#include "cloud/volumes.h"

namespace egret::cloud {

class Follower {
 public:
  explicit Follower(Kv& kv) : kv_(kv), reader_(kv), models_(kv), gauges_(kv), volumes_(kv) {}

  // Takes in at most `blocks`. How many it took: 0 when the views are up to date.
  // Errors: store_failed, corrupt (a block that cannot be read is passed over and counted).
  Result<size_t> step(size_t blocks);
  // From any thread: the next step() throws the views away and makes them anew.
  static Result<void> ask_rebuild(Kv& kv);

  // The rows that follow from a result, as it was and as it is now; `number` is that of the feed.
  static void derive(const ResultName& name, const ResultRow& before, const ResultRow& after, uint64_t number, ModelUses& models,
                     KvBatch& batch);

  // Committed blocks that are not in the views, numbered or not, and results that were erased; nullopt while the views are being made anew.
  static Result<std::optional<uint64_t>> behind(const Kv& kv);
  uint64_t unreadable_blocks() const { return unreadable_; }

 private:
  struct Change {
    ResultRow row;
    ResultRow before;
    bool changed = false;
  };
  Result<ViewsState> load();
  Result<void> rebuild();
  Result<std::vector<Bytes>> next(ViewsState& state, size_t blocks) const;
  Result<void> take(ByteView block);
  Result<void> take_record(const Facility& fac, const Place& place, ByteView record);
  Result<void> take_result(const Facility& fac, const Place& place, const v1::Body& body, const Hash& content);
  Result<size_t> look_again();
  Result<Change*> change(const ResultName& name);
  void write_change(KvBatch& batch, const ResultName& name, Change& change, uint64_t number);

  Kv& kv_;
  BlockReader reader_;
  std::map<ResultName, Change> changes_;  // of one step
  ModelUses models_;
  Gauges gauges_;
  Volumes volumes_;
  KvBatch batch_;
  std::optional<Key32> store_key_;
  uint64_t unreadable_ = 0;
};

}  // namespace egret::cloud
