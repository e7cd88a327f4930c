#include "cloud/crew.h"

namespace egret::cloud {

Crew::Crew(size_t helpers) {
  for (size_t i = 0; i < helpers; ++i) helpers_.emplace_back([this] { help(); });
}

Crew::~Crew() {
  {
    std::lock_guard held(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void Crew::each(size_t n, const std::function<void(size_t)>& piece) {
  if (n < 2 || helpers_.empty()) return one_by_one(n, piece);
  std::unique_lock held(mutex_);
  piece_ = &piece;
  next_ = 0;
  count_ = n;
  wake_.notify_all();
  take_pieces(held);
  done_.wait(held, [this] { return busy_ == 0; });
  piece_ = nullptr;
}

void Crew::take_pieces(std::unique_lock<std::mutex>& held) {
  while (has_piece()) {
    const size_t mine = next_++;
    const auto& piece = *piece_;
    ++busy_;
    held.unlock();
    piece(mine);
    held.lock();
    --busy_;
  }
}

void Crew::help() {
  std::unique_lock held(mutex_);
  for (;;) {
    wake_.wait(held, [this] { return stopping_ || has_piece(); });
    if (stopping_) return;
    take_pieces(held);
    if (busy_ == 0) done_.notify_one();
  }
}

}  // namespace egret::cloud
