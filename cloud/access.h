// Access: opening the cloud's store, to serve from it or to look at it.
// Promises: one process writes, by lock; anybody may look beside it, and sees what was committed until then.
// Leaves to others: what is in it (store_kv), asking the running service to change something (control).
#pragma once

#include <filesystem>
#include <memory>

#include "cloud/config.h"
#include "cloud/pg_link.h"
#include "cloud/store_kv.h"
#include "cloud/store_thread.h"

namespace egret::cloud {

std::filesystem::path store_dir(const std::filesystem::path& state_dir);
// A new store where none is; only init does so. Errors: as open_to_write.
Result<OpenedStore> found_store(const std::filesystem::path& dir, Entropy& entropy);
// Errors: not_found (no store there: an empty one in its place would forget every site), locked, newer_format, corrupt,
// disk_full, store_failed.
Result<OpenedStore> open_to_write(const std::filesystem::path& dir, Entropy& entropy);
// Errors: not_found (no store there), corrupt, newer_format.
Result<OpenedStore> open_to_look(const std::filesystem::path& dir);


// Where a region's store is: on RocksDB in its folder, or in PostgreSQL. The promises are those of the functions above;
// in PostgreSQL nobody is locked out, and who looks sees the store as it was when the looking began.
struct StorePlace {
  std::filesystem::path state_dir;
  std::optional<PgOptions> postgres;
};
// Errors: config (the password file cannot be read).
Result<StorePlace> place_of(const CloudConfig& config);
Result<OpenedStore> open_to_write(const StorePlace& place, Entropy& entropy);
Result<OpenedStore> open_to_look(const StorePlace& place);

}  // namespace egret::cloud
