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
  metrics.facilities({}, {});
  metrics.findings({});
  metrics.backup({});
  std::istringstream text(prometheus_text(metrics.list({})));
  std::set<std::string> typed, series;
  std::string line;
  std::regex sample(R"(^(egret_cloud_[a-z_]+)(\{[a-z]+="[^"\\]*"\})? ([-+0-9.e]+|NaN)$)");
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
  CHECK(series.size() < 130);
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
  std::string text = prometheus_text(metrics.list({}));
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
  metrics.facilities({view}, {});
  std::string text = prometheus_text(metrics.list({}));
  CHECK(text.find("a-hospital-name") == std::string::npos);
  CHECK(has_line(text, "egret_cloud_facilities 1"));
  CHECK(has_line(text, "egret_cloud_records_behind 12"));
  CHECK(has_line(text, std::string("egret_cloud_incidents_open{kind=\"") +
                           name_of(IncidentKind::tail_lost) + "\"} 2"));
  metrics.facilities({}, {});
  CHECK(has_line(prometheus_text(metrics.list({})), "egret_cloud_records_behind 0"));
}

TEST_CASE("sites that need somebody soon are counted: silent, stalled, disk, certificate, clock, drain") {
  const WallTime now{1'800'000'000'000'000};
  constexpr int64_t kDay = 86'400'000'000;
  Metrics metrics;
  FacilityView well, ill;
  well.fac = "well";
  well.row.last_seen = ill.row.last_seen = now;
  well.row.vitals.disk_hours_left = 72;
  well.row.vitals.certificate_ends = {now.us + 14 * kDay};
  well.row.vitals.clock_offset_ms = -60'000;
  well.eta_ms = kDrainLongMs;
  ill.fac = "ill";
  ill.row.vitals.disk_hours_left = 71;
  ill.row.vitals.certificate_ends = {now.us + 14 * kDay - 1};
  ill.row.vitals.clock_offset_ms = -60'001;
  ill.eta_ms = kDrainLongMs + 1;
  ill.silent = ill.stalled = true;
  ill.attention = Attention::gap;  // whatever is most urgent
  const auto says = [&](int n) {
    const std::string text = prometheus_text(metrics.list({}));
    for (const char* what : {"silent", "stalled", "disk_low", "certificate_low", "clock_off", "drain_long"}) {
      INFO(what);
      CHECK(has_line(text, std::string("egret_cloud_facilities_") + what + " " + std::to_string(n)));
    }
  };
  metrics.facilities({well}, now);
  says(0);
  metrics.facilities({ill, well, ill}, now);
  says(2);
  ill.revoked = true;  // nobody waits for it any more
  metrics.facilities({ill}, now);
  says(0);
}

TEST_CASE("facilities are named only where it is asked for, and no more of them than that, the neediest first") {
  Metrics plain, named(2);
  std::vector<FacilityView> views(3);
  views[0].fac = "first";
  views[0].attention = Attention::silent;
  views[1].fac = "second";
  views[2].fac = "third";
  plain.facilities(views, {});
  named.facilities(views, {});
  CHECK(prometheus_text(plain.list({})).find("first") == std::string::npos);
  const std::string text = prometheus_text(named.list({}));
  CHECK(has_line(text, R"(egret_cloud_site_attention{facility="first",attention="silent"} 1)"));
  CHECK(has_line(text, R"(egret_cloud_site_records_behind{facility="second"} 0)"));
  CHECK(has_line(text, R"(egret_cloud_site_disk_full_in_seconds{facility="second"} +Inf)"));
  CHECK(has_line(text, R"(egret_cloud_site_certificate_end_timestamp_seconds{facility="second"} NaN)"));
  CHECK(text.find("third") == std::string::npos);
  const auto series = [](const std::string& of) { return std::count(of.begin(), of.end(), '\n'); };
  const auto before = series(prometheus_text(plain.list({})));
  plain.facilities(std::vector<FacilityView>(1'000), {});
  CHECK(series(prometheus_text(plain.list({}))) == before);
}

TEST_CASE("what the broker does not tell is no number, and what it tells stands beside its limit") {
  MetricsNow now;
  now.broker_queue_messages = 10'000;
  CHECK(has_line(prometheus_text(Metrics().list(now)), "egret_cloud_broker_held_messages NaN"));
  now.broker_holds.held = 17;
  CHECK(has_line(prometheus_text(Metrics().list(now)), "egret_cloud_broker_held_messages 17"));
  CHECK(has_line(prometheus_text(Metrics().list(now)), "egret_cloud_broker_queue_limit_messages 10000"));
}

TEST_CASE("findings that wait and the newest backup are shown with their ages") {
  Metrics metrics;
  MetricsNow now;
  now.wall = {1'800'000'000'000'000};
  // Who has not looked yet says nothing: a 0 would be an alert.
  for (const char* what : {"critical_findings", "backup", "gap_records", "facilities"}) CHECK(prometheus_text(metrics.list(now)).find(std::string("egret_cloud_") + what) == std::string::npos);
  metrics.findings({});
  metrics.backup({});
  CHECK(has_line(prometheus_text(metrics.list(now)), "egret_cloud_critical_findings_oldest_seconds 0"));
  CHECK(has_line(prometheus_text(metrics.list(now)), "egret_cloud_backup_confirmed_timestamp_seconds 0"));
  metrics.findings({3, 1, {now.wall.us - 90'000'000}});
  metrics.backup({1'700'000'000'000'000});
  const std::string text = prometheus_text(metrics.list(now));
  CHECK(has_line(text, "egret_cloud_critical_findings_waiting 3"));
  CHECK(has_line(text, "egret_cloud_critical_findings_overdue 1"));
  CHECK(has_line(text, "egret_cloud_critical_findings_oldest_seconds 90"));
  CHECK(has_line(text, "egret_cloud_backup_confirmed_timestamp_seconds 1700000000"));
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
