#include "cloud/member_keeper.h"

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

Bytes lines_of(const OutputNames& names) {
  Bytes out;
  for (const std::string& name : names) out += name + '\n';
  return out;
}

OutputNames names_in(ByteView lines) {
  OutputNames out;
  for (size_t end = lines.find('\n'); end != lines.npos; lines.remove_prefix(end + 1), end = lines.find('\n')) out.emplace(lines.substr(0, end));
  return out;
}

Bytes row_of(uint64_t beat, ByteView outputs) {
  Bytes out;
  put_u64(out, beat);
  return out.append(outputs);
}

}  // namespace

MemberKeeper::MemberKeeper(Entropy& entropy, OutputNames outputs) : self_(drawn(entropy)), outputs_(lines_of(outputs)), members_(self_, std::move(outputs)) {}

Result<std::vector<Member>> MemberKeeper::rows(const Kv& kv) const {
  const Bytes first = table_prefix('w');
  return decoded(kv, kMetaSpace, first, after_prefix(first), [](ByteView key, ByteView value) -> Result<Member> {
    if (key.size() != 1 + sizeof(MemberId) || value.size() < sizeof(uint64_t))
      return Error{Errc::corrupt, "cloud store: a row of the table \"member\" is not as it was written; delete it: it is made anew"};
    return Member{take<sizeof(MemberId)>(key.substr(1)), get_u64(value, 0), names_in(value.substr(sizeof(uint64_t)))};
  });
}

Result<std::optional<Shards>> MemberKeeper::round(SharedKv& kv, MonoTime now) {
  if (left_ || now < next_) return std::optional<Shards>();
  next_ = now + kMemberBeatMs;
  KvBatch beat;
  beat.put(kMetaSpace, row_key(self_), row_of(++beat_, outputs_));
  if (auto written = kv.write(beat, true); !written) return std::move(written).error();
  const auto read = rows(kv);
  if (!read) return read.error();
  members_.see(*read, now);
  looked_ = true;
  for (const Member& row : members_.forgotten()) {
    if (auto gone = forget(kv, row); !gone) return std::move(gone).error();
  }
  return std::optional<Shards>(members_.mine());
}

// Only as it was read: whoever was silent and beats again keeps its row.
Result<void> MemberKeeper::forget(SharedKv& kv, const Member& row) const {
  const AtOnce at_once(kv);
  const auto stored = kv.get(kMetaSpace, row_key(row.id));
  if (!stored) return stored.error();
  if (!*stored || **stored != row_of(row.beat, lines_of(row.outputs))) return {};
  KvBatch batch;
  batch.erase(kMetaSpace, row_key(row.id));
  return kv.write(batch, true);
}

Result<void> MemberKeeper::leave(SharedKv& kv) {
  left_ = true;
  KvBatch batch;
  batch.erase(kMetaSpace, row_key(self_));
  return kv.write(batch, true);
}

}  // namespace egret::cloud
