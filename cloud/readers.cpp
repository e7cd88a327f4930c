#include "cloud/readers.h"

#include <chrono>

#include "schemas/entropy.h"
#include "schemas/kv_rocksdb.h"

namespace egret::cloud {

using Clock = std::chrono::steady_clock;

// A state that nobody asks about is let go: what it sees cannot be compacted away.
constexpr std::chrono::milliseconds kIdle{200};

// One state of the store, as jobs get it.
struct Readers::Seen {
  OpenedStore opened;
  const KvSnapshot* snapshot = nullptr;  // opened.kv
  Clock::time_point used;
  std::shared_ptr<void> kept;            // goes first

  // nullptr: it cannot be read.
  static std::unique_ptr<Seen> of(const Kv& kv) {
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
};

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
  seen_.clear();
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

bool Readers::run(ReadJob& job) {
  std::unique_lock held(mutex_);
  if (kv_ == nullptr) return false;
  answer(held, std::move(job));
  return true;
}

void Readers::answer(std::unique_lock<std::mutex>& held, ReadJob job) {
  const Kv* kv = kv_;
  std::unique_ptr<Seen> seen;
  if (kv != nullptr && !seen_.empty()) {
    seen = std::move(seen_.back());
    seen_.pop_back();
  }
  ++reading_;
  held.unlock();
  if (kv != nullptr && !(seen && seen->snapshot->current())) {
    seen.reset();
    seen = Seen::of(*kv);
  }
  job(seen ? &seen->opened : nullptr, seen ? &seen->kept : nullptr);
  job = nullptr;
  held.lock();
  if (seen && kv_ != nullptr) {
    seen->used = Clock::now();
    seen_.push_back(std::move(seen));
  }
  // Before the owner hears that nobody reads.
  seen.reset();
  if (--reading_ == 0) idle_.notify_all();
}

void Readers::let_go() {
  const auto now = Clock::now();
  std::erase_if(seen_, [now](const auto& seen) { return now - seen->used >= kIdle || !seen->snapshot->current(); });
}

void Readers::work() {
  std::unique_lock held(mutex_);
  for (;;) {
    // Come round in any case: others use states, too.
    wake_.wait_for(held, kIdle, [this] { return stopping_ || !jobs_.empty(); });
    let_go();
    if (jobs_.empty()) {
      if (stopping_) return;
      continue;
    }
    ReadJob job = std::move(jobs_.front());
    jobs_.pop_front();
    answer(held, std::move(job));
  }
}

}  // namespace egret::cloud
