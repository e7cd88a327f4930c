// Metrics: what the cloud counts, in Prometheus' text format.
// Promises: names begin with egret_cloud_; every label comes from a closed list, never from a frame
// or a facility's name, so that the number of series is fixed; counters only rise. Leaves to
// others: who counts when (server), serving the text (http).
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cloud/broker.h"
#include "cloud/committer.h"
#include "cloud/facilities.h"

namespace egret::cloud {

// Durations in fixed classes.
class Histogram {
 public:
  void observe(double seconds);
  // The _bucket, _sum and _count lines of one histogram.
  std::string text(const std::string& name) const;

 private:
  static constexpr std::array<double, 12> kBounds{0.001, 0.002, 0.005, 0.01, 0.025, 0.05,
                                                  0.1,   0.25,  0.5,   1,    2.5,   10};
  std::array<uint64_t, kBounds.size() + 1> counts_{};  // not cumulative
  double sum_ = 0;
};

// What is read at the moment of asking.
struct MetricsNow {
  BrokerStatus broker;
  bool store_healthy = false;
  uint64_t credit_granted = 0;
  double uptime_s = 0;
};

// Counted by the store thread, read by any.
class Metrics {
 public:
  void group_committed(const CommitReport& report, size_t frames, double seconds);
  void store_reopened();
  // The facilities as they stood when they were last looked at.
  void facilities(const std::vector<FacilityView>& views);
  // Blocks that are committed and not in the views of results; nullopt: these are being made anew.
  void views(std::optional<uint64_t> behind);
  std::string text(const MetricsNow& now) const;

 private:
  static constexpr size_t kDropReasons = 10;
  static constexpr size_t kIncidentKinds = 6;
  static constexpr size_t kAttentions = 8;
  static_assert(static_cast<size_t>(DropReason::topic_mismatch) + 1 == kDropReasons);
  static_assert(static_cast<size_t>(IncidentKind::restored) + 1 == kIncidentKinds);
  static_assert(static_cast<size_t>(Attention::incident) + 1 == kAttentions);

  void count(const Outcome& outcome);
  std::string frames_text() const;
  std::string records_text() const;
  std::string facilities_text() const;

  mutable std::mutex lock_;
  uint64_t hellos_ = 0, batches_ = 0, others_ = 0;
  std::array<uint64_t, kDropReasons> drops_{};
  uint64_t applied_ = 0, duplicates_ = 0, quarantined_ = 0, gap_records_ = 0;
  uint64_t forks_ = 0, gaps_ = 0, bad_bodies_ = 0;
  uint64_t groups_ = 0, failed_ = 0, unknown_ = 0, reopened_ = 0;
  Histogram commit_seconds_;
  std::array<uint64_t, kIncidentKinds> incidents_{};
  std::array<uint64_t, kAttentions> attentions_{};
  uint64_t facilities_ = 0, behind_ = 0;
  std::optional<uint64_t> views_behind_ = 0;
};

}  // namespace egret::cloud
