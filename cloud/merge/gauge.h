// Gauge: the value of a series that a person may take for the present one, as a pure function of the set of its points.
// Promises: what comes late from a backlog never repaints it, nor does what an earlier run of the process said; of two
// boots, whose runs say nothing about each other, the one that was measured later counts.
// Leaves to others: the history, where every point stays.
#pragma once

#include <optional>
#include <span>

#include "schemas/record.h"

namespace egret::cloud {

struct GaugePoint {
  uint64_t t_ns = 0;
  uint64_t run = 0;           // of the process that was measured, within its boot; higher is later
  bool historical = false;    // sent from a backlog
  bool no_value = false;      // "nothing was recorded"
  Hash content{};             // of value and batch: breaks ties
  Uuid boot{};                // zeros: not stated
};

// May it be live at all?
bool may_be_live(const GaugePoint& point);
// Of two points of one boot: does `a` come before `b`?
bool before_in_boot(const GaugePoint& a, const GaugePoint& b);
// The index of the live one; nullopt: none may be shown as live. The best point of each boot says as much as all.
std::optional<size_t> live(std::span<const GaugePoint> points);

}  // namespace egret::cloud
