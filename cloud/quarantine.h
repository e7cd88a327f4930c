// Quarantine: looks again at records that were kept because this program could not take them: after an upgrade it may.
// Promises: what it would come to can be seen before (reread_quarantined); what can be taken now is applied where it came first, further copies are its duplicates, in one synced write;
// what cannot stays as it is. Chains and leaves are not touched: they were always of these bytes.
// Leaves to others: keeping records aside (KvTxn), why one cannot be taken (schemas/record).
#pragma once

#include "cloud/tables.h"

namespace egret::cloud {

inline constexpr size_t kRetriesAtOnce = 1000;

struct Retried {
  uint64_t looked_at = 0, applied = 0, duplicates = 0, deleted = 0;
  bool more = false;  // kRetriesAtOnce: run it again
};
// One of them, as this program reads it.
struct Reread {
  enum class Becomes : uint8_t { refused, applied, duplicate, deleted };
  Hash id{};
  QuarantineReason was = QuarantineReason::none;
  std::string detail;       // why it was refused then; names field and limit, no value
  std::string now;          // why it still is
  Place place;              // where it came first
  WallTime at;
  Becomes becomes = Becomes::refused;
  NaturalKey key;           // when it can be taken
  Bytes record;
};
const char* name_of(Reread::Becomes becomes);
// What retry_quarantined would do, record by record, in the order of their ids, at most kRetriesAtOnce; nothing is written.
struct RereadAll {
  std::vector<Reread> records;
  bool more = false;
};
Result<RereadAll> reread_quarantined(const Kv& kv, const Facility& fac, const std::string& id);
// Of one facility, those whose id begins with `id` (hex; empty: all). One writer at a time.
// Errors: corrupt, store_failed.
Result<Retried> retry_quarantined(Kv& kv, const Facility& fac, const std::string& id);

}  // namespace egret::cloud
