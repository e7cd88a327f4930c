#include "schemas/metrics.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>

#include "schemas/record_json_syntax.h"

namespace egret {
namespace {

const char* name_of(MetricType type) {
  switch (type) {
    case MetricType::counter: return "counter";
    case MetricType::gauge: return "gauge";
    case MetricType::histogram: return "histogram";
  }
  return "untyped";
}

std::string number_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out;
}

std::string labels_text(const MetricLabels& labels, const std::string& more = "") {
  std::string out;
  for (const auto& [name, value] : labels) out += fmt::format("{}{}=\"{}\"", out.empty() ? "" : ",", name, escaped(value));
  if (!more.empty()) out += (out.empty() ? "" : ",") + more;
  return out.empty() ? out : "{" + out + "}";
}

void append_histogram(std::string& out, const std::string& name, const MetricPoint& point, const Histogram& h) {
  uint64_t below = 0;
  for (size_t i = 0; i <= Histogram::kBounds.size(); ++i) {
    below += h.counts()[i];
    const std::string bound = i < Histogram::kBounds.size() ? number_text(Histogram::kBounds[i]) : "+Inf";
    out += fmt::format("{}_bucket{} {}\n", name, labels_text(point.labels, "le=\"" + bound + "\""), below);
  }
  out += fmt::format("{0}_sum{1} {2}\n{0}_count{1} {3}\n", name, labels_text(point.labels), number_text(h.sum()), below);
}

std::string json_text(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string attribute(std::string_view key, std::string_view value) {
  return fmt::format(R"({{"key":{},"value":{{"stringValue":{}}}}})", json_text(key), json_text(value));
}

std::string attributes_json(const MetricLabels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) out += (out.empty() ? "" : ",") + attribute(name, value);
  return "[" + out + "]";
}

// By the end of a name, as the conventions have it.
const char* unit_of(std::string_view name) {
  if (name.ends_with("_total")) name.remove_suffix(6);
  if (name.ends_with("_seconds")) return "s";
  if (name.ends_with("bytes_per_second")) return "By/s";
  if (name.ends_with("_bytes")) return "By";
  return "1";
}

// Empty: nobody knows it, or JSON has no such number.
std::string value_json(const MetricValue& value) {
  if (const auto* whole = std::get_if<uint64_t>(&value)) return fmt::format(R"("asInt":"{}")", std::min<uint64_t>(*whole, INT64_MAX));
  if (const auto* number = std::get_if<double>(&value)) return std::isfinite(*number) ? fmt::format(R"("asDouble":{})", *number) : "";
  const auto& h = std::get<Histogram>(value);
  std::string counts, bounds;
  for (uint64_t n : h.counts()) counts += fmt::format("{}\"{}\"", counts.empty() ? "" : ",", n);
  for (double bound : Histogram::kBounds) bounds += fmt::format("{}{}", bounds.empty() ? "" : ",", bound);
  return fmt::format(R"("count":"{}","sum":{},"bucketCounts":[{}],"explicitBounds":[{}])", h.count(), h.sum(), counts, bounds);
}

// Empty: nothing of it is known.
std::string metric_json(const Metric& metric, const MetricSource& source, WallTime now) {
  std::string points;
  const int64_t begun_ns = metric.kept || metric.type == MetricType::gauge ? 0 : source.started.us * 1000;
  const std::string start = begun_ns == 0 ? "" : fmt::format(R"("startTimeUnixNano":"{}",)", begun_ns);
  for (const MetricPoint& point : metric.points) {
    const std::string value = value_json(point.value);
    if (value.empty()) continue;
    points += fmt::format(R"({}{{"attributes":{},{}"timeUnixNano":"{}",{}}})", points.empty() ? "" : ",", attributes_json(point.labels), start, now.us * 1000, value);
  }
  if (points.empty()) return "";
  const char* form = metric.type == MetricType::counter ? "sum" : metric.type == MetricType::gauge ? "gauge" : "histogram";
  const char* more = metric.type == MetricType::counter ? R"(,"aggregationTemporality":2,"isMonotonic":true)" : metric.type == MetricType::histogram ? R"(,"aggregationTemporality":2)" : "";
  return fmt::format(R"({{"name":{},"description":{},"unit":"{}","{}":{{"dataPoints":[{}]{}}}}})", json_text(metric.name), json_text(metric.help), unit_of(metric.name), form, points, more);
}

}  // namespace

void Histogram::observe(double seconds) {
  size_t at = 0;
  while (at < kBounds.size() && seconds > kBounds[at]) ++at;
  ++counts_[at];
  sum_ += seconds;
}

uint64_t Histogram::count() const {
  uint64_t out = 0;
  for (uint64_t n : counts_) out += n;
  return out;
}

Metric& Metric::at(MetricLabels labels, MetricValue value) {
  points.push_back({std::move(labels), std::move(value)});
  return *this;
}

Metric& MetricList::add(const char* name, const char* help, MetricType type) {
  metrics_.push_back({prefix_ + name, help, type, {}});
  return metrics_.back();
}

void MetricList::kept_counter(const char* name, const char* help, uint64_t value) {
  Metric& metric = counter(name, help);
  metric.kept = true;
  metric.at({}, value);
}

std::string prometheus_text(const MetricList& metrics) {
  std::string out;
  for (const Metric& metric : metrics.all()) {
    if (metric.points.empty()) continue;
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", metric.name, metric.help, name_of(metric.type));
    for (const MetricPoint& point : metric.points) {
      if (const auto* h = std::get_if<Histogram>(&point.value)) {
        append_histogram(out, metric.name, point, *h);
        continue;
      }
      const auto* whole = std::get_if<uint64_t>(&point.value);
      out += fmt::format("{}{} {}\n", metric.name, labels_text(point.labels), whole ? std::to_string(*whole) : number_text(std::get<double>(point.value)));
    }
  }
  return out;
}

std::string otlp_json(const MetricList& metrics, const MetricSource& source, WallTime now) {
  std::string list;
  for (const Metric& metric : metrics.all()) {
    const std::string one = metric_json(metric, source, now);
    if (!one.empty()) list += (list.empty() ? "" : ",") + one;
  }
  const std::string resource = attribute("service.name", source.service) + "," + attribute("service.instance.id", source.instance) + "," + attribute("service.version", source.version);
  return fmt::format(R"({{"resourceMetrics":[{{"resource":{{"attributes":[{}]}},"scopeMetrics":[{{"scope":{{"name":"egret","version":{}}},"metrics":[{}]}}]}}]}})", resource, json_text(source.version), list);
}

}  // namespace egret
