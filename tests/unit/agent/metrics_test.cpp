#include "agent/metrics.h"

#include <catch2/catch.hpp>
#include <set>
#include <sstream>

namespace egret::agent {
namespace {

bool has_line(const std::string& text, const std::string& line) {
  UNSCOPED_INFO(text);
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}
std::string text_of(const StatusFacts& status, const MetricFacts& facts = {}) { return prometheus_text(metrics_of(status, facts)); }

std::set<std::string> series(const std::string& text) {
  std::set<std::string> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('#')) out.insert(line.substr(0, line.rfind(' ')));
  }
  return out;
}

}  // namespace

TEST_CASE("the agent's promises are counted from the store, which outlives the process", "[metrics]") {
  StatusFacts f;
  f.view.counters.accepted = 12'345'678'901;
  f.view.counters.shed = 4;
  f.view.counters.refused = 5;
  CHECK(has_line(text_of(f), "egret_agent_records_accepted_total 12345678901"));
  CHECK(has_line(text_of(f), "egret_agent_records_shed_total 4"));
  CHECK(has_line(text_of(f), "egret_agent_records_refused_total 5"));
}

TEST_CASE("what waits is shown a lane, and each lane by its name", "[metrics]") {
  StatusFacts f;
  f.lanes[0] = {1, 300, 12};
  f.lanes[2] = {7, 800, 60};
  CHECK(has_line(text_of(f), "egret_agent_records_waiting{lane=\"critical\"} 1"));
  CHECK(has_line(text_of(f), "egret_agent_records_waiting{lane=\"result\"} 0"));
  CHECK(has_line(text_of(f), "egret_agent_waiting_bytes{lane=\"telemetry\"} 800"));
  CHECK(has_line(text_of(f), "egret_agent_oldest_waiting_seconds{lane=\"telemetry\"} 60"));
}

TEST_CASE("what nobody knows is no number that an alert could take for one", "[metrics]") {
  StatusFacts f;
  MetricFacts m;
  CHECK(has_line(text_of(f, m), "egret_agent_drain_eta_seconds 0"));
  f.lanes[1].records = 1;
  CHECK(has_line(text_of(f, m), "egret_agent_drain_eta_seconds NaN"));
  CHECK(has_line(text_of(f, m), "egret_agent_disk_full_in_seconds +Inf"));
  CHECK(has_line(text_of(f, m), "egret_agent_certificate_end_timestamp_seconds NaN"));
  f.drain_eta_s = 90;
  f.disk_days_left = 0.5;
  m.certificate_end = 4'000'000'000;
  CHECK(has_line(text_of(f, m), "egret_agent_drain_eta_seconds 90"));
  CHECK(has_line(text_of(f, m), "egret_agent_disk_full_in_seconds 43200"));
  CHECK(has_line(text_of(f, m), "egret_agent_certificate_end_timestamp_seconds 4000000000"));
}

TEST_CASE("the series of an agent are the same whatever happens, and few", "[metrics]") {
  StatusFacts f;
  const std::set<std::string> quiet = series(text_of(f));
  f.facility = "a-hospital-name";
  f.session.state = edge::State::held;
  f.view.epochs.resize(20);
  f.session.rows.resize(80);
  MetricFacts m;
  m.commit_seconds.observe(3);
  CHECK(series(text_of(f, m)) == quiet);
  CHECK(quiet.size() < 100);
  CHECK(text_of(f, m).find("hospital") == std::string::npos);
}

}  // namespace egret::agent
