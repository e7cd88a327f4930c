#include "cloud/credit.h"

#include <algorithm>

namespace egret::cloud {

void Credit::expire(MonoTime now) {
  if (now < next_sweep_) return;
  std::erase_if(leases_, [&](const auto& lease) {
    if (now < lease.second.ends) return false;
    total_ -= lease.second.counted;
    return true;
  });
  next_sweep_ = now + kHelloSpacingMs;
}

// Stream 0's own batch counts too: it queues like any other.
Grant Credit::grant(const Facility& fac, bool has_backlog, int64_t lease_ms, MonoTime now,
                    Entropy& entropy) {
  expire(now);
  auto held = leases_.find(fac);
  if (held != leases_.end()) {
    total_ -= held->second.counted;
    leases_.erase(held);
  }
  Grant grant;
  if (!has_backlog) {  // what it sends is what it takes in from now on: one batch, now and then
    grant.credit = 1;
    leases_[fac] = {grant.credit + 1, 0, now + lease_ms};
    return grant;
  }
  uint64_t room = std::min(limits_.broker_queue_messages, limits_.own_queue_messages) / 2;
  uint64_t left = room > total_ ? room - total_ : 0;
  if (left == 0) {
    grant.retry = true;
    grant.retry_after_ms = kHelloTimeoutMs + static_cast<int64_t>(entropy.below(kHelloTimeoutMs));
    return grant;
  }
  // The first to come shall not take it all: there may be hundreds behind them.
  uint32_t wanted = left > room / 2 ? kCreditMax : 1;
  grant.credit = static_cast<uint32_t>(std::min<uint64_t>(wanted, left - 1));
  leases_[fac] = {grant.credit + 1, grant.credit + 1, now + lease_ms};
  total_ += grant.credit + 1;
  return grant;
}

uint32_t Credit::current(const Facility& fac) const {
  auto held = leases_.find(fac);
  return held == leases_.end() ? 0 : held->second.batches - 1;
}

}  // namespace egret::cloud
