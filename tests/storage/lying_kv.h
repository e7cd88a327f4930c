// LyingKv: a Kv that breaks its promise in one way, to show that a test sees what comes of it.
// Promises: besides its lie it is the Kv that it was given.
// Leaves to others: which lie, and what must come of it.
#pragma once

#include <memory>

#include "schemas/kv.h"

namespace egret::test {

class LyingKv final : public Kv {
 public:
  enum class Lie : uint8_t {
    no_sync,      // says synced, and has not
    never_fails,  // says written, whatever came of it
  };
  LyingKv(std::unique_ptr<Kv> kv, Lie lie) : kv_(std::move(kv)), lie_(lie) {}
  Result<void> write(const KvBatch& batch, bool sync) override {
    Result<void> written = kv_->write(batch, sync && lie_ != Lie::no_sync);
    return lie_ == Lie::never_fails ? Result<void>{} : written;
  }
  Result<std::optional<Bytes>> get(Space s, ByteView key) const override {
    return kv_->get(s, key);
  }
  Result<void> scan(Space s, ByteView first, ByteView end, const Visit& visit) const override {
    return kv_->scan(s, first, end, visit);
  }
  Result<void> scan_back(Space s, ByteView first, ByteView end, const Visit& visit) const override {
    return kv_->scan_back(s, first, end, visit);
  }
  uint64_t disk_bytes() const override { return kv_->disk_bytes(); }
  void reclaim(Space s, ByteView first, ByteView end) override { kv_->reclaim(s, first, end); }

 private:
  std::unique_ptr<Kv> kv_;
  const Lie lie_;
};

}  // namespace egret::test
