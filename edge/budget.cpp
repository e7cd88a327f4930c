#include "edge/budget.h"

#include <algorithm>

#include "schemas/limits.h"
#include "schemas/mutants.h"

namespace egret::edge {
namespace {

uint64_t less(uint64_t a, uint64_t b) {
  return a > b ? a - b : 0;
}

// What may be filled before anything is refused: the budget less its reserves, or what the file system has left, less its
// own. There it is less than what is used when the reserve itself is being used up; and the room that the ballast has given
// back is for deleting, and for the tables of what the log holds: records that took it would keep the store shut.
uint64_t usable(const DiskState& disk) {
  uint64_t of_budget = less(disk.budget_bytes, kBallastBytes + kReserveBytes);
  uint64_t of_disk = less(disk.used_bytes + disk.free_bytes, disk.owed_bytes + kReserveBytes);
  return std::min(of_budget, of_disk);
}

}  // namespace

BudgetDecision Budget::decide(const DiskState& disk) {
  BudgetDecision d;
  uint64_t limit = usable(disk);
  uint64_t used = disk.used_bytes;
  auto above = [&](uint64_t percent) { return used * 100 >= limit * percent; };
  d.purge_exposed_telemetry = above(kPurgeTelemetryPercent);
  d.purge_exposed_results = above(kPurgeResultsPercent);
  if (above(kShedPercent)) d.shed_bytes = std::max<uint64_t>(used - limit * kShedPercent / 100, 1);
  // A refusal begins at its mark and ends some per cent below it, so that it does not flicker.
  refusing_telemetry_ = above(refusing_telemetry_ ? kRefuseTelemetryPercent - kRefuseSlackPercent : kRefuseTelemetryPercent);
  refusing_results_ = (refusing_results_ && mutant(Mutant::full_disk_for_ever)) || above(refusing_results_ ? 100 - kRefuseSlackPercent : 100);
  d.refuse_telemetry = refusing_telemetry_;
  d.refuse_results = refusing_results_;
  uint64_t last = limit + kReserveBytes / 2;
  d.refuse_critical = used >= last;
  d.release_ballast = disk.free_bytes < kBallastBytes / 2;
  return d;
}

uint32_t Budget::used_permille(const DiskState& disk) {
  if (disk.budget_bytes == 0) return 0;
  return static_cast<uint32_t>(std::min<uint64_t>(disk.used_bytes * 1000 / disk.budget_bytes, 9999));
}

double Budget::days_left(const DiskState& disk, MonoTime now) {
  constexpr double kDayMs = 24.0 * 3600 * 1000;
  if (sampled_at_.ms == 0) {
    sampled_at_ = now;
    sampled_bytes_ = disk.used_bytes;
  } else if (now - sampled_at_ >= kDiskSampleMs) {
    double grown = static_cast<double>(disk.used_bytes) - static_cast<double>(sampled_bytes_);
    double rate = grown / static_cast<double>(now - sampled_at_);
    growth_per_ms_ += (rate - growth_per_ms_) / kDiskForecastSamples;
    sampled_at_ = now;
    sampled_bytes_ = disk.used_bytes;
  }
  if (growth_per_ms_ <= 0) return -1;
  uint64_t limit = usable(disk);
  double left = static_cast<double>(less(limit, disk.used_bytes));
  return left / growth_per_ms_ / kDayMs;
}

}  // namespace egret::edge
