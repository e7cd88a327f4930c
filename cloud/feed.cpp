#include "cloud/feed.h"

#include "cloud/tables.h"

namespace egret::cloud {

Result<size_t> number_arrived(SharedKv& kv, size_t limit) {
  kv.begin();
  KvBatch batch;
  std::vector<Bytes> arrived;
  const Bytes first = table_prefix('p');
  auto scanned = kv.scan(kMetaSpace, first, after_prefix(first), [&](ByteView key, ByteView) {
    arrived.emplace_back(key);
    return arrived.size() < limit;
  });
  const auto newest = newest_number(kv);
  if (!scanned || !newest || arrived.empty()) {
    kv.end();
    if (!scanned) return std::move(scanned).error();
    if (!newest) return newest.error();
    return size_t{0};
  }
  uint64_t number = *newest;
  for (Bytes& key : arrived) {
    batch.put(kFeedSpace, feed_key(++number), Bytes(arrived_block(key)));
    batch.erase(kMetaSpace, std::move(key));
  }
  batch.put(kMetaSpace, feed_number_key(), feed_key(number));
  if (auto written = kv.write(batch, true); !written) return std::move(written).error();
  return arrived.size();
}

Result<uint64_t> newest_number(const Kv& kv) {
  const auto stored = kv.get(kMetaSpace, feed_number_key());
  if (!stored) return stored.error();
  return *stored ? get_u64(**stored, 0) : 0;
}

}  // namespace egret::cloud
