#include "edge/salvage.h"

#include "schemas/chain.h"

namespace egret::edge {
namespace {

struct Place {
  EpochNo no = 0;
  StreamId stream = StreamId::critical;
  BorderRow border;
};

// What the borders name as data, in order. Damage ends the walk; what was found until then is kept.
std::vector<Place> places_of(const Kv& kv) {
  std::vector<Place> places;
  const Bytes first = border_key(0, StreamId::critical, {0});
  const Bytes end(1, static_cast<char>(first[0] + 1));
  (void)kv.scan(kMetaSpace, first, end, [&](ByteView key, ByteView value) {
    Result<BorderRow> border = decode_border(key, value);
    if (border && border->gap == GapKind::none) places.push_back({get_u32(key, 1), static_cast<StreamId>(key[5]), *border});
    return true;
  });
  return places;
}

}  // namespace

Result<Salvaged> salvage(KvOptions damaged, const Facility& fac, Buffer& into) {
  damaged.salvage = true;
  Result<std::unique_ptr<Kv>> kv = open_rocksdb(damaged);
  if (!kv) return kv.error();
  Result<std::optional<Bytes>> row = (*kv)->get(kMetaSpace, store_key());
  if (row && *row) {
    Result<StoreRow> store = decode_store(**row);
    if (store && store->fac != fac) return Error{Errc::config, "the store that was set aside belongs to another facility"};
  }
  Salvaged done;
  for (const Place& place : places_of(**kv)) {
    Result<std::optional<Bytes>> packed = (*kv)->get(static_cast<Space>(kBlockSpace + static_cast<Space>(place.stream)), block_key(place.no, place.border.first));
    Result<OpenBlock> open = packed && *packed ? open_block(**packed, place.border.count) : Result<OpenBlock>(Error{Errc::corrupt, "block"});
    if (!open) {
      done.unreadable++;
      continue;
    }
    bool whole = true;
    Adopted found;
    found.stream = place.stream;
    found.appended = place.border.appended;
    for (ByteView record : split_records(open->raw, whole)) found.records.emplace_back(record);
    done.records += found.records.size();
    done.blocks++;
    if (Result<void> adopted = into.adopt(std::span(&found, 1)); !adopted) return adopted.error();
  }
  return done;
}

}  // namespace egret::edge
