// Gauge: the value of a series that a person may take for the present one, as a pure function of the set of its points.
// Promises: what comes late from a backlog never repaints it, nor does what an earlier run of the process said.
// Leaves to others: the history, where every point stays.
#pragma once

#include <optional>
#include <span>

#include "schemas/types.h"

namespace egret::cloud {

struct GaugePoint {
  uint64_t t_ns = 0;
  uint64_t run = 0;           // of the process that was measured; higher is later
  bool historical = false;    // sent from a backlog
  bool no_value = false;      // "nothing was recorded"
  Hash content{};             // of value and batch: breaks ties
};

// The index of the live one; nullopt: none may be shown as live.
std::optional<size_t> live(std::span<const GaugePoint> points);

}  // namespace egret::cloud
