#include "cloud/volumes.h"

#include <algorithm>

#include "cloud/merge/moment.h"
#include "cloud/view_tables.h"

namespace egret::cloud {
namespace {

constexpr uint32_t kWeeks = 8, kDaysBefore = 14;
constexpr size_t kEnough = 3;

Bytes block_days_key(ByteView block) { return Bytes("V").append(block); }

Bytes day_key(const Facility& fac, uint32_t day, StreamId stream) {
  Bytes out = Bytes("v").append(fac).append(1, '\0');
  put_u32(out, day);
  return out.append(1, static_cast<char>(stream));
}

uint64_t median_of(std::vector<uint64_t> of) {
  std::ranges::sort(of);
  return of.size() % 2 == 1 ? of[of.size() / 2] : (of[of.size() / 2 - 1] + of[of.size() / 2]) / 2;
}

std::optional<uint64_t> expected_on(uint32_t day, const std::map<uint32_t, DayVolume>& known) {
  const auto median = [&](uint32_t step, uint32_t most) -> std::optional<uint64_t> {
    std::vector<uint64_t> before;
    for (uint32_t i = 1; i <= most && i * step <= day; i++) {
      if (const auto at = known.find(day - i * step); at != known.end() && at->second.all() > 0) before.push_back(at->second.all());
    }
    return before.size() < kEnough ? std::nullopt : std::optional(median_of(std::move(before)));
  };
  const auto same_weekday = median(7, kWeeks);
  return same_weekday ? same_weekday : median(1, kDaysBefore);
}

}  // namespace

Result<Volumes::Days> Volumes::stored(const Bytes& key) const {
  Days out;
  const auto row = kv_.get(kViewSpace, key);
  if (!row) return row.error();
  if (!*row) return out;
  if ((*row)->size() % 8 != 0) return damaged_view();
  for (size_t at = 0; at < (*row)->size(); at += 8) out[get_u32(**row, at)] = get_u32(**row, at + 4);
  return out;
}

Result<void> Volumes::take(ByteView block, const std::vector<StoredEntry>& entries) {
  const auto name = numbered_of(block);
  if (!name) return damaged_view();
  const Bytes key = block_days_key(block);
  Days now;
  for (const StoredEntry& entry : entries) {
    if (entry.kind == EntryKind::applied) ++now[day_of(entry.record)];
    if (entry.kind == EntryKind::expired) ++now[entry.day];
  }
  const auto seen = blocks_.find(key);
  auto before = seen != blocks_.end() ? Result<Days>(seen->second) : stored(key);
  if (!before) return std::move(before).error();
  for (const auto& [day, n] : *before) change_[day_key(name->fac, day, name->key.stream)] -= n;
  for (const auto& [day, n] : now) change_[day_key(name->fac, day, name->key.stream)] += n;
  blocks_[key] = std::move(now);
  return {};
}

void Volumes::write_blocks(KvBatch& batch) {
  for (const auto& [key, days] : blocks_) {
    Bytes row;
    for (const auto& [day, n] : days) {
      put_u32(row, day);
      put_u32(row, n);
    }
    if (row.empty()) {
      batch.erase(kViewSpace, key);
    } else {
      batch.put(kViewSpace, key, std::move(row));
    }
  }
  blocks_.clear();
}

Result<void> Volumes::write(KvBatch& batch) {
  write_blocks(batch);
  for (const auto& [key, change] : change_) {
    if (change == 0) continue;
    const auto row = kv_.get(kViewSpace, key);
    if (!row) return row.error();
    const int64_t now = change + (*row ? static_cast<int64_t>(get_u64(**row, 0)) : 0);
    if (now < 0) return damaged_view();
    Bytes value;
    put_u64(value, static_cast<uint64_t>(now));
    if (now == 0) {
      batch.erase(kViewSpace, key);
    } else {
      batch.put(kViewSpace, key, std::move(value));
    }
  }
  return {};
}

void Volumes::begin_anew() {
  blocks_.clear();
  change_.clear();
}

uint64_t DayVolume::all() const {
  uint64_t out = 0;
  for (uint64_t n : received) out += n;
  return out;
}

Result<std::vector<DayVolume>> volumes(const Kv& kv, const Facility& fac, WallTime now, uint32_t days) {
  const uint32_t today = static_cast<uint32_t>(std::max<int64_t>(now.us, 0) / kDayUs);
  const uint32_t first = today - std::min(today, days - 1), from = first - std::min(first, 7 * kWeeks);
  std::map<uint32_t, DayVolume> known;
  const size_t at = 1 + fac.size() + 1;
  bool damaged = false;
  const auto scanned = kv.scan(kViewSpace, day_key(fac, from, StreamId::critical), day_key(fac, today + 1, StreamId::critical), [&](ByteView key, ByteView value) {
    damaged = key.size() != at + 5 || value.size() != 8 || static_cast<uint8_t>(key[at + 4]) >= kStreamCount;
    if (!damaged) known[get_u32(key, at)].received[static_cast<uint8_t>(key[at + 4])] = get_u64(value, 0);
    return !damaged;
  });
  if (!scanned) return scanned.error();
  if (damaged) return damaged_view();
  std::vector<DayVolume> out;
  for (uint32_t day = first; day <= today; day++) {
    DayVolume volume = known[day];
    volume.day = day;
    volume.expected = expected_on(day, known);
    out.push_back(volume);
  }
  return out;
}

}  // namespace egret::cloud
