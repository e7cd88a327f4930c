// Metrics: what the cloud counts, for Prometheus and OTLP.
// Promises: names begin with egret_cloud_; every label comes from a closed list, never from a frame, so that the number of
// series is fixed; facilities are named only where the configuration asks for it, and then no more of them than it says;
// counters only rise. Leaves to others: who counts when (server, store_thread), both forms (schemas/metrics), serving the
// text (http).
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cloud/broker.h"
#include "cloud/broker_watch.h"
#include "cloud/committer.h"
#include "cloud/facilities.h"
#include "cloud/waiting_findings.h"
#include "schemas/metrics.h"
#include "schemas/otlp_push.h"

namespace egret::cloud {

// When a site is counted as one that will need somebody; the alerts' words say the same (packaging/prometheus).
inline constexpr double kDiskDaysLow = 3;
inline constexpr int64_t kCertificateDaysLow = 14;
inline constexpr int64_t kClockOffMs = 60'000;        // a HELLO may have waited some seconds on its way
inline constexpr int64_t kDrainLongMs = 24LL * 3600 * 1000;

// What is read at the moment of asking.
struct MetricsNow {
  BrokerStatus broker;
  bool store_healthy = false;
  uint64_t credit_granted = 0;
  double uptime_s = 0;
  WallTime wall;
  BrokerFigures broker_holds;
  uint64_t broker_queue_messages = 0;  // of one client, as the configuration says
  uint64_t own_queue_messages = 0;     // of one line
  OtlpPush::Counters otlp;
};

// All sites together, as they stood when they were last looked at.
struct SiteFigures {
  uint64_t facilities = 0, behind = 0, quarantined = 0, gap_records = 0;
  uint64_t accepted = 0, shed = 0, refused = 0;  // as they last said themselves
  uint64_t silent = 0, stalled = 0, disk_low = 0, certificate_low = 0, clock_off = 0, drain_long = 0;
  std::array<uint64_t, 6> incidents{};
  std::array<uint64_t, 8> attentions{};
};
SiteFigures figures_of(const std::vector<FacilityView>& views, WallTime now);

// Counted by the store thread, read by any.
class Metrics {
 public:
  // At most so many facilities are shown by name, the neediest first.
  explicit Metrics(size_t sites_named_max = 0) : sites_named_max_(sites_named_max) {}
  void group_committed(const CommitReport& report, size_t frames, double seconds);
  void store_reopened();
  // The facilities as they stood when they were last looked at; the neediest first.
  void facilities(const std::vector<FacilityView>& views, WallTime now);
  // Blocks that are committed and not in the views of results; nullopt: these are being made anew.
  void views(std::optional<uint64_t> behind);
  void findings(const FindingFigures& figures);
  // When the newest copy of the store was confirmed; us 0: none was, ever.
  void backup(WallTime confirmed);
  MetricList list(const MetricsNow& now) const;

 private:
  static constexpr size_t kDropReasons = 10;
  static constexpr size_t kIncidentKinds = 6;
  static constexpr size_t kAttentions = 8;
  static_assert(static_cast<size_t>(DropReason::topic_mismatch) + 1 == kDropReasons);
  static_assert(static_cast<size_t>(IncidentKind::restored) + 1 == kIncidentKinds);
  static_assert(static_cast<size_t>(Attention::incident) + 1 == kAttentions);
  static_assert(std::tuple_size_v<decltype(SiteFigures::incidents)> == kIncidentKinds);
  static_assert(std::tuple_size_v<decltype(SiteFigures::attentions)> == kAttentions);

  void count(const Outcome& outcome);
  void add_frames(MetricList& out) const;
  void add_records(MetricList& out) const;
  void add_facilities(MetricList& out) const;
  void add_named(MetricList& out) const;
  void add_watched(MetricList& out, const MetricsNow& now) const;

  const size_t sites_named_max_;
  mutable std::mutex lock_;
  uint64_t hellos_ = 0, batches_ = 0, others_ = 0;
  std::array<uint64_t, kDropReasons> drops_{};
  uint64_t applied_ = 0, duplicates_ = 0, quarantined_ = 0, gap_records_ = 0;
  uint64_t forks_ = 0, gaps_ = 0, bad_bodies_ = 0;
  uint64_t groups_ = 0, failed_ = 0, unknown_ = 0, reopened_ = 0;
  Histogram commit_seconds_;
  std::optional<SiteFigures> sites_;  // not looked at yet: nothing is said of them
  std::vector<FacilityView> named_;
  std::optional<uint64_t> views_behind_ = 0;
  std::optional<FindingFigures> findings_;
  std::optional<WallTime> backup_;
};

}  // namespace egret::cloud
