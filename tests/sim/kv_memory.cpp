#include "tests/sim/kv_memory.h"

#include <algorithm>
#include <utility>

namespace egret {
namespace {

Error unreadable_value() {
  return {Errc::corrupt, "memory store: a value cannot be read"};
}

}  // namespace

Result<void> KvMemory::write(const KvBatch& batch, bool sync) {
  ++state_.writes;
  const bool fails = fail_at_ && state_.writes >= *fail_at_;
  const bool first_failure = fails && state_.writes == *fail_at_;
  if (fails && how_ != Failure::gone && !(first_failure && how_ == Failure::applied)) {
    return Error{Errc::store_failed, "memory store: the write failed"};
  }
  sync_broken_ = sync_broken_ || (fails && how_ == Failure::gone);
  if (sync_broken_ || lies_) sync = false;
  std::vector<KvOp> undo;
  const uint64_t before = state_.bytes;
  for (const KvOp& op : batch.ops()) apply(op, sync && capacity_ == 0 ? nullptr : &undo);
  std::ranges::reverse(undo);
  if (capacity_ != 0 && state_.bytes > std::max(capacity_, before)) {
    for (const KvOp& op : undo) apply(op, nullptr);
    return Error{Errc::disk_full, "memory store: no space left"};
  }
  ++applied_;
  if (sync) {
    state_.undo.clear();
  } else {
    state_.undo.push_back(std::move(undo));
  }
  if (fails && (how_ != Failure::gone || first_failure)) return Error{Errc::store_failed, "memory store: the write failed"};
  return {};
}

void KvMemory::apply(const KvOp& op, std::vector<KvOp>* undo) {
  Table& table = state_.tables[op.space];
  switch (op.what) {
    case KvOp::What::put:
      return set(op.space, op.key, std::make_shared<const Bytes>(op.value), undo);
    case KvOp::What::erase:
      return set(op.space, op.key, nullptr, undo);
    case KvOp::What::erase_range:
      for (auto it = table.lower_bound(op.key); it != table.end() && it->first < op.value;) {
        const Bytes key = it->first;
        ++it;
        set(op.space, key, nullptr, undo);
      }
      return;
  }
}

// `value` null: the key goes. Notes in `undo` what takes this back.
void KvMemory::set(Space space, const Bytes& key, Value value, std::vector<KvOp>* undo) {
  Table& table = state_.tables[space];
  auto it = table.find(key);
  if (it != table.end() && undo) undo->push_back({KvOp::What::put, space, key, *it->second});
  if (it == table.end() && undo) undo->push_back({KvOp::What::erase, space, key, {}});
  if (it != table.end()) state_.bytes -= key.size() + it->second->size();
  if (value) state_.bytes += key.size() + value->size();
  if (value && it != table.end()) {
    it->second = std::move(value);
  } else if (value) {
    table.emplace(key, std::move(value));
  } else if (it != table.end()) {
    table.erase(it);
  }
  state_.unreadable.erase({space, key});
}

Result<std::optional<Bytes>> KvMemory::get(Space space, ByteView key) const {
  const Table& table = state_.tables[space];
  const auto it = table.find(key);
  if (it == table.end()) return std::nullopt;
  if (unreadable(space, key)) return unreadable_value();
  return std::optional(*it->second);
}

template <class Iterator>
Result<void> KvMemory::visit_all(Space space, Iterator from, Iterator to, const Visit& visit) const {
  for (; from != to; ++from) {
    if (unreadable(space, from->first)) return unreadable_value();
    if (!visit(from->first, *from->second)) break;
  }
  return {};
}

Result<void> KvMemory::scan(Space space, ByteView first, ByteView end, const Visit& visit) const {
  const Table& table = state_.tables[space];
  if (first >= end) return {};
  return visit_all(space, table.lower_bound(first), table.lower_bound(end), visit);
}

Result<void> KvMemory::scan_back(Space space, ByteView first, ByteView end, const Visit& visit) const {
  const Table& table = state_.tables[space];
  if (first >= end) return {};
  return visit_all(space, std::make_reverse_iterator(table.lower_bound(end)),
                   std::make_reverse_iterator(table.lower_bound(first)), visit);
}

void KvMemory::crash(Entropy& entropy) {
  crash_keeping(entropy.below(state_.undo.size() + 1));
}

void KvMemory::crash_keeping(size_t kept) {
  while (state_.undo.size() > kept) {
    for (const KvOp& op : state_.undo.back()) apply(op, nullptr);
    state_.undo.pop_back();
  }
  state_.undo.clear();  // what survived is on the disk
  sync_broken_ = false;
  heal();
}

void KvMemory::rollback(State state) {
  state_ = std::move(state);
  sync_broken_ = false;
  heal();
}

void KvMemory::lie(bool lies) {
  lies_ = lies;
  if (!lies && !sync_broken_) state_.undo.clear();
}

bool KvMemory::reopen(Entropy& entropy) {
  const bool was_broken = std::exchange(sync_broken_, false);
  heal();
  if (!was_broken || lies_) return false;
  crash_keeping(entropy.below(state_.undo.size() + 1));
  return true;
}

void KvMemory::fail_write(uint64_t n, Failure how) {
  fail_at_ = state_.writes + n;
  how_ = how;
}

bool KvMemory::flip_bit(Space space, ByteView key, size_t bit) {
  Table& table = state_.tables[space];
  const auto it = table.find(key);
  if (it == table.end() || it->second->empty()) return false;
  Bytes changed = *it->second;
  changed[bit / 8 % changed.size()] ^= char(1 << bit % 8);
  it->second = std::make_shared<const Bytes>(std::move(changed));
  return true;
}

void KvMemory::make_unreadable(Space space, ByteView key) {
  state_.unreadable.emplace(space, key);
}

bool KvMemory::unreadable(Space space, ByteView key) const {
  return !state_.unreadable.empty() && state_.unreadable.contains({space, Bytes(key)});
}

}  // namespace egret
