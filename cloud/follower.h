// Follower: makes the views of space 5 from what is committed, behind the commits and without ever holding one up.
// Promises: a view is what merge_result() says of all that is committed up to `done`, whenever it stops and begins
// again; what a kill undoes is done again. Views of another format, or of a store that had none, are made anew from the
// blocks. Leaves to others: when it works (ViewThread), what is committed (KvStore).
#pragma once

#include "cloud/block_reader.h"
#include "cloud/view_tables.h"

namespace egret::cloud {

class Follower {
 public:
  explicit Follower(Kv& kv) : kv_(kv), reader_(kv) {}

  // Takes in at most `blocks`. How many it took: 0 when the views are up to date.
  // Errors: store_failed, corrupt (a block that cannot be read is passed over and counted).
  Result<size_t> step(size_t blocks);
  // From any thread: the next step() throws the views away and makes them anew.
  static Result<void> ask_rebuild(Kv& kv);

  // Blocks that were committed and are not in the views; nullopt while the views are being made anew.
  static Result<std::optional<uint64_t>> behind(const Kv& kv);
  uint64_t unreadable_blocks() const { return unreadable_; }

 private:
  struct Change {
    ResultRow row;
    AlertState alert = AlertState::none;  // as it was
    size_t issues = 0;
    bool changed = false;
  };
  Result<ViewsState> load();
  Result<void> rebuild();
  Result<std::vector<Bytes>> next(ViewsState& state, size_t blocks) const;
  Result<void> take(ByteView block);
  Result<void> take_record(const Facility& fac, const Place& place, ByteView record);
  Result<Change*> change(const ResultName& name);
  void write_changes(KvBatch& batch, uint64_t number);

  Kv& kv_;
  BlockReader reader_;
  std::map<ResultName, Change> changes_;  // of one step
  KvBatch uses_;
  uint64_t unreadable_ = 0;
};

}  // namespace egret::cloud
