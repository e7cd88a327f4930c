// WatchedKv: a KvMemory whose writes are shown to the checker and can be made to go wrong.
// Promises: the watcher sees every batch before it is applied, and once it is on the disk, in this order.
// Leaves to others: the crash model (KvMemory).
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

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

  // A second store of the same content, on a disk of its own (real_twin.h).
  class Twin {
   public:
    virtual ~Twin() = default;
    virtual void wrote(const KvBatch& batch) = 0;
    virtual void read(Space space, ByteView key, const std::optional<Bytes>& value) = 0;
    virtual void scanned(Space space, ByteView first, ByteView end, bool back, const std::vector<std::pair<Bytes, Bytes>>& seen, bool all) = 0;
    virtual void power_fails(Entropy& entropy) = 0;
    virtual void process_ends() = 0;
    virtual void becomes(const KvMemory& disk) = 0;  // another content (put back, replaced, lost)
  };

  explicit WatchedKv(KvMemory& disk) : disk_(disk) {}
  void watch(Watcher* watcher) { watcher_ = watcher; }
  void pair(std::unique_ptr<Twin> twin) { twin_ = std::move(twin); }
  void power_fails(Entropy& entropy) {
    if (twin_) twin_->power_fails(entropy);
  }
  void process_ends() {
    if (twin_) twin_->process_ends();
  }
  void becomes_another() {
    if (twin_) twin_->becomes(disk_);
  }
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
      if (twin_ && disk_.applied() != applied) twin_->wrote(batch);
      if (!written) return written;
    }
    if (fault == WriteFault::none) return {};
    const bool unknown = fault == WriteFault::unknown_lost || fault == WriteFault::unknown_applied;
    return Error{unknown ? Errc::unknown_outcome : Errc::store_failed, "simulated disk: the write failed"};
  }
  Result<std::optional<Bytes>> get(Space space, ByteView key) const override {
    if (read_fails()) return unreadable();
    auto value = disk_.get(space, key);
    if (twin_ && value) twin_->read(space, key, *value);
    return value;
  }
  Result<void> scan(Space space, ByteView first, ByteView end, const Visit& visit) const override {
    if (read_fails()) return unreadable();
    return twin_ ? scan_both(space, first, end, visit, false) : disk_.scan(space, first, end, visit);
  }
  Result<void> scan_back(Space space, ByteView first, ByteView end, const Visit& visit) const override {
    if (read_fails()) return unreadable();
    return twin_ ? scan_both(space, first, end, visit, true) : disk_.scan_back(space, first, end, visit);
  }
  uint64_t disk_bytes() const override { return disk_.disk_bytes(); }
  void reclaim(Space, ByteView, ByteView) override {}

 private:
  Result<void> scan_both(Space space, ByteView first, ByteView end, const Visit& visit, bool back) const {
    std::vector<std::pair<Bytes, Bytes>> seen;
    bool all = true;
    const Visit both = [&](ByteView key, ByteView value) {
      seen.emplace_back(key, value);
      return all = visit(key, value);
    };
    Result<void> done = back ? disk_.scan_back(space, first, end, both) : disk_.scan(space, first, end, both);
    if (done) twin_->scanned(space, first, end, back, seen, all);
    return done;
  }

  KvMemory& disk_;
  std::unique_ptr<Twin> twin_;
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
