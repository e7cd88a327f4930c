#include "schemas/otlp_push.h"

namespace egret {

OtlpPush::OtlpPush(const OtlpConfig& config, std::string agent, std::function<void(const Result<void>&)> say)
    : every_ms_(config.every_s * 1000), say_(std::move(say)) {
  post_.target = http_target(config.url).value();  // checked with the configuration
  post_.ca_file = config.ca_file;
  post_.limit_ms = kOtlpMs;
  post_.agent = std::move(agent);
  post_.given_up = &stopping_;
  thread_ = std::thread([this] { run(); });
}

OtlpPush::~OtlpPush() {
  {
    std::lock_guard held(lock_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool OtlpPush::due(MonoTime now) {
  if (now < next_) return false;
  next_ = now + every_ms_;
  return true;
}

void OtlpPush::send(std::string body) {
  {
    std::lock_guard held(lock_);
    waiting_ = std::move(body);
  }
  wake_.notify_all();
}

OtlpPush::Counters OtlpPush::counters() const {
  std::lock_guard held(lock_);
  return counters_;
}

void OtlpPush::run() {
  for (;;) {
    std::unique_lock held(lock_);
    wake_.wait(held, [this] { return stopping_ || waiting_; });
    if (stopping_) return;
    std::string body = std::move(*waiting_);
    waiting_.reset();
    held.unlock();
    push(std::move(body));
  }
}

void OtlpPush::push(std::string body) {
  post_.body = std::move(body);
  const Result<unsigned> status = http_post(post_);
  const bool taken = status && *status / 100 == 2;
  if (!taken && !in_trouble_) say_(status ? Error{Errc::link, "it answered " + std::to_string(*status)} : status.error());
  if (taken && in_trouble_) say_({});
  in_trouble_ = !taken;
  std::lock_guard held(lock_);
  (taken ? counters_.taken : counters_.failed)++;
}

}  // namespace egret
