// Access: opening the cloud's store, to serve from it or to look at it.
// Promises: one process writes, by lock; anybody may look beside it, and sees what was committed until then.
// Leaves to others: what is in it (store_kv), asking the running service to change something (control).
#pragma once

#include <filesystem>
#include <memory>

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

}  // namespace egret::cloud
