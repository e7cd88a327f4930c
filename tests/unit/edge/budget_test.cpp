// What is done about the disk, and in which order (es1 section 7).
#include "edge/budget.h"

#include <catch2/catch.hpp>

#include "schemas/limits.h"

using namespace egret;
using namespace egret::edge;

namespace {

constexpr uint64_t kBudget = 256 * kMiB;
constexpr uint64_t kUsable = kBudget - kBallastBytes - kReserveBytes;

DiskState at(uint64_t percent) { return {kUsable * percent / 100, kBudget, 10ULL << 30}; }

}  // namespace

TEST_CASE("with room nothing is done", "[budget]") {
  Budget budget;
  BudgetDecision d = budget.decide(at(50));
  CHECK_FALSE(d.purge_exposed_telemetry);
  CHECK(d.shed_bytes == 0);
  CHECK_FALSE(d.refuse_telemetry);
}

TEST_CASE("telemetry is shed before any result is refused", "[es1 section 7]") {
  Budget budget;
  uint64_t first_shed = 0, first_429 = 0, first_507 = 0;
  for (uint64_t percent = 50; percent <= 101; percent++) {
    BudgetDecision d = budget.decide(at(percent));
    if (d.shed_bytes > 0 && first_shed == 0) first_shed = percent;
    if (d.refuse_telemetry && first_429 == 0) first_429 = percent;
    if (d.refuse_results && first_507 == 0) first_507 = percent;
    CHECK_FALSE((d.purge_exposed_results && !d.purge_exposed_telemetry));
  }
  CHECK(first_shed < first_429);
  CHECK(first_429 < first_507);
}

TEST_CASE("room for critical results is left when other results are refused", "[budget]") {
  Budget budget;
  BudgetDecision d = budget.decide(at(100));
  CHECK(d.refuse_results);
  CHECK_FALSE(d.refuse_critical);
  d = budget.decide({kUsable + kReserveBytes, kBudget, 10ULL << 30});
  CHECK(d.refuse_critical);
}

TEST_CASE("a refusal ends by itself when space is back, and does not flicker", "[budget]") {
  Budget budget;
  CHECK(budget.decide(at(100)).refuse_results);
  CHECK(budget.decide(at(99)).refuse_results);
  CHECK_FALSE(budget.decide(at(90)).refuse_results);
  CHECK_FALSE(budget.decide(at(99)).refuse_results);
}

TEST_CASE("a full file system counts like a full budget, and lets the ballast go", "[budget]") {
  Budget budget;
  BudgetDecision d = budget.decide({20 * kMiB, kBudget, 0});
  CHECK(d.refuse_results);
  CHECK(d.release_ballast);
}

TEST_CASE("critical results do not take the file system's last room, nor what the ballast has given back", "[budget]") {
  Budget budget;
  auto refused = [&](uint64_t free_mib, uint64_t owed) {
    return budget.decide({20 * kMiB, kBudget, free_mib * kMiB, owed}).refuse_critical;
  };
  CHECK_FALSE(refused(5, 0));
  CHECK(refused(4, 0));
  CHECK_FALSE(refused(9, kBallastBytes));
  CHECK(refused(8, kBallastBytes));
}

// A site's disk, minute by minute.
struct Minutes {
  Budget budget;
  DiskState disk = at(10);
  int64_t now_ms = 1;
  double days = budget.days_left(disk, {now_ms});

  double pass(int minutes, int64_t bytes_each) {
    for (int i = 0; i < minutes; i++) {
      disk.used_bytes += static_cast<uint64_t>(bytes_each);
      days = budget.days_left(disk, {now_ms += kDiskSampleMs});
    }
    return days;
  }
};

TEST_CASE("days left come from the growth of about an hour", "[budget]") {
  Minutes steady;
  CHECK(steady.days < 0);
  // 90 % of what may be filled is left; a thousandth of it an hour takes 37.5 days.
  const auto an_hour = static_cast<int64_t>(kUsable / 1000 / 60);
  CHECK(steady.pass(1, an_hour) > 38 * 50);
  const double after_an_hour = steady.pass(59, an_hour);
  CHECK(after_an_hour > 38);
  CHECK(after_an_hour < 2 * 38);
  const double after_a_day = steady.pass(23 * 60, an_hour);
  CHECK(after_a_day > 34);
  CHECK(after_a_day < 38);
}

TEST_CASE("what comes at once is not the end of the disk, and is forgotten when it has gone", "[budget]") {
  Minutes burst;
  CHECK(burst.pass(1, 2 * kMiB) > 3);
  CHECK(burst.pass(9, 0) > 3);
  CHECK(burst.pass(1, -2 * static_cast<int64_t>(kMiB)) < 0);
  CHECK(burst.pass(60, 0) < 0);
}
