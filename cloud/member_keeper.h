// MemberKeeper: this reconciler as one of several over one store: its row there, and what the others' rows say.
// Promises: one small write every kMemberBeatMs; a row goes with leave(), or when it has not risen for long.
// Leaves to others: who gets what (shards.h), hearing it (Broker), telling it (outputs/teller.h). On the store thread alone.
#pragma once

#include <optional>

#include "cloud/shards.h"
#include "cloud/shared_kv.h"
#include "schemas/entropy.h"

namespace egret::cloud {

class MemberKeeper {
 public:
  // `outputs`: those that this one could tell.
  explicit MemberKeeper(Entropy& entropy, OutputNames outputs = {});
  // Beats when it is time. What this one is to hear from now on, where shards are divided; nullopt: nothing was read. Errors:
  // store_failed, conflict, corrupt; then it goes on hearing, and telling, what it did.
  Result<std::optional<Shards>> round(SharedKv& kv, MonoTime now);
  // The others need not wait until this one's silence tells them. No beat comes after it.
  Result<void> leave(SharedKv& kv);
  // Is it this one's to tell that output? Not before the others were looked at.
  bool tells(const std::string& output) const { return looked_ && !left_ && members_.tells(output); }
  size_t members() const { return members_.living().size() + 1; }

 private:
  Result<std::vector<Member>> rows(const Kv& kv) const;
  Result<void> forget(SharedKv& kv, const Member& row) const;

  const MemberId self_;
  const Bytes outputs_;  // as in the row
  Members members_;
  uint64_t beat_ = 0;
  bool looked_ = false, left_ = false;
  MonoTime next_;
};

}  // namespace egret::cloud
