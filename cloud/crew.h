// Crew: threads that help one other thread with work in pieces.
// Promises: each() is EachOf: the caller works too, and nobody holds on to a piece after it
// returns. Leaves to others: what the pieces touch; one caller at a time.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "cloud/each_of.h"

namespace egret::cloud {

class Crew {
 public:
  explicit Crew(size_t helpers);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  void each(size_t n, const std::function<void(size_t)>& piece);

 private:
  void help();
  // Pieces until none is left to be taken. `held` is locked before and after.
  void take_pieces(std::unique_lock<std::mutex>& held);
  bool has_piece() const { return piece_ != nullptr && next_ < count_; }

  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_, done_;
  const std::function<void(size_t)>* piece_ = nullptr;
  size_t next_ = 0, count_ = 0;
  size_t busy_ = 0;  // pieces that are being worked on
  bool stopping_ = false;
  std::vector<std::thread> helpers_;
};

}  // namespace egret::cloud
