#include "cloud/api/audit_desk.h"
#include "cloud/log.h"


#include <algorithm>

namespace egret::cloud {
namespace {

constexpr int64_t kFlushMs = kAuditReadMs / 2;  // tend() comes round within the other half

}  // namespace

void AuditDesk::note(AuditEntry entry) {
  bool full = false;
  {
    std::lock_guard held(lock_);
    const MonoTime now = mono_();
    if (!entry.about.empty()) {
      if (waiting_.empty()) write_due_ = now + kFlushMs;
      waiting_.push_back(std::move(entry));
    } else {
      if (counted_.empty()) count_due_ = now + kAuditCountMs;
      AuditEntry like = entry;
      like.at = {};
      const auto [at, fresh] = counted_.try_emplace(std::move(like), entry);
      at->second.at = entry.at;
      at->second.count += fresh ? 0 : 1;
    }
    full = waiting_.size() >= kAuditWaitingMax || counted_.size() >= kAuditCountedMax;
  }
  if (full) on_store_([self = shared_from_this()](OpenedStore* store) { (void)self->write_all(store); });
}

void AuditDesk::write(AuditEntry entry, Then then) {
  if (entry.step == AuditStep::asked) {
    on_store_([self = shared_from_this(), entry = std::move(entry), then = std::move(then)](OpenedStore* store) { then(self->write_all(store, &entry)); });
    return;
  }
  {
    std::lock_guard held(lock_);
    if (waiting_.empty()) write_due_ = mono_() + kFlushMs;
    waiting_.push_back(std::move(entry));
  }
  on_store_([self = shared_from_this(), then = std::move(then)](OpenedStore* store) { then(self->write_all(store)); });
}

void AuditDesk::tend(OpenedStore* store) {
  {
    std::lock_guard held(lock_);
    const MonoTime now = mono_();
    if (store == nullptr || !((!waiting_.empty() && now >= write_due_) || (!counted_.empty() && now >= count_due_))) return;
    write_due_ = now + kFlushMs;
    count_due_ = now + kFlushMs;
  }
  (void)write_all(store);
}

Result<void> AuditDesk::write_all(OpenedStore* store, const AuditEntry* asked) {
  if (store == nullptr) return Error{Errc::locked, "the store is being opened again"};
  std::unique_lock held(lock_);
  std::vector<AuditEntry> entries = std::exchange(waiting_, {});
  std::map<AuditEntry, AuditEntry> counted = std::exchange(counted_, {});
  held.unlock();
  const size_t waited = entries.size();
  for (const auto& [like, entry] : counted) entries.push_back(entry);
  if (asked != nullptr) entries.push_back(*asked);
  if (entries.empty()) return {};
  Result<void> written = append_audit(*store->kv, entries);
  if (written) {
    if (closed_.exchange(false)) log("audit_open");
    return written;
  }
  if (!closed_.exchange(true)) log("audit_closed", written.error());
  // What waited goes on waiting, before what has come meanwhile.
  entries.resize(waited);
  held.lock();
  entries.insert(entries.end(), std::make_move_iterator(waiting_.begin()), std::make_move_iterator(waiting_.end()));
  waiting_ = std::move(entries);
  for (auto& [like, entry] : counted) {
    const auto [at, fresh] = counted_.try_emplace(like, entry);
    if (!fresh) at->second.count += entry.count;
  }
  return written;
}

}  // namespace egret::cloud
