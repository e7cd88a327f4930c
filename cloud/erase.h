// Erase: takes one result out of the region for good: every statement about it, whoever made it (rule 28).
// Promises: its bytes leave blocks and views, a late copy counts as deleted, and leaves and tombstones stay, so that
// `verify` holds; one transaction. Leaves to others: copies elsewhere (backups, sites), the document it was read from.
#pragma once

#include "cloud/access.h"
#include "cloud/view_tables.h"

namespace egret::cloud {

struct Erased {
  uint64_t statements = 0;
};
// Errors: not_found (nothing is known of it), locked (the views are behind: try again), corrupt, store_failed.
Result<Erased> erase_result(OpenedStore& store, const ResultName& name, const std::string& reason);

}  // namespace egret::cloud
