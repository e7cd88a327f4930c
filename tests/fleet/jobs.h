// Jobs: one thread's queue: what others post, and what is due at a time.
// Promises: jobs run on the thread that calls run(), never inside post().
// Leaves to others: what a job is.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <queue>
#include <vector>

#include "agent/host.h"

namespace egret {

class Jobs {
 public:
  using Job = std::function<void()>;
  std::function<void(Job)> post() {
    return [this](Job job) {
      std::lock_guard held(lock_);
      posted_.push_back(std::move(job));
      arrived_.notify_one();
    };
  }
  // Monotonic milliseconds.
  void at(int64_t ms, Job job) { due_.push({ms, order_++, std::move(job)}); }
  // Runs what is posted and due until `end`.
  void run(int64_t end_ms) {
    for (int64_t now = now_ms(); now < end_ms; now = now_ms()) {
      while (!due_.empty() && due_.top().ms <= now) {
        Job job = std::move(due_.top().job);
        due_.pop();
        job();
      }
      const int64_t until = due_.empty() ? end_ms : std::min(end_ms, due_.top().ms);
      take_posted(std::max<int64_t>(until - now_ms(), 0));
    }
  }

 private:
  static int64_t now_ms() { return agent::now().mono.ms; }
  void take_posted(int64_t wait_ms) {
    std::deque<Job> jobs;
    {
      std::unique_lock held(lock_);
      arrived_.wait_for(held, std::chrono::milliseconds(wait_ms + 1),
                        [&] { return !posted_.empty(); });
      jobs.swap(posted_);
    }
    for (Job& job : jobs) job();
  }
  struct Due {
    int64_t ms;
    uint64_t order;
    mutable Job job;
    bool operator<(const Due& o) const { return ms != o.ms ? ms > o.ms : order > o.order; }
  };
  std::mutex lock_;
  std::condition_variable arrived_;
  std::deque<Job> posted_;
  std::priority_queue<Due> due_;
  uint64_t order_ = 0;
};

}  // namespace egret
