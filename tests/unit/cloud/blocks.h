// Blocks: records of one site put into a store as the reconciler does it: judged, chained, with the ledger and the counters.
// Promises: `verify` finds nothing wrong with what was committed. Leaves to others: records (records.h), stores (store_beds.h).
#pragma once

#include <catch2/catch.hpp>

#include "reconciler_rig.h"
#include "schemas/chain.h"
#include "schemas/record.h"

namespace egret::cloud {

inline const StreamKey kStream{{7}, StreamId::result};
inline const WallTime kAt{1'700'000'000'000'000};

inline JudgedRecord judged(const Bytes& record) {
  const auto body = check_body(split_record(record)->body, kFac);
  return {record, body->key, QuarantineReason::none, ""};
}

inline LedgerRow row_at(Seq w, const Hash& c) {
  LedgerRow out;
  out.w = w;
  out.c = c;
  return out;
}

// One block behind W.
inline std::vector<Disposition> append(Txn& txn, const std::vector<JudgedRecord>& records, StreamKey key = kStream, WallTime at = kAt) {
  LedgerRow row = txn.row(kFac, key).value().value_or(row_at({}, chain_start(kFac, key)));
  const Seq before = row.w;
  const Hash c_before = row.c;
  std::vector<Hash> leaves;
  for (const JudgedRecord& r : records) leaves.push_back(leaf_of(r.record));
  row.c = chain_extend(row.c, before.next(), uint32_t(records.size()), leaves);
  row.w = before + records.size();
  auto done = txn.add_blocks(kFac, key, std::array{JudgedBlock{before.next(), records, leaves, row.c}}, at);
  REQUIRE(done.has_value());
  REQUIRE(txn.advance(kFac, key, before, c_before, row).value());
  return *done;
}

// The same, counted and committed.
inline void commit_counted(KvStore& store, const std::vector<JudgedRecord>& records, WallTime at = kAt) {
  auto txn = store.begin();
  FacilityRow facility = txn->facility(kFac).value().value_or(FacilityRow{});
  for (const Disposition d : append(*txn, records, kStream, at)) {
    facility.records += d == Disposition::applied;
    facility.duplicates += d == Disposition::duplicate || d == Disposition::deleted;
    facility.quarantined += d == Disposition::quarantined;
  }
  txn->put(kFac, facility);
  REQUIRE(store.commit(std::move(txn)) == CommitResult::committed);
}

}  // namespace egret::cloud
