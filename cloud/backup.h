// Backup: a consistent copy of the store, its confirmation, and the way back.
// Promises: a copy counts (S rises) only after it was read back and verified, on other storage; restore keeps what
// was there before, under a name that says when, and mints a new gen.
// In PostgreSQL copies are made and put back with its own tools; a copy is read back through a server that was started on it.
// Leaves to others: moving the copy to other storage (an operator, a job).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cloud/access.h"
#include "cloud/pg_link.h"
#include "cloud/verify.h"

namespace egret::cloud {

// Errors: store_failed, config (the folder is there already).
Result<void> make_backup(OpenedStore& store, const std::filesystem::path& dir);

// A copy on the store's own file system protects from nothing: config, unless `same_filesystem`.
Result<void> check_elsewhere(const std::filesystem::path& store_at, const std::filesystem::path& dir, bool same_filesystem);
// Reads the whole copy back and proves it: the first half of a confirmation. It takes as long as verify does, so never on
// the thread that commits. How many records it holds is the answer. Errors: config (no backup), corrupt (what is wrong).
Result<uint64_t> check_copy(const std::filesystem::path& dir, const VerifyProgress& progress);
struct ConfirmedBackup {
  uint64_t rows = 0, strangers = 0;
};
// The second half, for a copy that check_copy() has found good: lets sites delete what it holds and this store too.
// Errors: config, corrupt, store_failed.
Result<ConfirmedBackup> confirm_backup(OpenedStore& store, const std::filesystem::path& dir, WallTime now);

// The same of a copy in PostgreSQL, read through a server that runs on it. A server that is the store's own protects from
// nothing: config. Errors besides: as open_postgres.
Result<uint64_t> check_copy(const PgOptions& store, const PgOptions& copy, const VerifyProgress& progress);
Result<ConfirmedBackup> confirm_backup(OpenedStore& store, const PgOptions& copy, WallTime now);

struct Restored {
  std::filesystem::path set_aside;   // what was there before; empty: nothing
  std::vector<Facility> behind;      // have claimed more than the copy holds; they will send it again
};
// The service must not run. Errors: locked, config, corrupt, store_failed.
// In PostgreSQL the copy is in place already, and KvStore::mark_restored() is what is left to do.
Result<Restored> restore_backup(const std::filesystem::path& state_dir, const std::filesystem::path& dir, Entropy& entropy, WallTime now);

}  // namespace egret::cloud
