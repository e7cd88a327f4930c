// ShardKeeper: this reconciler as one of several that divide the shards: its row in the store, and what the others' rows say.
// Promises: one small write every kMemberBeatMs; a row goes with leave(), or when it has not risen for long.
// Leaves to others: who gets what (shards.h), hearing it (Broker). On the store thread alone.
#pragma once

#include <optional>

#include "cloud/shards.h"
#include "cloud/shared_kv.h"
#include "schemas/entropy.h"

namespace egret::cloud {

class ShardKeeper {
 public:
  explicit ShardKeeper(Entropy& entropy);
  // Beats when it is time. What this one is to hear from now on; nullopt: nothing was read. Errors: store_failed, conflict,
  // corrupt; then it goes on hearing what it heard.
  Result<std::optional<Shards>> round(SharedKv& kv, MonoTime now);
  // The others need not wait until this one's silence tells them. No beat comes after it.
  Result<void> leave(SharedKv& kv);
  size_t members() const { return members_.living().size() + 1; }

 private:
  Result<std::vector<Member>> rows(const Kv& kv) const;
  Result<void> forget(SharedKv& kv, const Member& row) const;

  const MemberId self_;
  Members members_;
  uint64_t beat_ = 0;
  bool left_ = false;
  MonoTime next_;
};

}  // namespace egret::cloud
