// KvMemory: the Kv of the simulator and the unit tests: maps in memory that know what was synced.
// Promises: the crash model and nothing kinder: after crash() the synced state is there, and of the batches
// after it any prefix, each whole; faults happen when they are asked for and are counted.
// Leaves to others: threads (one), speed on disk.
#pragma once

#include <map>
#include <set>

#include "schemas/kv.h"

namespace egret {

class KvMemory final : public Kv {
 public:
  explicit KvMemory(Space spaces) : state_{std::vector<Table>(spaces), {}, {}, 0, 0} {}

  Result<void> write(const KvBatch& batch, bool sync) override;
  Result<std::optional<Bytes>> get(Space space, ByteView key) const override;
  Result<void> scan(Space space, ByteView first, ByteView end, const Visit& visit) const override;
  Result<void> scan_back(Space space, ByteView first, ByteView end, const Visit& visit) const override;
  uint64_t disk_bytes() const override { return state_.bytes; }
  void reclaim(Space, ByteView, ByteView) override {}

  // ---- crash and rollback ----
  // Power fails: of the unsynced batches a prefix chosen by `entropy` stays. Ends a failure that fail_write began.
  void crash(Entropy& entropy);
  // The same with exactly `kept` unsynced batches staying.
  void crash_keeping(size_t kept);
  size_t unsynced() const { return state_.undo.size(); }
  // All that is on the disk, with what is synced of it. Values are shared, so a copy is cheap.
  using Value = std::shared_ptr<const Bytes>;
  using Table = std::map<Bytes, Value, std::less<>>;
  struct State {
    std::vector<Table> tables;
    std::vector<std::vector<KvOp>> undo;           // one an unsynced batch: what takes it back
    std::set<std::pair<Space, Bytes>> unreadable;  // keys whose value the disk cannot read
    uint64_t bytes = 0;
    uint64_t writes = 0;
  };
  State snapshot() const { return state_; }
  // Faults go with the disk that they were of.
  void rollback(State state);

  // ---- faults ----
  // Is the failed batch on the disk all the same? gone: its sync failed, and what was to be synced is still to be read,
  // but neither this nor any later sync saves it.
  enum class Failure { lost, applied, gone };
  // The n-th write from now (1: the next) and all after it fail with store_failed, until heal() or a crash; of
  // `gone` only the n-th says so.
  void fail_write(uint64_t n, Failure how);
  void heal() { fail_at_.reset(); }
  // From now on syncs say that they worked and do nothing; with false all that is there is synced.
  void lie(bool lies);
  // Another process opens the disk: faults end, and of what a failed sync left behind a prefix stays. False: nothing
  // is another than before.
  bool reopen(Entropy& entropy);
  uint64_t writes() const { return state_.writes; }
  // Of these, how many are on the disk, whatever was answered.
  uint64_t applied() const { return applied_; }
  // Writes that would end above `bytes` fail with disk_full; 0: no limit.
  void set_capacity(uint64_t bytes) { capacity_ = bytes; }
  // Changes one bit of a value, unnoticed by the Kv; false when there is no such value.
  bool flip_bit(Space space, ByteView key, size_t bit);
  // From now on get and scan answer corrupt when they meet this key; a new put mends it.
  void make_unreadable(Space space, ByteView key);
  bool unreadable(Space space, ByteView key) const;
  // Keys of a space, for tests that look for what is left.
  const Table& table(Space space) const { return state_.tables[space]; }

 private:
  void apply(const KvOp& op, std::vector<KvOp>* undo);
  void set(Space space, const Bytes& key, Value value, std::vector<KvOp>* undo);
  template <class Iterator>
  Result<void> visit_all(Space space, Iterator from, Iterator to, const Visit& visit) const;

  State state_;
  uint64_t capacity_ = 0;
  std::optional<uint64_t> fail_at_;
  Failure how_ = Failure::lost;
  uint64_t applied_ = 0;
  bool lies_ = false;
  bool sync_broken_ = false;
};

}  // namespace egret
