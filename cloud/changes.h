// Changes: what the region has committed, in the order of commits, as lines: the change feed.
// Promises: whoever goes on from a cursor misses nothing that was committed after it, whatever was restarted; a line is told
// again only for a block from which something was erased. No value and no patient unless records are asked for; of a patient
// whose data is restricted a line has "restricted" in place of the record.
// Leaves to others: who may ask for records (api/feeds), waiting for news (api/waiting.h).
//
// A line: {"cursor","change","facility","kind","epoch","stream","seq","content_sha256",…}. change: applied, or deleted (what
// stood at this place is erased). With records it has "record", as the agent's door takes it.
#pragma once

#include "cloud/audit.h"
#include "cloud/cursor.h"
#include "cloud/tables.h"
#include "schemas/limits.h"

namespace egret::cloud {

struct ChangesAsked {
  Cursor after;          // gen: the store's own, by who asks
  size_t lines = 1'000;  // at most
  size_t bytes = 1 * kMiB;  // ends after the line that reaches it
  bool records = false;  // with bodies: patients' data
  bool csv = false;      // lines are comma-separated, as changes_csv_head() names them; without records
};
struct ChangesPage {
  std::string lines;  // each with its end
  size_t count = 0;
  Cursor next;        // go on from here
  bool more = false;  // there is more already
  std::vector<AuditSubject> shown;  // what the records are about, when they were asked for
};
// Errors: bad_input (a number that was never given), corrupt, store_failed.
Result<ChangesPage> changes(const Kv& kv, const ChangesAsked& asked);
const char* changes_csv_head();

}  // namespace egret::cloud
