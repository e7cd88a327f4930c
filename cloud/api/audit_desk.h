// AuditDesk: what the API does is written down before it has happened, or soon after; and nothing is done that cannot be.
// Promises: what changes something is in the log, synced, before it is begun, and how it ended before that is told; a read is
// there within kAuditReadMs of its answer; what showed no record, and a refusal, within kAuditCountMs, counted with others
// like it. Once the log cannot be written everything that is audited is refused, until it can.
// Leaves to others: the log (cloud/audit.h), what an entry is about (handlers), who may (door.h).
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "cloud/audit.h"
#include "cloud/store_thread.h"

namespace egret::cloud {

inline constexpr int64_t kAuditReadMs = 1'000;    // a kill loses no more of what was read
inline constexpr int64_t kAuditCountMs = 60'000;
inline constexpr size_t kAuditWaitingMax = 256;   // reads that wait to be written: then at once
inline constexpr size_t kAuditCountedMax = 4'096; // different ones: then at once

// Shared with the jobs that it posts: it lives as long as they do.
class AuditDesk : public std::enable_shared_from_this<AuditDesk> {
 public:
  using OnStore = std::function<void(StoreThread::Job)>;
  AuditDesk(OnStore on_store, std::function<MonoTime()> mono) : on_store_(std::move(on_store)), mono_(std::move(mono)) {}

  // ---- any thread ----
  // Nothing may be read: the log cannot be written.
  bool closed() const { return closed_; }
  // Something was read, or refused.
  void note(AuditEntry entry);
  // Calls `then` on the store's thread when the entry, and what was noted before it, is synced, or with why it is not. One
  // that only asks is forgotten then; any other is written later.
  using Then = std::function<void(const Result<void>& written)>;
  void write(AuditEntry entry, Then then);

  // ---- the store's thread ----
  // At least twice a second; null: the store is down.
  void tend(OpenedStore* store);
  // All that is noted, now: before the store is closed, too.
  Result<void> write_all(OpenedStore* store, const AuditEntry* asked = nullptr);

 private:
  const OnStore on_store_;
  const std::function<MonoTime()> mono_;
  std::atomic<bool> closed_{false};
  std::mutex lock_;  // guards what follows
  std::vector<AuditEntry> waiting_;
  std::map<AuditEntry, AuditEntry> counted_;  // by the entry without time and count
  MonoTime write_due_, count_due_;
};

}  // namespace egret::cloud
