// SiteBlocks: a site's records as the reconciler hands them to the store: judged, in blocks, one stream a site.
// Promises: what is appended is what an honest site's batch would have appended: leaves, chain, ledger.
// Leaves to others: records (Corpus), when it is committed, views (Follower). Ends the program when the store refuses.
#pragma once

#include <span>
#include <vector>

#include "cloud/store.h"

namespace egret::bench {

struct SiteBlock {
  std::vector<Bytes> records;
  std::vector<cloud::JudgedRecord> judged;  // views of them
  std::vector<Hash> leaves;
};
SiteBlock judged(std::vector<Bytes> records, const Facility& fac);
// Behind what the site's stream has.
void append(cloud::Txn& txn, const Facility& fac, std::span<const SiteBlock> blocks, WallTime now);

}  // namespace egret::bench
