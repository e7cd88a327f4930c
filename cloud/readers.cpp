#include "cloud/readers.h"

#include <chrono>

#include "schemas/entropy.h"
#include "schemas/kv_rocksdb.h"

namespace egret::cloud {
namespace {

// A state that nobody asks about is let go: what it sees cannot be compacted away.
constexpr std::chrono::milliseconds kIdle{200};

// One state of the store, as jobs get it.
struct Seen {
  OpenedStore opened;
  const KvSnapshot* snapshot = nullptr;  // opened.kv
  std::shared_ptr<void> kept;            // goes first
};

// nullptr: it cannot be read.
std::unique_ptr<Seen> look_at(const Kv& kv) {
  auto snapshot = snapshot_of(kv);
  if (!snapshot) return nullptr;
  auto out = std::make_unique<Seen>();
  out->snapshot = snapshot.get();
  out->opened.kv = std::move(snapshot);
  OsEntropy entropy;  // to found a store that is empty; this one is not
  auto store = open_store(*out->opened.kv, entropy);
  if (!store) return nullptr;
  out->opened.store = std::move(*store);
  return out;
}

}  // namespace

Readers::Readers(size_t threads) {
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

Readers::~Readers() {
  close();
  {
    std::lock_guard held(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Readers::open(const Kv& kv) {
  if (!snapshot_of(kv)) return;
  std::lock_guard held(mutex_);
  kv_ = &kv;
}

void Readers::close() {
  std::unique_lock held(mutex_);
  kv_ = nullptr;
  wake_.notify_all();
  idle_.wait(held, [this] { return reading_ == 0 && jobs_.empty(); });
}

bool Readers::take(ReadJob& job) {
  {
    std::lock_guard held(mutex_);
    if (kv_ == nullptr || threads_.empty()) return false;
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

void Readers::work() {
  std::unique_ptr<Seen> seen;
  std::unique_lock held(mutex_);
  for (;;) {
    const auto something = [this, &seen] { return stopping_ || !jobs_.empty() || (seen && kv_ == nullptr); };
    if (seen) {
      wake_.wait_for(held, kIdle, something);
    } else {
      wake_.wait(held, something);
    }
    if (seen && (kv_ == nullptr || jobs_.empty())) {
      seen.reset();
      --reading_;
      idle_.notify_all();
    }
    if (jobs_.empty()) {
      if (stopping_) return;
      continue;
    }
    ReadJob job = std::move(jobs_.front());
    jobs_.pop_front();
    const Kv* kv = kv_;
    if (!seen) ++reading_;
    held.unlock();
    if (kv != nullptr && !(seen && seen->snapshot->current())) {
      seen.reset();
      seen = look_at(*kv);
    }
    job(seen ? &seen->opened : nullptr, seen ? &seen->kept : nullptr);
    job = nullptr;
    held.lock();
    if (!seen) {
      --reading_;
      idle_.notify_all();
    }
  }
}

}  // namespace egret::cloud
