// Waiting: requests that wait for news: ?wait=30s.
// Promises: each is answered once, as soon as there is something, at the latest when its time is over; no thread is held; at
// most kWaitersMax wait, whoever comes then is answered at once. Leaves to others: what news is (feeds).
#pragma once

#include <functional>
#include <list>
#include <optional>

#include "cloud/http.h"
#include "cloud/store_thread.h"

namespace egret::cloud {

inline constexpr size_t kWaitersMax = 32;       // half of a listener's connections
inline constexpr int64_t kWaitMsMax = 30'000;

// On the store's thread alone.
class Waiting {
 public:
  // The answer when there is news, or when `last` (then there must be one); nullopt: nothing yet.
  using Try = std::function<std::optional<HttpResponse>(OpenedStore* store, bool last)>;
  void ask(OpenedStore* store, MonoTime now, int64_t wait_ms, Try attempt, HttpAnswer answer);
  // To be called whenever something may have come, and at least twice a second.
  void look(OpenedStore* store, MonoTime now);

 private:
  struct Waiter {
    MonoTime until;
    Try attempt;
    HttpAnswer answer;
  };
  std::list<Waiter> waiters_;
};

}  // namespace egret::cloud
