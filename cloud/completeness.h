// Completeness: how far the region is complete for a site: each stream of each epoch, what is claimed, what is missing and
// why, how long it will take; and the same as a statement that the region signs.
// Promises: numbers come from the ledger in one transaction; a gap is listed with its reason, or counted where there are
// too many; nothing of a record's content.
// Leaves to others: what a row means (es1 section 6), checking a statement (egret-agent), volumes by day (volumes.h).
#pragma once

#include "cloud/facilities.h"
#include "cloud/volumes.h"
#include "schemas/statement.h"

namespace egret::cloud {

struct StreamCompleteness {
  StreamKey key;
  Seq complete_to;
  Hash c{};
  Seq claimed_to;
  Seq purged_to;         // deleted at the site, which had our word for it: what is only here now
  uint64_t missing = 0;  // claimed and not here; of a moved stream it comes in another epoch
  bool final = false, moved = false, finished = false, unverified = false;
  std::vector<GapRow> gaps;  // at most kStatementGapsMax
  uint64_t more_gaps = 0;
};
struct Completeness {
  FacilityView site;
  std::vector<StreamCompleteness> streams;
  std::vector<DayVolume> days;  // newest last
};
// Errors: not_found (no such site), corrupt, store_failed.
Result<Completeness> completeness(Store& store, const Kv& kv, const Facility& fac, const FacilitiesQuery& query);
// Signed, of the same. Errors: too_large.
Result<Bytes> signed_statement(const Completeness& of, const StoreMeta& meta, WallTime now, const SitePrivateKey& key);

std::string to_json(const Completeness& of, WallTime now);
// Of every site, by name, the records of each of the last `days` days: received, and expected (null: too little is known).
// Errors: corrupt, store_failed.
Result<std::string> volumes_json(const Kv& kv, const std::vector<FacilityView>& views, WallTime now, uint32_t days);
// All sites: totals only.
std::string summary_json(const std::vector<FacilityView>& views, WallTime now);
std::string to_text(const Completeness& of, WallTime now);

}  // namespace egret::cloud
