#include "cloud/shard_keeper.h"

#include "cloud/decoded.h"
#include "cloud/tables.h"

namespace egret::cloud {
namespace {

MemberId drawn(Entropy& entropy) {
  MemberId id{};
  entropy.fill(id.data(), id.size());
  return id;
}

Bytes row_key(const MemberId& id) { return table_prefix('w').append(view(id)); }

Bytes row_value(uint64_t beat) {
  Bytes out;
  put_u64(out, beat);
  return out;
}

}  // namespace

ShardKeeper::ShardKeeper(Entropy& entropy) : self_(drawn(entropy)), members_(self_) {}

Result<std::vector<Member>> ShardKeeper::rows(const Kv& kv) const {
  const Bytes first = table_prefix('w');
  return decoded(kv, kMetaSpace, first, after_prefix(first), [](ByteView key, ByteView value) -> Result<Member> {
    if (key.size() != 1 + sizeof(MemberId) || value.size() != sizeof(uint64_t))
      return Error{Errc::corrupt, "cloud store: a row of the table \"member\" is not as it was written; delete it: it is made anew"};
    return Member{take<sizeof(MemberId)>(key.substr(1)), get_u64(value, 0)};
  });
}

Result<std::optional<Shards>> ShardKeeper::round(SharedKv& kv, MonoTime now) {
  if (left_ || now < next_) return std::optional<Shards>();
  next_ = now + kMemberBeatMs;
  KvBatch beat;
  beat.put(kMetaSpace, row_key(self_), row_value(++beat_));
  if (auto written = kv.write(beat, true); !written) return std::move(written).error();
  const auto read = rows(kv);
  if (!read) return read.error();
  members_.see(*read, now);
  for (const Member& row : members_.forgotten()) {
    if (auto gone = forget(kv, row); !gone) return std::move(gone).error();
  }
  return std::optional<Shards>(members_.mine());
}

// Only as it was read: whoever was silent and beats again keeps its row.
Result<void> ShardKeeper::forget(SharedKv& kv, const Member& row) const {
  const AtOnce at_once(kv);
  const auto stored = kv.get(kMetaSpace, row_key(row.id));
  if (!stored) return stored.error();
  if (!*stored || **stored != row_value(row.beat)) return {};
  KvBatch batch;
  batch.erase(kMetaSpace, row_key(row.id));
  return kv.write(batch, true);
}

Result<void> ShardKeeper::leave(SharedKv& kv) {
  left_ = true;
  KvBatch batch;
  batch.erase(kMetaSpace, row_key(self_));
  return kv.write(batch, true);
}

}  // namespace egret::cloud
