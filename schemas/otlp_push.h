// OtlpPush: brings a program's metrics to an OTLP/HTTP receiver, as JSON.
// Promises: whoever hands a set over waits for nobody; while one is on its way only the newest other is kept; a set that was
// not taken is not sent again, for the next one says more. Trouble is told when it begins and when it ends.
// Leaves to others: what is in a set (metrics), how often one is made.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "schemas/http_post.h"
#include "schemas/types.h"

namespace egret {

struct OtlpConfig {
  std::string url;  // of the receiver's /v1/metrics; empty: nothing is pushed
  std::filesystem::path ca_file;
  int64_t every_s = 60;
};
inline constexpr int64_t kOtlpMs = 10'000;

class OtlpPush {
 public:
  // `say`: sets are not taken any more, and why, or they are again; called from the pusher's thread.
  OtlpPush(const OtlpConfig& config, std::string agent, std::function<void(const Result<void>&)> say);
  // Gives up what is on its way.
  ~OtlpPush();
  OtlpPush(const OtlpPush&) = delete;
  OtlpPush& operator=(const OtlpPush&) = delete;

  // Is it time for the next set?
  bool due(MonoTime now);
  void send(std::string body);
  struct Counters {
    uint64_t taken = 0, failed = 0;
  };
  Counters counters() const;

 private:
  void run();
  void push(std::string body);

  HttpPost post_;
  const int64_t every_ms_;
  const std::function<void(const Result<void>&)> say_;
  MonoTime next_;  // of who asks whether it is due
  bool in_trouble_ = false;  // of the thread
  mutable std::mutex lock_;
  std::condition_variable wake_;
  std::optional<std::string> waiting_;
  Counters counters_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace egret
