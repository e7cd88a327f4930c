// Timeline: virtual time as a queue of jobs.
// Promises: jobs run in the order of their time, and of the same time in the order they were asked for.
// Leaves to others: which clock a machine believes (its wall clock may be years off).
#pragma once

#include <functional>
#include <queue>
#include <vector>

#include "schemas/types.h"

namespace egret::sim {

class Timeline {
 public:
  using Job = std::function<void()>;
  explicit Timeline(MonoTime start) : now_(start) {}
  MonoTime now() const { return now_; }
  void in(int64_t ms, Job job) { queue_.push({now_ + ms, order_++, std::move(job)}); }
  // Runs the next job that is due until `end`; false: there is none, and it is `end` now.
  bool run_next(MonoTime end) {
    if (queue_.empty() || queue_.top().at > end) {
      now_ = end;
      return false;
    }
    now_ = queue_.top().at;
    Job job = std::move(queue_.top().job);
    queue_.pop();
    job();
    return true;
  }

 private:
  struct Entry {
    MonoTime at;
    uint64_t order;
    mutable Job job;
    bool operator<(const Entry& o) const { return at != o.at ? at > o.at : order > o.order; }
  };
  MonoTime now_;
  uint64_t order_ = 0;
  std::priority_queue<Entry> queue_;
};

}  // namespace egret::sim
