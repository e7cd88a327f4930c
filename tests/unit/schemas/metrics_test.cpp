// One list of metrics in its two forms.
#include "schemas/metrics.h"

#include <simdjson.h>
#include <catch2/catch.hpp>
#include <limits>

using namespace egret;

namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
const MetricSource kSource{"egret-agent", "clinic-7", "1.2", {1'700'000'000'000'000}};

MetricList some() {
  MetricList out("egret_x_");
  out.kept_counter("records_total", "Records, ever.", 12);
  out.counter("frames_total", "Frames, since it began.").at({{"line", "a\"b\\c\nd"}}, uint64_t{3}).at({{"line", "bulk"}}, uint64_t{0});
  out.gauge("used_bytes", "Bytes.", 1.5);
  out.gauge("eta_seconds", "Nobody knows.", kUnknown);
  out.gauge("full_in_seconds", "Never.", std::numeric_limits<double>::infinity());
  out.gauge("nothing", "No points.");
  Histogram h;
  for (double s : {0.0005, 0.003, 0.3, 20.0}) h.observe(s);
  out.histogram("wait_seconds", "Waits.", h);
  return out;
}

}  // namespace

TEST_CASE("Prometheus' text has help and type of each metric, and each point with its labels and its number", "[metrics]") {
  const std::string text = prometheus_text(some());
  CHECK(text.starts_with("# HELP egret_x_records_total Records, ever.\n# TYPE egret_x_records_total counter\negret_x_records_total 12\n"));
  CHECK(text.find("egret_x_frames_total{line=\"a\\\"b\\\\c\\nd\"} 3\negret_x_frames_total{line=\"bulk\"} 0\n") != text.npos);
  CHECK(text.find("egret_x_used_bytes 1.5\n") != text.npos);
  CHECK(text.find("egret_x_eta_seconds NaN\n") != text.npos);
  CHECK(text.find("egret_x_full_in_seconds +Inf\n") != text.npos);
  CHECK(text.find("egret_x_nothing") == text.npos);
  CHECK(text.find("egret_x_wait_seconds_bucket{le=\"0.002\"} 1\negret_x_wait_seconds_bucket{le=\"0.005\"} 2\n") != text.npos);
  CHECK(text.find("egret_x_wait_seconds_bucket{le=\"10\"} 3\negret_x_wait_seconds_bucket{le=\"+Inf\"} 4\negret_x_wait_seconds_sum 20.3035\negret_x_wait_seconds_count 4\n") != text.npos);
}

TEST_CASE("OTLP says the same as Prometheus' text, but for what nobody knows", "[metrics]") {
  simdjson::dom::parser parser;
  simdjson::dom::element json;
  const std::string text = otlp_json(some(), kSource, {1'700'000'060'000'000});
  REQUIRE(parser.parse(text).get(json) == simdjson::SUCCESS);
  const simdjson::dom::element resource = json["resourceMetrics"].at(0);
  CHECK(std::string_view(resource["resource"]["attributes"].at(1)["key"]) == "service.instance.id");
  CHECK(std::string_view(resource["resource"]["attributes"].at(1)["value"]["stringValue"]) == "clinic-7");
  const simdjson::dom::array metrics = resource["scopeMetrics"].at(0)["metrics"];
  std::vector<std::string> names;
  for (const simdjson::dom::element metric : metrics) names.emplace_back(std::string_view(metric["name"]));
  CHECK(names == std::vector<std::string>{"egret_x_records_total", "egret_x_frames_total", "egret_x_used_bytes", "egret_x_wait_seconds"});
  const simdjson::dom::element kept = metrics.at(0)["sum"], fresh = metrics.at(1)["sum"], histogram = metrics.at(3)["histogram"];
  CHECK(bool(kept["isMonotonic"]));
  CHECK(int64_t(kept["aggregationTemporality"]) == 2);
  CHECK(std::string_view(kept["dataPoints"].at(0)["asInt"]) == "12");
  CHECK(std::string_view(kept["dataPoints"].at(0)["timeUnixNano"]) == "1700000060000000000");
  CHECK(kept["dataPoints"].at(0)["startTimeUnixNano"].error() == simdjson::NO_SUCH_FIELD);  // it began before this process
  CHECK(std::string_view(fresh["dataPoints"].at(0)["startTimeUnixNano"]) == "1700000000000000000");
  CHECK(std::string_view(fresh["dataPoints"].at(0)["attributes"].at(0)["value"]["stringValue"]) == "a\"b\\c\nd");
  CHECK(double(metrics.at(2)["gauge"]["dataPoints"].at(0)["asDouble"]) == 1.5);
  CHECK(std::string_view(metrics.at(2)["unit"]) == "By");
  CHECK(std::string_view(metrics.at(3)["unit"]) == "s");
  CHECK(std::string_view(histogram["dataPoints"].at(0)["count"]) == "4");
  CHECK(simdjson::dom::array(histogram["dataPoints"].at(0)["bucketCounts"]).size() == Histogram::kBounds.size() + 1);
  CHECK(simdjson::dom::array(histogram["dataPoints"].at(0)["explicitBounds"]).size() == Histogram::kBounds.size());
}
