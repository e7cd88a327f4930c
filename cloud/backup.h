// Backup: a consistent copy of the store, its confirmation, and the way back.
// Promises: a copy counts (S rises) only after it was read back and verified, on other storage; restore keeps what
// was there before, under a name that says when, and mints a new gen.
// Leaves to others: moving the copy to other storage (an operator, a job).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cloud/access.h"

namespace egret::cloud {

// Errors: store_failed, config (the folder is there already).
Result<void> make_backup(OpenedStore& store, const std::filesystem::path& dir);

struct ConfirmedBackup {
  uint64_t rows = 0, strangers = 0, records = 0;
};
// Reads the copy in `dir`, verifies it, and lets sites delete what it holds. `store_at`: where the store lies; a copy
// on the same file system protects from nothing and is refused, unless `same_filesystem`.
// Errors: config, corrupt (what is wrong with the copy), store_failed.
Result<ConfirmedBackup> confirm_backup(OpenedStore& store, const std::filesystem::path& store_at, const std::filesystem::path& dir, bool same_filesystem, WallTime now);

struct Restored {
  std::filesystem::path set_aside;   // what was there before; empty: nothing
  std::vector<Facility> behind;      // have claimed more than the copy holds; they will send it again
};
// The service must not run. Errors: locked, config, corrupt, store_failed.
Result<Restored> restore_backup(const std::filesystem::path& state_dir, const std::filesystem::path& dir, Entropy& entropy, WallTime now);

}  // namespace egret::cloud
