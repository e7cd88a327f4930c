// Critical findings that wait for somebody, counted from the log of alerts.
#include "cloud/waiting_findings.h"

#include <catch2/catch.hpp>

#include "records.h"

using namespace egret;
using namespace egret::cloud;

namespace {

constexpr auto kFinal = v1::AiResult::STATUS_FINAL;

struct Rig : ViewRig {
  WaitingFindings seen;
  void critical(uint8_t id, uint64_t n) {
    commit({result(id, n, kFinal, true)});
    follow();
    while (keep_alerts(kv, now.wall).value() > 0) {
    }
  }
  FindingFigures look() {
    const FindingFigures out = seen.look(kv, now.wall).value();
    // One who begins now must see the same as one who has followed.
    const FindingFigures fresh = WaitingFindings().look(kv, now.wall).value();
    CHECK(out.waiting == fresh.waiting);
    CHECK(out.overdue == fresh.overdue);
    CHECK(out.oldest == fresh.oldest);
    return out;
  }
};

}  // namespace

TEST_CASE("a critical finding waits until it is acknowledged, and is overdue past its deadline", "[alerts]") {
  Rig rig;
  CHECK(rig.look().waiting == 0);
  CHECK(rig.look().oldest.us == 0);
  rig.critical(1, 1);
  const WallTime first = rig.now.wall;
  CHECK(rig.look().waiting == 1);
  CHECK(rig.look().overdue == 0);
  rig.wait(300'000);
  rig.critical(2, 2);
  CHECK(rig.look().waiting == 2);
  CHECK(rig.look().oldest == first);
  rig.wait(301'000);  // each has 600 s
  CHECK(rig.look().overdue == 1);
  while (keep_alerts(rig.kv, rig.now.wall).value() > 0) {  // escalated: it still waits
  }
  CHECK(rig.look().waiting == 2);
  CHECK(rig.look().overdue == 1);
  REQUIRE(acknowledge_alert(rig.kv, {kFac, id_of(1)}, "nurse", "", rig.now.wall).has_value());
  CHECK(rig.look().waiting == 1);
  CHECK(rig.look().overdue == 0);
  CHECK(rig.look().oldest > first);
  REQUIRE(acknowledge_alert(rig.kv, {kFac, id_of(2)}, "nurse", "", rig.now.wall).has_value());
  CHECK(rig.look().waiting == 0);
}
