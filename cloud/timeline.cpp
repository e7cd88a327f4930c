#include "cloud/timeline.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/row_bytes.h"
#include "cloud/tables.h"

namespace egret::cloud {
namespace {

constexpr int64_t kMinuteUs = 60'000'000;
constexpr uint8_t kVersion = 1;
constexpr char kTable = 'A';
constexpr int64_t kTidyEveryMinutes = 60;
constexpr int64_t kAgainMinutes = 12 * 60;  // a site that stands still is written once more; so one of two rows is in the day, or tells how it began

// An empty facility: the region.
Bytes key_of(const Facility& fac, int64_t minute) {
  Bytes out = table_prefix(kTable, fac);
  put_u32(out, static_cast<uint32_t>(std::max<int64_t>(minute, 0)));
  return out;
}
int64_t minute_in(ByteView key) { return key.size() < 4 ? 0 : get_u32(key, key.size() - 4); }

Error damaged(size_t size) {
  return {Errc::corrupt, fmt::format("cloud store: a row of the table \"timeline\" ({} bytes) is not as it was written; restore from a backup", size)};
}

// Rows of one facility, in [from, to].
template <class Row>
Result<std::vector<Row>> rows_of(const Kv& kv, const Facility& fac, int64_t from, int64_t to, Result<Row> (*decode)(ByteView)) {
  std::vector<Row> out;
  std::optional<Error> failed;
  const auto scanned = kv.scan(kMetaSpace, key_of(fac, from), key_of(fac, to + 1), [&](ByteView key, ByteView value) {
    auto row = decode(value);
    if (!row) failed = row.error();
    if (row) out.push_back(*row);
    if (row) out.back().minute = minute_in(key);
    return !failed;
  });
  if (!scanned) return scanned.error();
  if (failed) return *failed;
  return out;
}

bool wants_somebody(Attention attention) { return attention != Attention::none && attention != Attention::revoked; }

// All that is told of it; that it was heard again is nothing new while it is linked.
bool same(const SiteMinute& a, const SiteMinute& b) {
  return a.attention == b.attention && a.linked == b.linked && a.records == b.records && a.behind == b.behind && a.gap_records == b.gap_records;
}

}  // namespace

Bytes encode(const RegionMinute& row) { return RowWriter(32).u8(kVersion).u64(row.records).u64(row.behind).u32(row.wanting).u32(row.silent).take(); }

Bytes encode(const SiteMinute& row) {
  return RowWriter(40).u8(kVersion).u8(uint8_t(row.attention)).u8(row.linked).u64(row.records).u64(row.behind).u64(row.gap_records).i64(row.last_seen.us).take();
}

Result<RegionMinute> decode_region_minute(ByteView value) {
  RowReader in(value);
  const uint8_t version = in.u8();
  RegionMinute out;
  out.records = in.u64();
  out.behind = in.u64();
  out.wanting = in.u32();
  out.silent = in.u32();
  if (!in.done() || version != kVersion) return damaged(value.size());
  return out;
}

Result<SiteMinute> decode_site_minute(ByteView value) {
  RowReader in(value);
  const uint8_t version = in.u8(), attention = in.u8();
  SiteMinute out;
  out.attention = Attention{attention};
  out.linked = in.flag();
  out.records = in.u64();
  out.behind = in.u64();
  out.gap_records = in.u64();
  out.last_seen.us = in.i64();
  if (!in.done() || version != kVersion || attention > uint8_t(Attention::incident)) return damaged(value.size());
  return out;
}

Result<void> Timeline::begin(const Kv& kv, WallTime now) {
  if (begun_) return {};
  minute_ = now.us / kMinuteUs;
  const auto rows = rows_of(kv, "", oldest() + 1, minute_, decode_region_minute);
  region_written_ = minute_;
  begun_ = true;  // a row that is damaged is told of once, and what follows is kept all the same
  if (!rows) return rows.error();
  region_.assign(rows->begin(), rows->end());
  return {};
}

Result<void> Timeline::look(Kv& kv, std::span<const FacilityView> views, WallTime now) {
  const int64_t minute = now.us / kMinuteUs;
  Result<void> written;
  if (minute > minute_ && begun_) written = write(kv);
  minute_ = std::max(minute, minute_);  // a clock that was put back: the same minute once more
  RegionMinute all{minute_};
  for (const FacilityView& view : views) {
    all.records += view.row.records;
    all.behind += view.behind;
    all.wanting += wants_somebody(view.attention);
    all.silent += view.attention == Attention::silent || view.attention == Attention::never_seen;
    const bool linked = view.row.last_seen.us != 0 && now.us - view.row.last_seen.us <= lost_after_ms_ * 1000;
    sites_[view.fac].now = {minute_, view.attention, linked, view.row.records, view.behind, view.row.gap_records, view.row.last_seen};
  }
  if (sites_.size() > views.size()) std::erase_if(sites_, [&](const auto& site) { return std::ranges::find(views, site.first, &FacilityView::fac) == views.end(); });
  if (!region_.empty() && region_.back().minute == minute_) region_.pop_back();
  region_.push_back(all);
  while (region_.front().minute <= oldest()) region_.pop_front();
  return written;
}

Result<void> Timeline::write(Kv& kv) {
  KvBatch batch;
  for (const RegionMinute& row : region_) {
    if (row.minute >= region_written_) batch.put(kMetaSpace, key_of("", row.minute), encode(row));
  }
  std::vector<Site*> put;
  const auto add = [&](auto from, auto to) {
    for (auto at = from; at != to; ++at) {
      Site& site = at->second;
      if (same(site.written, site.now) && site.now.minute < site.written.minute + kAgainMinutes) continue;
      if (put.size() == kTimelineSitesAMinute) return next_ = at->first, false;
      batch.put(kMetaSpace, key_of(at->first, site.now.minute), encode(site.now));
      put.push_back(&site);
    }
    return true;
  };
  const auto turn = sites_.lower_bound(next_);
  if (add(turn, sites_.end()) && add(sites_.begin(), turn)) next_.clear();
  if (minute_ % kTidyEveryMinutes == 0) {
    const int64_t before = oldest() - kAgainMinutes;
    batch.erase_range(kMetaSpace, key_of("", 0), key_of("", before));
    for (const auto& [fac, site] : sites_) batch.erase_range(kMetaSpace, key_of(fac, 0), key_of(fac, before));
  }
  if (auto written = kv.write(batch, true); !written) return written;
  for (Site* site : put) site->written = site->now;
  region_written_ = minute_;
  return {};
}

Result<std::vector<SiteMinute>> Timeline::site(const Kv& kv, const Facility& fac) const {
  auto out = rows_of(kv, fac, oldest() - kAgainMinutes, minute_, decode_site_minute);
  if (!out) return out;
  // What stood when the day began.
  const auto first = std::ranges::find_if(*out, [&](const SiteMinute& m) { return m.minute > oldest() + 1; });
  if (first - out->begin() > 1) out->erase(out->begin(), first - 1);
  if (!out->empty()) out->front().minute = std::max(out->front().minute, oldest() + 1);
  const auto known = sites_.find(fac);
  if (known == sites_.end()) return out;
  if (!out->empty() && out->back().minute >= known->second.now.minute) out->pop_back();
  if (out->empty() || !same(out->back(), known->second.now)) out->push_back(known->second.now);
  return out;
}

}  // namespace egret::cloud
