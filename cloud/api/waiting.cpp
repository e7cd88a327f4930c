#include "cloud/api/waiting.h"

#include <algorithm>

namespace egret::cloud {

void Waiting::ask(OpenedStore* store, MonoTime now, int64_t wait_ms, Try attempt, HttpAnswer answer) {
  const bool last = wait_ms <= 0 || waiters_.size() >= kWaitersMax;
  if (auto now_answer = attempt(store, last)) return answer(std::move(*now_answer));
  waiters_.push_back({now + std::min(wait_ms, kWaitMsMax), std::move(attempt), std::move(answer)});
}

void Waiting::look(OpenedStore* store, MonoTime now) {
  waiters_.remove_if([&](Waiter& waiter) {
    auto answer = waiter.attempt(store, now >= waiter.until);
    if (!answer) return false;
    waiter.answer(std::move(*answer));
    return true;
  });
}

}  // namespace egret::cloud
