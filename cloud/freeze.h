// Freeze: the store as it is at one moment, to be read on another thread while the store goes on.
// Promises: all that is read of it is of that moment, however long it takes. On RocksDB a snapshot, which keeps on the disk
// what is deleted meanwhile; in PostgreSQL a connection of its own in one transaction.
// Leaves to others: that the views are up to date then (cloud/fhir/catch_up.h), when it is let go.
#pragma once

#include "cloud/access.h"

namespace egret::cloud {

// On the store's thread. Errors: as open_to_look.
Result<OpenedStore> freeze(const StorePlace& place, const OpenedStore& live);

}  // namespace egret::cloud
