// Metrics: what a program counts, as a list of metrics; one list as Prometheus' text and as OTLP's JSON.
// Promises: both forms say the same, in the same order; names, labels and units are said once, where a metric is made; what
// nobody knows (NaN) is NaN in Prometheus' text and left out of OTLP.
// Leaves to others: counting, and which labels there are (agent/metrics, cloud/metrics); sending (otlp_push).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "schemas/types.h"

namespace egret {

// Durations in fixed classes, in seconds.
class Histogram {
 public:
  static constexpr std::array<double, 12> kBounds{0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10};
  void observe(double seconds);
  // Of each class by itself; the last one is above all bounds.
  const std::array<uint64_t, kBounds.size() + 1>& counts() const { return counts_; }
  uint64_t count() const;
  double sum() const { return sum_; }

 private:
  std::array<uint64_t, kBounds.size() + 1> counts_{};
  double sum_ = 0;
};

enum class MetricType : uint8_t { counter, gauge, histogram };
using MetricLabels = std::vector<std::pair<std::string, std::string>>;
using MetricValue = std::variant<uint64_t, double, Histogram>;
struct MetricPoint {
  MetricLabels labels;
  MetricValue value;
};
struct Metric {
  std::string name;  // whole, as both forms show it
  std::string help;
  MetricType type = MetricType::gauge;
  std::vector<MetricPoint> points;
  bool kept = false;  // a counter that goes on after a restart

  Metric& at(MetricLabels labels, MetricValue value);
};

// Under one prefix.
class MetricList {
 public:
  explicit MetricList(std::string prefix) : prefix_(std::move(prefix)) {}
  // Without a value: its points are added with at().
  Metric& counter(const char* name, const char* help) { return add(name, help, MetricType::counter); }
  Metric& gauge(const char* name, const char* help) { return add(name, help, MetricType::gauge); }
  void counter(const char* name, const char* help, uint64_t value) { counter(name, help).at({}, value); }
  void kept_counter(const char* name, const char* help, uint64_t value);
  void gauge(const char* name, const char* help, MetricValue value) { gauge(name, help).at({}, std::move(value)); }
  void histogram(const char* name, const char* help, const Histogram& value) { add(name, help, MetricType::histogram).at({}, value); }
  const std::vector<Metric>& all() const { return metrics_; }

 private:
  Metric& add(const char* name, const char* help, MetricType type);
  const std::string prefix_;
  std::vector<Metric> metrics_;
};

// Text format 0.0.4.
std::string prometheus_text(const MetricList& metrics);
inline constexpr const char* kPrometheusType = "text/plain; version=0.0.4; charset=utf-8";

// Who counts.
struct MetricSource {
  std::string service, instance, version;
  WallTime started;
};
// An ExportMetricsServiceRequest of OTLP 1 in its JSON encoding; sums and histograms are cumulative.
std::string otlp_json(const MetricList& metrics, const MetricSource& source, WallTime now);

}  // namespace egret
