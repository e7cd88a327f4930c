#include "cloud/rollup.h"

#include <bit>
#include <cmath>

#include "cloud/decoded.h"
#include "cloud/gauges.h"
#include "cloud/row_bytes.h"
#include "cloud/tables.h"
#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

using v1::Series;

constexpr uint8_t kSpread = 1, kObserved = 2, kState = 4;
constexpr uint64_t kNsPerS = 1'000'000'000;
constexpr char kNames = 0;

uint8_t in_chunk(Grain grain) {
  return grain == Grain::minute ? 60 : 24;
}

Bytes series_key(const Facility& fac, const Hash& id) {
  return table_prefix('u', fac).append(view(id));
}

Bytes chunk_key(Bytes series, Grain grain, uint64_t chunk) {
  series.push_back(char(grain));
  put_u64(series, chunk);
  return series;
}

Bytes encode(const std::map<uint8_t, Bucket>& chunk) {
  RowWriter out(chunk.size() * 40);
  for (const auto& [index, b] : chunk) {
    const bool spread = b.min != b.last || b.max != b.last || b.sum != b.last;
    out.u8(index).u8(uint8_t((spread ? kSpread : 0) | (b.observations > 0 ? kObserved : 0) | (b.state.empty() ? 0 : kState)));
    out.u32(b.points).u64(b.last_t_ns).u64(std::bit_cast<uint64_t>(b.last));
    if (spread) out.u64(std::bit_cast<uint64_t>(b.min)).u64(std::bit_cast<uint64_t>(b.max)).u64(std::bit_cast<uint64_t>(b.sum));
    if (b.observations > 0) out.u64(b.observations);
    if (!b.state.empty()) out.text(b.state);
  }
  return out.take();
}

Error damaged() {
  return {Errc::corrupt, "cloud store: a row of the table \"rollups\" is not as it was written; restore from a backup"};
}

Result<std::map<uint8_t, Bucket>> decode_chunk(ByteView value) {
  RowReader in(value);
  std::map<uint8_t, Bucket> out;
  while (!in.done()) {
    const uint8_t index = in.u8(), flags = in.u8();
    Bucket& b = out[index];
    b.points = in.u32();
    b.last_t_ns = in.u64();
    b.last = b.min = b.max = b.sum = std::bit_cast<double>(in.u64());
    if (flags & kSpread) {
      b.min = std::bit_cast<double>(in.u64());
      b.max = std::bit_cast<double>(in.u64());
      b.sum = std::bit_cast<double>(in.u64());
    }
    if (flags & kObserved) b.observations = in.u64();
    if (flags & kState) b.state = in.text();
    if (!in.ok()) return damaged();
  }
  return out;
}

// A point, as a bucket of it alone. nullopt: it says nothing.
std::optional<Bucket> point_at(const Series& s, int i, uint64_t t_ns) {
  if (i < s.flags_size() && (s.flags(i) & Series::FLAG_NO_RECORDED_VALUE) != 0) return std::nullopt;
  Bucket b;
  b.points = 1;
  b.last_t_ns = t_ns;
  const auto observed = [&](const auto& h, uint64_t count) {
    b.observations = count;
    b.sum = b.last = h.sum();
    b.min = h.has_min() ? h.min() : b.last;
    b.max = h.has_max() ? h.max() : b.last;
  };
  if (i < s.histogram_size()) {
    uint64_t count = 0;
    for (uint64_t n : s.histogram(i).counts()) count += n;
    observed(s.histogram(i), count);
  } else if (i < s.exp_histogram_size()) {
    const v1::ExpHistogram& h = s.exp_histogram(i);
    uint64_t count = h.zero_count();
    for (uint64_t n : h.positive().counts()) count += n;
    for (uint64_t n : h.negative().counts()) count += n;
    observed(h, count);
  } else if (i < s.state_size()) {
    b.state = s.state(i);
  } else if (i < s.f64_size() || i < s.i64_size()) {
    b.last = b.min = b.max = b.sum = i < s.f64_size() ? s.f64(i) : static_cast<double>(s.i64(i));
    if (!std::isfinite(b.last)) return std::nullopt;
  }
  return b;
}

bool later(const Bucket& a, const Bucket& b) {
  return std::tie(a.last_t_ns, a.last, a.state) > std::tie(b.last_t_ns, b.last, b.state);
}

// `cumulative`: each point of a histogram says the whole since its series began.
void add(Bucket& to, const Bucket& point, bool cumulative) {
  if (to.points == 0) {
    to = point;
    return;
  }
  to.points += point.points;
  to.min = std::min(to.min, point.min);
  to.max = std::max(to.max, point.max);
  const bool newer = later(point, to);
  if (!cumulative) {
    to.sum += point.sum;
    to.observations += point.observations;
  } else if (newer) {
    to.sum = point.sum;
    to.observations = point.observations;
  }
  if (!newer) return;
  to.last_t_ns = point.last_t_ns;
  to.last = point.last;
  to.state = point.state;
}

}  // namespace

int64_t seconds_of(Grain grain) {
  return grain == Grain::minute ? 60 : 3600;
}

Result<Rollup::Chunk*> Rollup::chunk(const Bytes& key) {
  const auto [at, fresh] = chunks_.try_emplace(key);
  if (!fresh) return &at->second;
  const auto stored = kv_.get(kMetaSpace, key);
  if (!stored) return stored.error();
  if (*stored) {
    auto decoded = decode_chunk(**stored);
    if (!decoded) return std::move(decoded).error();
    at->second = std::move(*decoded);
  }
  return &at->second;
}

Result<void> Rollup::take(const v1::TelemetryBatch& batch) {
  for (const Series& series : batch.series()) {
    const Bytes key = series_key(fac_, series_id(batch.resource(), series));
    names_.try_emplace(key + kNames, RowWriter().text(series.name()).text(series.unit()).text(labels_json(series)).u8(uint8_t(series.kind())).take());
    for (Grain grain : {Grain::minute, Grain::hour}) {
      if (auto taken = take_points(key, series, grain); !taken) return taken;
    }
  }
  return {};
}

Result<void> Rollup::take_points(const Bytes& key, const Series& series, Grain grain) {
  const bool histogram = series.histogram_size() > 0 || series.exp_histogram_size() > 0;
  const bool cumulative = histogram && series.temporality() == Series::TEMPORALITY_CUMULATIVE;
  const uint64_t ns = uint64_t(seconds_of(grain)) * kNsPerS;
  uint64_t t_ns = 0;
  uint64_t number = UINT64_MAX;  // of the chunk in hand: points are sorted by time
  Chunk* in = nullptr;
  for (int i = 0; i < series.t_ns_size(); i++) {
    t_ns += series.t_ns(i);
    const auto point = point_at(series, i, t_ns);
    if (!point) continue;
    const uint64_t bucket = t_ns / ns;
    if (in == nullptr || bucket / in_chunk(grain) != number) {
      number = bucket / in_chunk(grain);
      const auto found = chunk(chunk_key(key, grain, number));
      if (!found) return found.error();
      in = *found;
    }
    add((*in)[uint8_t(bucket % in_chunk(grain))], *point, cumulative);
  }
  return {};
}

std::vector<KeptRow> Rollup::rows() const {
  std::vector<KeptRow> out;
  for (const auto& [key, names] : names_) out.push_back({key, names});
  for (const auto& [key, chunk] : chunks_) out.push_back({key, encode(chunk)});
  return out;
}

Result<std::vector<RolledSeries>> rolled_series(const Kv& kv, const Facility& fac) {
  std::vector<RolledSeries> out;
  Bytes at = table_prefix('u', fac);
  const Bytes end = after_prefix(at);
  const size_t head = at.size();
  for (bool found = true; found;) {  // one look a series: its names stand before its buckets
    found = false;
    std::optional<Error> failed;
    auto scanned = kv.scan(kMetaSpace, at, end, [&](ByteView key, ByteView value) {
      RowReader in(value);
      RolledSeries series{fac, {}, {}, {}, {}, 0};
      series.name = in.text();
      series.unit = in.text();
      series.labels = in.text();
      series.kind = in.u8();
      if (!in.done() || key.size() != head + sizeof(Hash) + 1 || key.back() != kNames) failed = damaged();
      if (failed) return false;
      series.id = take<sizeof(Hash)>(key.substr(head));
      at = after_prefix(Bytes(key.substr(0, key.size() - 1)));
      out.push_back(std::move(series));
      found = true;
      return false;
    });
    if (!scanned) return std::move(scanned).error();
    if (failed) return std::move(*failed);
  }
  return out;
}

Result<void> each_bucket(const Kv& kv, const RolledSeries& series, Grain grain, int64_t from_s, int64_t to_s, const EachBucket& each) {
  const int64_t chunk_s = seconds_of(grain) * in_chunk(grain);
  const Bytes key = series_key(series.fac, series.id);
  std::optional<Error> failed;
  bool goes_on = true;
  const uint64_t first = uint64_t(std::max<int64_t>(from_s, 0) / chunk_s);
  auto scanned = kv.scan(kMetaSpace, chunk_key(key, grain, first), after_prefix(key + char(grain)), [&](ByteView at, ByteView value) {
    const auto chunk = decode_chunk(value);
    if (!chunk) failed = chunk.error();
    if (!chunk) return false;
    const int64_t begins = int64_t(get_u64(at, at.size() - sizeof(uint64_t))) * chunk_s;
    if (begins >= to_s) return false;
    for (const auto& [index, bucket] : *chunk) {
      const int64_t at_s = begins + index * seconds_of(grain);
      if (goes_on && at_s >= from_s && at_s < to_s) goes_on = each(at_s, bucket);
    }
    return goes_on;
  });
  if (!scanned) return scanned;
  if (failed) return std::move(*failed);
  return {};
}

}  // namespace egret::cloud
