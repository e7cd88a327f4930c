// Safe: up to where a site may delete (S), by policy (es1 section 6).
// Promises: never above W; `backup` counts only what a confirmed backup holds; `age` only what was
// committed that long ago. Leaves to others: confirming backups (cloud/backup), saying it
// (Reconciler).
#pragma once

#include "cloud/store.h"

namespace egret::cloud {

enum class SafePolicy : uint8_t {
  by_default,
  backup,
  age,
  commit
};  // by_default: age until a backup is confirmed

Seq safe_of(const LedgerRow& row, SafePolicy policy, int64_t age_ms, bool backup_confirmed,
            WallTime now);

// Notes that W stands where it does at `now`. At most kMarksPerRow, spread over `age_ms`.
void mark_w(LedgerRow& row, int64_t age_ms, WallTime now);

}  // namespace egret::cloud
