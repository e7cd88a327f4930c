#include "cloud/freeze.h"

#include "cloud/tables.h"
#include "schemas/entropy.h"
#include "schemas/kv_rocksdb.h"

namespace egret::cloud {

Result<OpenedStore> freeze(const StorePlace& place, const OpenedStore& live) {
  OpenedStore frozen;
  if (place.postgres) {
    auto opened = open_to_look(place);
    if (!opened) return opened;
    frozen = std::move(*opened);
  } else {
    frozen.kv = snapshot_of(*live.kv);
    OsEntropy entropy;
    auto store = open_store(*frozen.kv, entropy);
    if (!store) return std::move(store).error();
    frozen.store = std::move(*store);
  }
  // In PostgreSQL it is the first read that decides which state is seen.
  if (auto seen = frozen.kv->get(kMetaSpace, meta_key()); !seen) return std::move(seen).error();
  return frozen;
}

}  // namespace egret::cloud
