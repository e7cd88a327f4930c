#include "cloud/gauges.h"

#include <algorithm>

#include "cloud/json_text.h"
#include "cloud/row_bytes.h"
#include "schemas/chain.h"
#include "schemas/record.pb.h"
#include "schemas/record_text.h"

namespace egret::cloud {
namespace {

using v1::Series;
constexpr size_t kTail = sizeof(Hash) + sizeof(Uuid);  // behind the facility

Bytes series_key(const Facility& fac, const v1::Resource& resource, const Series& series) {
  Uuid boot{};
  std::copy_n(resource.boot_id().begin(), std::min(resource.boot_id().size(), boot.size()), boot.begin());
  return Bytes("g").append(fac).append(1, '\0').append(view(series_id(resource, series))).append(view(boot));
}

std::string value_at(const Series& s, int i) {
  if (i < s.f64_size()) return double_to_text(s.f64(i));
  if (i < s.i64_size()) return std::to_string(s.i64(i));
  return i < s.state_size() ? json_string(s.state(i)) : "null";
}

// The last point of a series that may be live; its columns are sorted by time.
std::optional<LiveValue> last_of(const v1::Resource& resource, const Series& series, const Hash& content) {
  std::optional<GaugePoint> last;
  int last_at = 0;
  uint64_t t_ns = 0;
  for (int i = 0; i < series.t_ns_size(); i++) {
    t_ns += series.t_ns(i);
    const uint32_t flags = i < series.flags_size() ? series.flags(i) : 0;
    GaugePoint point;
    point.t_ns = t_ns;
    point.run = resource.run();
    point.historical = (flags & Series::FLAG_HISTORICAL) != 0;
    point.no_value = (flags & Series::FLAG_NO_RECORDED_VALUE) != 0;
    if (!may_be_live(point)) continue;
    last = point;
    last_at = i;
  }
  if (!last) return std::nullopt;
  LiveValue out{*last, last->no_value ? "null" : value_at(series, last_at), series.name(), series.unit(), labels_json(series)};
  out.point.content = sha256(Bytes(view(content)) + out.value);
  std::copy_n(resource.boot_id().begin(), std::min(resource.boot_id().size(), out.point.boot.size()), out.point.boot.begin());
  return out;
}

Bytes encode(const LiveValue& v) {
  RowWriter out(96 + v.value.size() + v.name.size() + v.labels.size());
  out.u64(v.point.t_ns).u64(v.point.run).u8(v.point.no_value).fixed(v.point.content);
  return out.text(v.value).text(v.name).text(v.unit).text(v.labels).take();
}

Result<LiveValue> decode_live(ByteView key, ByteView value) {
  RowReader in(value);
  LiveValue out;
  out.point.t_ns = in.u64();
  out.point.run = in.u64();
  out.point.no_value = in.flag();
  out.point.content = in.fixed<32>();
  out.value = in.text();
  out.name = in.text();
  out.unit = in.text();
  out.labels = in.text();
  if (!in.done() || key.size() < kTail + 2) return damaged_view();
  out.point.boot = take<sizeof(Uuid)>(key.substr(key.size() - sizeof(Uuid)));
  return out;
}

}  // namespace

Hash series_id(const v1::Resource& resource, const Series& series) {
  v1::Resource who = resource;
  who.clear_boot_id();
  who.clear_run();
  Series what;
  what.set_name(series.name());
  what.set_unit(series.unit());
  what.set_kind(series.kind());
  *what.mutable_labels() = series.labels();
  return sha256(who.SerializeAsString() + '\0' + what.SerializeAsString());
}

std::string labels_json(const Series& s) {
  std::string out = "{";
  for (const v1::Label& label : s.labels()) out += (out.size() > 1 ? "," : "") + json_string(label.key()) + ":" + json_string(label.value());
  return out + "}";
}

Result<void> Gauges::take(const Facility& fac, const v1::TelemetryBatch& batch, const Hash& content) {
  for (const Series& series : batch.series()) {
    if (series.kind() != Series::SERIES_KIND_GAUGE && series.kind() != Series::SERIES_KIND_STATE) continue;
    auto last = last_of(batch.resource(), series, content);
    if (!last) continue;
    Bytes key = series_key(fac, batch.resource(), series);
    auto [at, fresh] = held_.try_emplace(key);
    if (fresh) {
      const auto stored = kv_.get(kViewSpace, key);
      if (!stored) return stored.error();
      if (*stored) {
        auto row = decode_live(key, **stored);
        if (!row) return std::move(row).error();
        at->second = Held{std::move(*row), false};
      }
    }
    if (!at->second || before_in_boot(at->second->value.point, last->point)) at->second = Held{std::move(*last), true};
  }
  return {};
}

void Gauges::write(KvBatch& batch) {
  for (const auto& [key, held] : held_) {
    if (held && held->changed) batch.put(kViewSpace, key, encode(held->value));
  }
  held_.clear();
}

Result<void> each_live(const Kv& kv, const Facility& fac, const EachLive& each) {
  Bytes first = "g";
  if (!fac.empty()) first.append(fac).push_back('\0');
  std::optional<Error> damaged;
  Bytes series;  // whose boots are in hand
  std::vector<LiveValue> boots;
  const auto show = [&] {
    std::vector<GaugePoint> points;
    for (const LiveValue& boot : boots) points.push_back(boot.point);
    const auto best = live(points);
    return !best || each(Facility(series.substr(1, series.find('\0') - 1)), boots[*best]);
  };
  bool goes_on = true;
  auto scanned = kv.scan(kViewSpace, first, after_prefix(first), [&](ByteView key, ByteView value) {
    auto row = decode_live(key, value);
    if (!row) damaged = row.error();
    if (!row) return false;
    const ByteView name = key.substr(0, key.size() - sizeof(Uuid));
    if (name != series && !boots.empty()) {
      goes_on = show();
      boots.clear();
    }
    series = Bytes(name);
    boots.push_back(std::move(*row));
    return goes_on;
  });
  if (!scanned) return scanned;
  if (damaged) return std::move(*damaged);
  if (goes_on && !boots.empty()) show();
  return {};
}

}  // namespace egret::cloud
