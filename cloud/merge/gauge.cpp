#include "cloud/merge/gauge.h"

#include <map>
#include <tuple>

#include "schemas/merge_rules.h"

namespace egret::cloud {

bool may_be_live(const GaugePoint& point) {
  return !point.historical || off(Rule::late_telemetry);
}

bool before_in_boot(const GaugePoint& a, const GaugePoint& b) {
  return std::tie(a.run, a.t_ns, a.content) < std::tie(b.run, b.t_ns, b.content);
}

std::optional<size_t> live(std::span<const GaugePoint> points) {
  std::map<Uuid, size_t> last;  // of each boot
  for (size_t i = 0; i < points.size(); i++) {
    if (!may_be_live(points[i])) continue;
    const auto [at, fresh] = last.emplace(points[i].boot, i);
    if (!fresh && before_in_boot(points[at->second], points[i])) at->second = i;
  }
  std::optional<size_t> best;
  for (const auto& [boot, i] : last) {
    const auto& p = points[i];
    if (!best || std::tie(points[*best].t_ns, points[*best].content) < std::tie(p.t_ns, p.content)) best = i;
  }
  // The process said that it has no value now: an older one is not the present one.
  if (best && points[*best].no_value) return std::nullopt;
  return best;
}

}  // namespace egret::cloud
