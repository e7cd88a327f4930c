// Flow: an answer that goes on: pieces that come when they come, until either side has had enough (server-sent events).
// Promises: pieces arrive in order and whole, or the connection ends; whoever does not take them costs at most kFlowBytesMax and is
// let go then; a piece is shared by all who get it. Leaves to others: what pieces say (api/live.h), sockets (http).
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace egret::cloud {

inline constexpr size_t kFlowBytesMax = 4 * 1024 * 1024;  // put and not sent

class HttpFlow {
 public:
  using Piece = std::shared_ptr<const std::string>;

  // From any thread. False: nobody takes it any more.
  bool put(Piece piece) {
    std::lock_guard held(lock_);
    if (over_) return false;
    waiting_bytes_ += piece->size();
    if (waiting_bytes_ > kFlowBytesMax) {
      over_ = true;
      waiting_.clear();
      waiting_bytes_ = 0;
    } else {
      waiting_.push_back(std::move(piece));
    }
    if (wake_) wake_();
    return !over_;
  }
  bool open() const {
    std::lock_guard held(lock_);
    return !over_;
  }
  // Put, and not taken yet.
  size_t behind_bytes() const {
    std::lock_guard held(lock_);
    return waiting_bytes_;
  }
  // Lets go whoever takes it.
  void let_go() {
    std::lock_guard held(lock_);
    over_ = true;
    waiting_.clear();
    waiting_bytes_ = 0;
    if (wake_) wake_();
  }

  // ---- for the server ----
  // What to send next; nullptr: nothing yet, and `wake` is called when there is something or it is over.
  Piece next(std::function<void()> wake) {
    std::lock_guard held(lock_);
    wake_ = std::move(wake);
    if (waiting_.empty()) return nullptr;
    Piece out = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_bytes_ -= out->size();
    return out;
  }
  void end() {
    std::lock_guard held(lock_);
    over_ = true;
    waiting_.clear();
    wake_ = nullptr;
  }

 private:
  mutable std::mutex lock_;
  std::deque<Piece> waiting_;
  size_t waiting_bytes_ = 0;
  bool over_ = false;
  std::function<void()> wake_;
};

}  // namespace egret::cloud
