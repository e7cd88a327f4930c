#include "cloud/backup.h"

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include "schemas/durable_file.h"
#include "schemas/kv_rocksdb.h"

namespace egret::cloud {
namespace {

namespace fs = std::filesystem;

bool on_one_filesystem(const fs::path& a, const fs::path& b) {
  struct stat x {}, y {};
  return ::stat(a.c_str(), &x) == 0 && ::stat(b.c_str(), &y) == 0 && x.st_dev == y.st_dev;
}

Result<std::vector<KvStore::BackedUp>> rows_of(const Kv& kv) {
  std::vector<KvStore::BackedUp> rows;
  Bytes first = table_prefix('l');
  Result<void> scanned = kv.scan(kMetaSpace, first, after_prefix(first), [&](ByteView key, ByteView value) {
    std::optional<StreamName> name = stream_of('l', key);
    Result<LedgerRow> row = decode_ledger(value);
    if (name && row) rows.push_back({name->fac, name->key, row->w, row->c});
    return true;
  });
  if (!scanned) return scanned.error();
  return rows;
}

constexpr int kConfirmTries = 64;

Result<ConfirmedBackup> confirm_rows(OpenedStore& store, const Kv& copy, WallTime now) {
  Result<std::vector<KvStore::BackedUp>> rows = rows_of(copy);
  if (!rows) return rows.error();
  Result<KvStore::Confirmed> confirmed = store.store->confirm_backup(*rows, now);
  // Reconcilers go on meanwhile, and whoever commits makes progress: a person need not ask again.
  for (int tries = 1; !confirmed && confirmed.error().code == Errc::conflict && tries < kConfirmTries; ++tries)
    confirmed = store.store->confirm_backup(*rows, now);
  if (!confirmed) return confirmed.error();
  return ConfirmedBackup{confirmed->rows, confirmed->strangers};
}

// One life of one server: a copy has the same identifier, but never started at the same moment.
Result<std::string> server_of(const PgOptions& options) {
  auto link = PgLink::connect(options);
  if (!link) return link.error();
  const auto rows = (*link)->ask("SELECT pg_postmaster_start_time()::text");
  if (!rows) return rows.error();
  return rows->size() == 1 ? Result<std::string>(std::string(rows->at(0, 0))) : Error{Errc::store_failed, "postgres: one row was asked for"};
}

// `start` and the second; a later one when that is taken.
fs::path free_name(const fs::path& start, WallTime now) {
  int64_t second = now.us / 1'000'000;
  while (fs::exists(start.string() + std::to_string(second))) second++;
  return start.string() + std::to_string(second);
}

Result<void> copy_synced(const fs::path& from, const fs::path& to) {
  std::error_code failed;
  fs::remove_all(to, failed);  // of a restore that was cut short
  fs::copy(from, to, fs::copy_options::recursive, failed);
  if (failed) return Error{Errc::store_failed, to.string() + ": cannot be copied to: " + failed.message()};
  return sync_tree(to);
}

}  // namespace

Result<void> make_backup(OpenedStore& store, const fs::path& dir) {
  if (dynamic_cast<SharedKv*>(store.kv.get()) != nullptr)
    return Error{Errc::config, "the store is in PostgreSQL: take its backups with pg_basebackup or pgBackRest, and confirm them with egret-cloud backup confirm"};
  if (fs::exists(dir)) return Error{Errc::config, dir.string() + ": is there already; name a new folder"};
  if (Result<void> copied = checkpoint(*store.kv, dir); !copied) return copied;
  return sync_folder(fs::absolute(dir).parent_path());
}

Result<void> check_elsewhere(const fs::path& store_at, const fs::path& dir, bool same_filesystem) {
  if (!fs::exists(dir / "CURRENT")) return Error{Errc::config, dir.string() + ": no backup is there"};
  if (!same_filesystem && on_one_filesystem(store_at, dir)) {
    return Error{Errc::config, dir.string() + ": lies on the store's own file system and protects from nothing: copy it elsewhere, or say --same-filesystem"};
  }
  return {};
}

Result<uint64_t> check_copy(const fs::path& dir, const VerifyProgress& progress) {
  if (!fs::exists(dir / "CURRENT")) return Error{Errc::config, dir.string() + ": no backup is there"};
  Result<OpenedStore> copy = open_to_look(dir);
  Result<Verdict> verdict = copy ? verify(*copy->kv, progress) : Result<Verdict>(copy.error());
  if (!verdict) return verdict.error();
  if (verdict->wrong > 0) return Error{Errc::corrupt, dir.string() + ": the copy does not verify: " + text_of(verdict->findings.front())};
  return verdict->digest_records;
}

Result<ConfirmedBackup> confirm_backup(OpenedStore& store, const fs::path& dir, WallTime now) {
  Result<OpenedStore> copy = open_to_look(dir);
  if (!copy) return copy.error();
  return confirm_rows(store, *copy->kv, now);
}

Result<uint64_t> check_copy(const PgOptions& store, const PgOptions& copy, const VerifyProgress& progress) {
  const Result<std::string> here = server_of(store), there = server_of(copy);
  if (!here || !there) return here ? there.error() : here.error();
  if (*here == *there) return Error{Errc::config, "the server that was named is the store's own and protects from nothing: start another one on the copy"};
  Result<OpenedStore> opened = open_to_look(StorePlace{{}, copy});
  std::optional<AtOnce> at_once;
  if (opened) at_once.emplace(*opened->kv);
  Result<Verdict> verdict = opened ? verify(*opened->kv, progress) : Result<Verdict>(opened.error());
  if (!verdict) return verdict.error();
  if (verdict->wrong > 0) return Error{Errc::corrupt, "the copy does not verify: " + text_of(verdict->findings.front())};
  return verdict->digest_records;
}

Result<ConfirmedBackup> confirm_backup(OpenedStore& store, const PgOptions& copy, WallTime now) {
  Result<OpenedStore> opened = open_to_look(StorePlace{{}, copy});
  if (!opened) return opened.error();
  return confirm_rows(store, *opened->kv, now);
}

Result<Restored> restore_backup(const fs::path& state_dir, const fs::path& dir, Entropy& entropy, WallTime now) {
  if (Result<uint64_t> good = check_copy(dir, nullptr); !good) return good.error();
  const fs::path here = store_dir(state_dir), fresh = state_dir / "store.restoring";
  OpenedStore alone;  // held until the old store is out of the way: the service cannot start meanwhile
  if (fs::exists(here)) {
    Result<OpenedStore> opened = open_to_write(here, entropy);
    if (!opened && opened.error().code == Errc::locked) return opened.error();
    if (opened) alone = std::move(*opened);
  }
  // Everything is made ready beside the store, so that a crash leaves either the old one or the new one whole.
  if (Result<void> copied = copy_synced(dir, fresh); !copied) return copied.error();
  Restored restored;
  {
    Result<OpenedStore> opened = open_to_write(fresh, entropy);
    if (!opened) return opened.error();
    Result<std::vector<Facility>> behind = opened->store->mark_restored(entropy, now, "restored from " + dir.filename().string());
    if (!behind) return behind.error();
    restored.behind = std::move(*behind);
  }
  std::error_code failed;
  if (fs::exists(here)) {
    alone = OpenedStore{};
    restored.set_aside = free_name(state_dir / "store.before-restore-", now);
    fs::rename(here, restored.set_aside, failed);
    if (failed) return Error{Errc::store_failed, here.string() + ": cannot be set aside: " + failed.message()};
  }
  fs::rename(fresh, here, failed);
  if (failed) return Error{Errc::store_failed, here.string() + ": cannot be put in place: " + failed.message()};
  if (Result<void> named = sync_folder(state_dir); !named) return named.error();
  return restored;
}

}  // namespace egret::cloud
