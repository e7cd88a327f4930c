// FailingKv: another Kv behind a disk that stops answering, or behind which somebody else writes, at a chosen read.
// Promises: reads are counted; from the n-th on they fail until heal(); the deed is done once, before its read, and the write
// after it fails where asked for: a serializable database sees that somebody else has committed.
// Leaves to others: failing writes and rotten values (KvMemory).
#pragma once

#include <functional>
#include <utility>

#include "schemas/kv.h"

namespace egret {

class FailingKv final : public Kv {
 public:
  explicit FailingKv(Kv& below) : below_(below) {}
  // The n-th read from now (1: the next).
  void fail_reads_from(uint64_t n) { fail_at_ = reads_ + n; }
  void before_read(uint64_t n, std::function<void()> deed) {
    deed_at_ = reads_ + n;
    deed_ = std::move(deed);
  }
  void serializable() { serializable_ = true; }
  void heal() { fail_at_ = UINT64_MAX; }
  bool failed() const { return failed_; }          // a read has failed
  bool deed_done() const { return deed_at_ == 0; }  // the deed's read has come

  Result<void> write(const KvBatch& batch, bool sync) override {
    if (std::exchange(overtaken_, false)) return Error{Errc::store_failed, "could not serialize"};
    return below_.write(batch, sync);
  }
  Result<std::optional<Bytes>> get(Space space, ByteView key) const override {
    if (Result<void> answers = read(); !answers) return answers.error();
    return below_.get(space, key);
  }
  Result<void> scan(Space space, ByteView first, ByteView end, const Visit& visit) const override {
    if (Result<void> answers = read(); !answers) return answers;
    return below_.scan(space, first, end, visit);
  }
  Result<void> scan_back(Space space, ByteView first, ByteView end, const Visit& visit) const override {
    if (Result<void> answers = read(); !answers) return answers;
    return below_.scan_back(space, first, end, visit);
  }
  uint64_t disk_bytes() const override { return below_.disk_bytes(); }
  void reclaim(Space space, ByteView first, ByteView end) override { below_.reclaim(space, first, end); }

 private:
  Result<void> read() const {
    ++reads_;
    if (reads_ == deed_at_) {
      deed_at_ = 0;
      deed_();
      overtaken_ = serializable_;
    }
    if (reads_ < fail_at_) return {};
    failed_ = true;
    return Error{Errc::store_failed, "the disk does not answer"};
  }

  Kv& below_;
  mutable uint64_t reads_ = 0, deed_at_ = UINT64_MAX;
  uint64_t fail_at_ = UINT64_MAX;
  mutable bool failed_ = false, overtaken_ = false;
  bool serializable_ = false;
  std::function<void()> deed_;
};

}  // namespace egret
