#include "edge/look.h"

namespace egret::edge {

Result<std::unique_ptr<Buffer>> look(Kv& kv, const Facility& fac, Entropy& entropy) {
  const Result<std::optional<Bytes>> row = kv.get(kMetaSpace, store_key());
  if (!row) return row.error();
  if (!*row) return Error{Errc::not_found, "edge store: nothing is there"};
  Buffer::Memory memory;
  Result<StoreRow> store = decode_store(**row);
  if (!store) return store.error();
  if (store->fac != fac) return Error{Errc::config, "edge store: belongs to facility \"" + store->fac + "\", the configuration says \"" + fac + "\""};
  memory.store = std::move(*store);
  std::optional<Error> wrong;
  const Bytes first = epoch_key(0);
  const Result<void> scanned = kv.scan(kMetaSpace, first, after_prefix(first.substr(0, 1)), [&](ByteView key, ByteView value) {
    Result<EpochRow> epoch = decode_epoch(fac, value);
    if (epoch) {
      memory.epochs.emplace(get_u32(key, 1), std::move(*epoch));
    } else {
      wrong = epoch.error();
    }
    return !wrong;
  });
  if (!scanned) return scanned.error();
  if (wrong) return *wrong;
  return std::make_unique<Buffer>(kv, entropy, std::move(memory));
}

}  // namespace egret::edge
