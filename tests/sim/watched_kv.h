// WatchedKv: a KvMemory whose writes are shown to the checker and can be made to go wrong.
// Promises: the watcher sees every batch before it is applied, and once it is on the disk, in this order.
// Leaves to others: the crash model (KvMemory).
#pragma once

#include <functional>
#include <utility>

#include "tests/sim/kv_memory.h"

namespace egret::sim {

enum class WriteFault : uint8_t { none, lost, applied, unknown_lost, unknown_applied };

class WatchedKv final : public Kv {
 public:
  class Watcher {
   public:
    virtual ~Watcher() = default;
    virtual void before(const KvBatch& batch) = 0;
    virtual void after(const KvBatch& batch) = 0;
  };

  explicit WatchedKv(KvMemory& disk) : disk_(disk) {}
  void watch(Watcher* watcher) { watcher_ = watcher; }
  // The next write goes wrong in this way.
  void fail_next(WriteFault fault) { next_ = fault; }
  // The n-th read from now and all after it fail, until heal().
  void fail_read(uint64_t n) { read_in_ = n; }
  void heal() {
    next_ = WriteFault::none;
    read_in_ = 0;
  }

  Result<void> write(const KvBatch& batch, bool sync) override {
    const WriteFault fault = std::exchange(next_, WriteFault::none);
    if (fault != WriteFault::lost && fault != WriteFault::unknown_lost) {
      if (watcher_) watcher_->before(batch);
      const uint64_t applied = disk_.applied();
      Result<void> written = disk_.write(batch, sync);
      if (watcher_ && disk_.applied() != applied) watcher_->after(batch);
      if (!written) return written;
    }
    if (fault == WriteFault::none) return {};
    const bool unknown = fault == WriteFault::unknown_lost || fault == WriteFault::unknown_applied;
    return Error{unknown ? Errc::unknown_outcome : Errc::store_failed, "simulated disk: the write failed"};
  }
  Result<std::optional<Bytes>> get(Space space, ByteView key) const override {
    if (read_fails()) return unreadable();
    return disk_.get(space, key);
  }
  Result<void> scan(Space space, ByteView first, ByteView end, const Visit& visit) const override {
    if (read_fails()) return unreadable();
    return disk_.scan(space, first, end, visit);
  }
  Result<void> scan_back(Space space, ByteView first, ByteView end, const Visit& visit) const override {
    if (read_fails()) return unreadable();
    return disk_.scan_back(space, first, end, visit);
  }
  uint64_t disk_bytes() const override { return disk_.disk_bytes(); }
  void reclaim(Space, ByteView, ByteView) override {}

 private:
  KvMemory& disk_;
  Watcher* watcher_ = nullptr;
  static Error unreadable() { return {Errc::store_failed, "simulated disk: it does not answer"}; }
  bool read_fails() const {
    if (read_in_ > 1) read_in_--;
    return read_in_ == 1;
  }
  WriteFault next_ = WriteFault::none;
  mutable uint64_t read_in_ = 0;  // 0: none fails; 1: the next and all after it
};

}  // namespace egret::sim
