// ContestedStore: the region's store as one of several reconcilers sees it: a serializable database. A transaction reads
// what was committed when it began; if another one has committed meanwhile it fails, and nothing of it is written.
// Promises: first committer wins; `before_commit` runs between the work and the commit, where a rival may commit.
// Leaves to others: the tables (KvStore), the one disk under all of them (WatchedKv).
#pragma once

#include "cloud/store_kv.h"
#include "tests/sim/watched_kv.h"

namespace egret::sim {

class ContestedKv final : public Kv {
 public:
  ContestedKv(WatchedKv& live, const KvMemory& disk) : live_(live), disk_(disk), then_(cloud::kCloudSpaces) {}
  void freeze() {
    then_.rollback(disk_.snapshot());
    frozen_ = true;
  }
  void thaw() { frozen_ = false; }
  bool overtaken() const { return frozen_ && then_.writes() != disk_.writes(); }

  Result<void> write(const KvBatch& batch, bool sync) override {
    if (overtaken()) return Error{Errc::conflict, "simulated database: could not serialize"};
    return live_.write(batch, sync);
  }
  Result<std::optional<Bytes>> get(Space space, ByteView key) const override { return now().get(space, key); }
  Result<void> scan(Space space, ByteView first, ByteView end, const Visit& visit) const override {
    return now().scan(space, first, end, visit);
  }
  Result<void> scan_back(Space space, ByteView first, ByteView end, const Visit& visit) const override {
    return now().scan_back(space, first, end, visit);
  }
  uint64_t disk_bytes() const override { return live_.disk_bytes(); }
  void reclaim(Space, ByteView, ByteView) override {}

 private:
  const Kv& now() const { return frozen_ ? static_cast<const Kv&>(then_) : live_; }
  WatchedKv& live_;
  const KvMemory& disk_;
  KvMemory then_;
  bool frozen_ = false;
};

class ContestedStore final : public cloud::Store {
 public:
  ContestedStore(WatchedKv& live, const KvMemory& disk, Entropy& entropy, std::function<void()> before_commit)
      : kv_(live, disk), before_commit_(std::move(before_commit)) {
    if (auto opened = cloud::open_store(kv_, entropy)) inner_ = std::move(*opened);
  }
  bool open() const { return inner_ != nullptr; }
  using cloud::Store::begin;
  std::unique_ptr<cloud::Txn> begin() override {
    kv_.freeze();
    return inner_->begin();
  }
  cloud::CommitResult commit(std::unique_ptr<cloud::Txn> txn) override {
    before_commit_();
    const cloud::CommitResult result = inner_->commit(std::move(txn));
    kv_.thaw();
    return result;
  }
  Result<cloud::StoreMeta> meta() override { return inner_->meta(); }
  Result<std::vector<Facility>> facilities() override { return inner_->facilities(); }
  bool overtaken() const { return kv_.overtaken(); }

 private:
  ContestedKv kv_;
  std::function<void()> before_commit_;
  std::unique_ptr<cloud::KvStore> inner_;
};

}  // namespace egret::sim
