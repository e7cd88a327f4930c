#include "cloud/backup.h"

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include "cloud/verify.h"
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

}  // namespace

Result<void> make_backup(OpenedStore& store, const fs::path& dir) {
  if (fs::exists(dir)) return Error{Errc::config, dir.string() + ": is there already; name a new folder"};
  return checkpoint(*store.kv, dir);
}

Result<ConfirmedBackup> confirm_backup(OpenedStore& store, const fs::path& store_at, const fs::path& dir, bool same_filesystem, WallTime now) {
  if (!fs::exists(dir / "CURRENT")) return Error{Errc::config, dir.string() + ": no backup is there"};
  if (!same_filesystem && on_one_filesystem(store_at, dir)) {
    return Error{Errc::config, dir.string() + ": lies on the store's own file system and protects from nothing: copy it elsewhere, or say --same-filesystem"};
  }
  Result<OpenedStore> copy = open_to_look(dir);
  if (!copy) return copy.error();
  Result<Verdict> verdict = verify(*copy->kv, nullptr);
  if (!verdict) return verdict.error();
  if (verdict->wrong > 0) return Error{Errc::corrupt, dir.string() + ": the copy does not verify: " + text_of(verdict->findings.front())};
  Result<std::vector<KvStore::BackedUp>> rows = rows_of(*copy->kv);
  if (!rows) return rows.error();
  Result<KvStore::Confirmed> confirmed = store.store->confirm_backup(*rows, now);
  if (!confirmed) return confirmed.error();
  return ConfirmedBackup{confirmed->rows, confirmed->strangers, verdict->digest_records};
}

Result<Restored> restore_backup(const fs::path& state_dir, const fs::path& dir, Entropy& entropy, WallTime now) {
  if (!fs::exists(dir / "CURRENT")) return Error{Errc::config, dir.string() + ": no backup is there"};
  {
    Result<OpenedStore> copy = open_to_look(dir);
    Result<Verdict> verdict = copy ? verify(*copy->kv, nullptr) : Result<Verdict>(copy.error());
    if (!verdict) return verdict.error();
    if (verdict->wrong > 0) return Error{Errc::corrupt, dir.string() + ": the copy does not verify: " + text_of(verdict->findings.front())};
  }
  fs::path here = store_dir(state_dir);
  Restored restored;
  std::error_code failed;
  if (fs::exists(here)) {
    Result<OpenedStore> alone = open_to_write(here, entropy);  // fails while the service runs
    if (!alone && alone.error().code == Errc::locked) return alone.error();
    alone = Error{};
    restored.set_aside = state_dir / fmt::format("store.before-restore-{}", now.us / 1'000'000);
    fs::rename(here, restored.set_aside, failed);
    if (failed) return Error{Errc::store_failed, here.string() + ": cannot be set aside: " + failed.message()};
  }
  fs::copy(dir, here, fs::copy_options::recursive, failed);
  if (failed) return Error{Errc::store_failed, here.string() + ": cannot be copied to: " + failed.message()};
  Result<OpenedStore> opened = open_to_write(here, entropy);
  if (!opened) return opened.error();
  Result<std::vector<Facility>> behind = opened->store->mark_restored(entropy, now, "restored from " + dir.filename().string());
  if (!behind) return behind.error();
  restored.behind = std::move(*behind);
  return restored;
}

}  // namespace egret::cloud
