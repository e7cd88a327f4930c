#include "cloud/outputs/teller.h"

#include <algorithm>
#include <chrono>
#include <future>

#include "cloud/log.h"

namespace egret::cloud {
namespace {

constexpr size_t kEventsAtOnce = 100;

}  // namespace

Teller::Teller(std::unique_ptr<AlertOutput> output, OnStore on_store, Mine mine, TellerTimes times)
    : output_(std::move(output)), on_store_(std::move(on_store)), mine_(std::move(mine)), times_(times), thread_([this] { run(); }) {}

Teller::~Teller() {
  {
    std::lock_guard held(lock_);
    stopping_ = true;
  }
  wake_up_.notify_all();
  thread_.join();
}

void Teller::wake() {
  {
    std::lock_guard held(lock_);
    woken_ = true;
  }
  wake_up_.notify_all();
}

void Teller::rest(int64_t ms) {
  std::unique_lock held(lock_);
  wake_up_.wait_for(held, std::chrono::milliseconds(ms), [&] { return stopping_ || (woken_ && failures_ == 0); });
  woken_ = false;
}

std::optional<Teller::Batch> Teller::next() {
  auto promise = std::make_shared<std::promise<std::optional<Batch>>>();
  auto answer = promise->get_future();
  on_store_([promise, name = output_->name(), mine = mine_](OpenedStore* store) {
    if (store == nullptr || !mine(*store)) return promise->set_value(std::nullopt);
    const auto done = delivered_to(*store->kv, name);
    const auto meta = store->store->meta();
    auto events = done ? alert_events(*store->kv, *done, kEventsAtOnce) : Result<std::vector<AlertEvent>>(done.error());
    if (!events) log("alerts_unread", Word{name}, events.error());
    promise->set_value(events && meta ? std::optional(Batch{std::move(*events), meta->gen}) : std::nullopt);
  });
  return answer.get();
}

bool Teller::delivered(uint64_t number) {
  auto promise = std::make_shared<std::promise<bool>>();
  auto answer = promise->get_future();
  on_store_([promise, number, name = output_->name()](OpenedStore* store) {
    promise->set_value(store != nullptr && put_delivered(*store->kv, name, number).has_value());
  });
  return answer.get();
}

bool Teller::tell_all(const Batch& batch) {
  for (const AlertEvent& event : batch.events) {
    {
      std::lock_guard held(lock_);
      if (stopping_) return true;
    }
    if (const auto told = output_->tell(event, batch.gen); !told) {
      if (failures_ == 0) log("alerts_untold", Word{output_->name()}, told.error());
      return false;
    }
    if (failures_ > 0) log("alerts_told_again", Word{output_->name()}, failures_);
    failures_ = 0;
    if (!delivered(event.number)) return false;
  }
  return true;
}

void Teller::run() {
  int64_t wait = 0;
  for (;;) {
    {
      std::lock_guard held(lock_);
      if (stopping_) return;
    }
    const auto batch = next();
    if (batch && !tell_all(*batch)) {
      wait = std::min(failures_ == 0 ? times_.backoff_first_ms : wait * 2, times_.backoff_max_ms);
      ++failures_;
      rest(wait);
    } else if (!batch || batch->events.size() < kEventsAtOnce) {
      rest(times_.look_ms);
    }
  }
}

}  // namespace egret::cloud
