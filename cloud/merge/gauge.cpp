#include "cloud/merge/gauge.h"

#include <tuple>

namespace egret::cloud {

std::optional<size_t> live(std::span<const GaugePoint> points) {
  std::optional<size_t> best;
  for (size_t i = 0; i < points.size(); i++) {
    const GaugePoint& p = points[i];
    if (p.historical) continue;
    if (best && std::tie(p.run, p.t_ns, p.content) <= std::tie(points[*best].run, points[*best].t_ns, points[*best].content)) continue;
    best = i;
  }
  // The process said that it has no value now: an older one is not the present one.
  if (best && points[*best].no_value) return std::nullopt;
  return best;
}

}  // namespace egret::cloud
