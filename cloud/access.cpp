#include "cloud/access.h"

#include <fstream>

#include "cloud/store_pg.h"
#include "schemas/entropy.h"
#include "schemas/kv_rocksdb.h"

namespace egret::cloud {
namespace {

KvOptions options_for(const std::filesystem::path& dir) {
  KvOptions options;
  options.dir = dir;
  options.spaces = kCloudSpaces;
  options.memtable_bytes = 32 << 20;
  options.memtables_total_bytes = 128 << 20;
  options.cache_bytes = 256 << 20;
  options.log_bytes_max = 256 << 20;
  options.table_bytes = 32 << 20;  // up to twice that
  options.open_files = 512;
  options.lookup_spaces = {kNaturalSpace};
  options.small_block_spaces = {kViewSpace};
  options.row_spaces = {kViewSpace};
  options.packed_spaces = {kBlockSpace, kLeafSpace};
  return options;
}

Result<OpenedStore> open(const KvOptions& options, Entropy& entropy) {
  OpenedStore opened;
  Result<std::unique_ptr<Kv>> kv = open_rocksdb(options);
  if (!kv) return kv.error();
  opened.kv = std::move(*kv);
  Result<std::unique_ptr<KvStore>> store = open_store(*opened.kv, entropy);
  if (!store) return store.error();
  opened.store = std::move(*store);
  return opened;
}

}  // namespace

std::filesystem::path store_dir(const std::filesystem::path& state_dir) { return state_dir / "store"; }

Result<OpenedStore> found_store(const std::filesystem::path& dir, Entropy& entropy) { return open(options_for(dir), entropy); }

Result<OpenedStore> open_to_write(const std::filesystem::path& dir, Entropy& entropy) {
  if (!std::filesystem::exists(dir / "CURRENT")) {
    return Error{Errc::not_found, dir.string() + ": no store there; a restore that was cut short is run again, a new region begins with egret-cloud init"};
  }
  return open(options_for(dir), entropy);
}

Result<OpenedStore> open_to_look(const std::filesystem::path& dir) {
  if (!std::filesystem::exists(dir / "CURRENT")) return Error{Errc::not_found, dir.string() + ": no store there"};
  KvOptions options = options_for(dir);
  options.read_only = true;
  OsEntropy entropy;
  // Beside a writer a file may go while it is being opened: then a second look finds its successor.
  Result<OpenedStore> opened = open(options, entropy);
  for (int again = 0; !opened && again < 5 && opened.error().code != Errc::newer_format; again++) opened = open(options, entropy);
  return opened;
}

Result<StorePlace> place_of(const CloudConfig& config) {
  StorePlace place{config.state_dir, {}};
  if (!config.postgres) return place;
  place.postgres = PgOptions{};
  place.postgres->url = config.postgres_url;
  if (config.postgres_password_file.empty()) return place;
  std::ifstream in(config.postgres_password_file);
  if (!std::getline(in, place.postgres->password)) {
    return Error{Errc::config, "store.password_file: " + config.postgres_password_file.string() + ": cannot be read"};
  }
  return place;
}

Result<OpenedStore> open_to_write(const StorePlace& place, Entropy& entropy) {
  return place.postgres ? open_postgres(*place.postgres, entropy) : open_to_write(store_dir(place.state_dir), entropy);
}

Result<OpenedStore> open_to_look(const StorePlace& place) {
  if (!place.postgres) return open_to_look(store_dir(place.state_dir));
  OsEntropy entropy;
  Result<OpenedStore> opened = open_postgres(*place.postgres, entropy);
  if (opened) static_cast<SharedKv&>(*opened->kv).begin();
  return opened;
}

}  // namespace egret::cloud
