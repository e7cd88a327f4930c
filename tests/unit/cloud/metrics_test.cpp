#include "cloud/metrics.h"

#include <catch2/catch.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "cloud/page.h"

using namespace egret;
using namespace egret::cloud;

namespace {

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

CommitReport one(Outcome outcome) {
  CommitReport report;
  report.outcomes.push_back(std::move(outcome));
  return report;
}

}  // namespace

TEST_CASE("the metrics are Prometheus text: each series has help, type, one prefix and a value") {
  Metrics metrics;
  std::istringstream text(metrics.text({}));
  std::set<std::string> typed, series;
  std::string line;
  std::regex sample(R"(^(egret_cloud_[a-z_]+)(\{[a-z]+="[^"\\]*"\})? [-+0-9.e]+$)");
  while (std::getline(text, line)) {
    if (line.find("# TYPE ") == 0) {
      typed.insert(line.substr(7, line.find(' ', 7) - 7));
      continue;
    }
    if (line.find("# HELP ") == 0) continue;
    std::smatch parts;
    INFO(line);
    REQUIRE(std::regex_match(line, parts, sample));
    std::string name = std::regex_replace(parts[1].str(), std::regex("_(bucket|sum|count)$"), "");
    CHECK(typed.count(name) == 1);
    CHECK(series.insert(parts[1].str() + parts[2].str()).second);
  }
  CHECK(series.size() > 50);
  CHECK(series.size() < 120);
}

TEST_CASE("what a group did is counted by type, by reason and by record") {
  Metrics metrics;
  Outcome hello;
  hello.hello = true;
  Outcome batch;
  batch.batch = true;
  batch.applied = 100;
  batch.duplicates = 3;
  batch.quarantined = 2;
  batch.gap_records = 5;
  Outcome stranger;
  stranger.drop = DropReason::unknown_facility;
  metrics.group_committed(one(hello), 1, 0.003);
  metrics.group_committed(one(batch), 1, 0.3);
  metrics.group_committed(one(stranger), 1, 20);
  std::string text = metrics.text({});
  CHECK(has_line(text, R"(egret_cloud_frames_total{type="hello"} 1)"));
  CHECK(has_line(text, R"(egret_cloud_frames_total{type="batch"} 1)"));
  CHECK(has_line(text, R"(egret_cloud_records_total{result="applied"} 100)"));
  CHECK(has_line(text, R"(egret_cloud_records_total{result="duplicate"} 3)"));
  CHECK(has_line(text, R"(egret_cloud_records_total{result="quarantined"} 2)"));
  CHECK(has_line(text, R"(egret_cloud_records_total{result="gap"} 5)"));
  std::string reason = name_of(DropReason::unknown_facility);
  CHECK(has_line(text, "egret_cloud_frames_dropped_total{reason=\"" + reason + "\"} 1"));
  CHECK(has_line(text, R"(egret_cloud_commit_seconds_bucket{le="0.002"} 0)"));
  CHECK(has_line(text, R"(egret_cloud_commit_seconds_bucket{le="0.005"} 1)"));
  CHECK(has_line(text, R"(egret_cloud_commit_seconds_bucket{le="0.5"} 2)"));
  CHECK(has_line(text, R"(egret_cloud_commit_seconds_bucket{le="+Inf"} 3)"));
  CHECK(has_line(text, "egret_cloud_commit_seconds_count 3"));
  CHECK(has_line(text, "egret_cloud_commits_total 3"));
}

TEST_CASE("facilities and incidents are counted, never named") {
  Metrics metrics;
  FacilityView view;
  view.fac = "a-hospital-name";
  view.behind = 12;
  view.attention = Attention::incident;
  Incident incident;
  incident.kind = IncidentKind::tail_lost;
  view.incidents = {incident, incident};
  metrics.facilities({view});
  std::string text = metrics.text({});
  CHECK(text.find("a-hospital-name") == std::string::npos);
  CHECK(has_line(text, "egret_cloud_facilities 1"));
  CHECK(has_line(text, "egret_cloud_records_behind 12"));
  CHECK(has_line(text, std::string("egret_cloud_incidents_open{kind=\"") +
                           name_of(IncidentKind::tail_lost) + "\"} 2"));
  metrics.facilities({});
  CHECK(has_line(metrics.text({}), "egret_cloud_records_behind 0"));
}

TEST_CASE(
    "the page loads nothing from outside, and its policy names exactly its own script and style") {
  const std::string& page = page_html();
  CHECK(page.find("http://") == std::string::npos);
  CHECK(page.find("https://") == std::string::npos);
  CHECK(page.find("onclick") == std::string::npos);
  CHECK(page.find("innerHTML") == std::string::npos);
  CHECK(page.find("<script src") == std::string::npos);
  const std::string& policy = page_policy();
  CHECK(policy.find("default-src 'none'") == 0);
  CHECK(policy.find("unsafe-inline") == std::string::npos);
  CHECK(std::regex_search(policy, std::regex("script-src 'sha256-[A-Za-z0-9+/]{43}='")));
}
