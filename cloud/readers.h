// Readers: who answers from the store beside the thread that owns it, and writes it: threads of its own, or the one that asks.
// Promises: a job sees one state of the store, in which all is that was written before it was handed in; it is run once, with
// null when the store was closed meanwhile; between two writes jobs share the states that they see, each one job at a time, and
// what they keep of them.
// Leaves to others: writing (StoreThread; here it fails), stores that cannot be read beside their owner (PostgreSQL: one
// connection, and a transaction on it): take() and run() say no.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "cloud/store_thread.h"

namespace egret::cloud {

class Readers {
 public:
  explicit Readers(size_t threads);
  // Runs what waits with null.
  ~Readers();
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  // The owner's, in turns: the store is open, and stays so until close() has returned, which waits for the jobs at hand.
  void open(const Kv& kv);
  void close();
  // From any thread; run() has run it when it returns. False: not here; the job is the owner's, and nothing has been done with it.
  bool take(ReadJob& job);
  bool run(ReadJob& job);

 private:
  struct Seen;
  void work();
  void answer(std::unique_lock<std::mutex>& held, ReadJob job);
  void let_go();

  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_, idle_;
  const Kv* kv_ = nullptr;
  std::deque<ReadJob> jobs_;
  std::vector<std::unique_ptr<Seen>> seen_;  // states that no job is looking at, the last one used at the end
  size_t reading_ = 0;                       // jobs that are run
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace egret::cloud
