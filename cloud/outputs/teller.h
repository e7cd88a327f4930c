// Teller: brings what became of alerts to one output, in order: a webhook, a topic, the system's log.
// Promises: each event is told until the output takes it, across failures, restarts and kills; how far it is stands in the
// store, written after the output has taken it, so an event may be told again and is never left out; one output waits for
// nobody else's. Leaves to others: how an output is told (webhook.h, syslog.h, topic.h), making events (alerts.h), which of
// several processes over one store tells it (shards.h).
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "cloud/alerts.h"
#include "cloud/store_thread.h"

namespace egret::cloud {

class AlertOutput {
 public:
  virtual ~AlertOutput() = default;
  virtual std::string name() const = 0;  // as its place in the store is called
  // Once it returns ok the output has it. May block for some seconds; ends soon after stop(). Errors: whatever went wrong.
  virtual Result<void> tell(const AlertEvent& event, uint64_t gen) = 0;
};

struct TellerTimes {
  int64_t look_ms = 1'000;  // for new events, unless woken
  int64_t backoff_first_ms = 1'000, backoff_max_ms = 300'000;
};

class Teller {
 public:
  using OnStore = std::function<void(StoreThread::Job)>;
  using Mine = std::function<bool(const OpenedStore&)>;
  // `mine`: asked on the store's thread whether this process is the one that tells.
  Teller(std::unique_ptr<AlertOutput> output, OnStore on_store, Mine mine, TellerTimes times = {});
  ~Teller();
  Teller(const Teller&) = delete;
  Teller& operator=(const Teller&) = delete;
  // There may be news.
  void wake();

 private:
  struct Batch {
    std::vector<AlertEvent> events;
    uint64_t gen = 0;
  };
  void run();
  // nullopt: the store is down, or cannot be read, or another one tells.
  std::optional<Batch> next();
  bool delivered(uint64_t number);
  // False: to be tried again later.
  bool tell_all(const Batch& batch);
  void rest(int64_t ms);

  const std::unique_ptr<AlertOutput> output_;
  const OnStore on_store_;
  const Mine mine_;
  const TellerTimes times_;
  int failures_ = 0;
  std::mutex lock_;
  std::condition_variable wake_up_;
  bool woken_ = false, stopping_ = false;
  std::thread thread_;
};

}  // namespace egret::cloud
