// Writer: the one thread that changes the Buffer: group commit of what producers handed in, and the session's purges,
// re-homings and sheds between two groups.
// Promises: an answer is given only after the sync; what waits is bounded; after a failed write everything that waits
// is answered store_failed and the owner is told, once.
// Leaves to others: opening the store again (daemon), which thread takes the answers (Post).
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "edge/buffer.h"
#include "schemas/metrics.h"

namespace egret::agent {

class Writer {
 public:
  // With a place for each record of the unit.
  using Done = std::function<void(Result<edge::Places>)>;
  using Job = std::function<Result<void>(edge::Buffer&)>;
  // Hands a job to the thread that owns the daemon.
  using Post = std::function<void(std::function<void()>)>;
  struct Events {
    std::function<void(edge::View)> view_changed;  // after each round that changed something
    std::function<void(Error)> failed;             // the Buffer must be closed
  };

  // `buffer` outlives the writer.
  Writer(edge::Buffer& buffer, std::function<Now()> clock, Post post, Events events);
  // Finishes what has queued.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // `done` runs on the daemon's thread. False: the queue is full (nothing was taken).
  bool append(edge::Unit unit, Done done);
  // Runs between two groups; its error counts as a failed write when the Buffer says so.
  void run(Job job);

  struct Counters {
    uint64_t commits = 0, records = 0;
    Histogram commit_seconds;  // of a group
    Histogram accept_seconds;  // of a request, from append() on
  };
  Counters counters() const;

 private:
  struct Waiting {
    edge::Unit unit;
    size_t bytes = 0;
    Done done;
    std::chrono::steady_clock::time_point since;
  };
  void loop();
  void commit(std::deque<Waiting> group);
  void report_failure(const Error& error);

  edge::Buffer& buffer_;
  const std::function<Now()> clock_;
  const Post post_;
  const Events events_;
  bool failed_ = false;  // the writer thread's own

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Waiting> appends_;
  std::deque<Job> jobs_;
  size_t queued_bytes_ = 0;
  bool stopping_ = false;
  Counters counters_;
  std::thread thread_;
};

}  // namespace egret::agent
