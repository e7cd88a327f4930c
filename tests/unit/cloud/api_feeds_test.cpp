// Alerts and changes over the API: cursors, waiting, acknowledging, and who sees a record.
#include "api_rig.h"
#include "cloud/alerts.h"
#include "cloud/changes.h"
#include "records.h"

using namespace egret;
using namespace egret::cloud;

namespace {

// The API over a store that sites write to.
struct FeedRig : ApiRig {
  void commit(const std::vector<Bytes>& records) {
    ApiRig::commit(records);
    region.waiting->look(&opened, mono);
  }
  std::string cursor(const HttpResponse& response) {
    for (const auto& [name, value] : response.headers) {
      if (name == "Egret-Cursor") return value;
    }
    const size_t at = response.body.find("\"cursor\":\"") + 10;
    return response.body.substr(at, response.body.find('"', at) - at);
  }
  // Asked, and perhaps not answered yet.
  std::shared_ptr<std::optional<HttpResponse>> begin(const std::string& target, Role role) {
    auto out = std::make_shared<std::optional<HttpResponse>>();
    door->answer(request("GET", target, token(role)), [out](HttpResponse response) {
      CHECK_FALSE(out->has_value());
      *out = std::move(response);
    });
    return out;
  }
};

const std::string kOne = "/api/alerts/clinic-1/01000000-0000-0000-0000-000000000000";

}  // namespace

TEST_CASE("alerts are read from a cursor on, and acknowledged once, by a token's name", "[api]") {
  FeedRig rig;
  CHECK(rig.get("/api/alerts", Role::viewer).body.find(R"("alerts":[])") != std::string::npos);
  CHECK(rig.get(kOne, Role::viewer).status == 404);
  rig.commit({result(1, 1, v1::AiResult::STATUS_FINAL, true), result(2, 1, v1::AiResult::STATUS_FINAL, true)});
  const HttpResponse first = rig.get("/api/alerts", Role::viewer);
  CHECK(first.body.find(R"("event":"opened","facility":"clinic-1","result":"01000000-)") != std::string::npos);
  CHECK(rig.get("/api/alerts/waiting", Role::viewer).body.find(R"("state":"open")") != std::string::npos);
  CHECK(rig.ask(ApiRig::request("POST", kOne + "/acknowledge", rig.token(Role::operations), "{\"note\":7}")).status == 400);
  CHECK(rig.ask(ApiRig::request("POST", kOne + "/acknowledge", rig.token(Role::operations), "[")).status == 400);
  CHECK(rig.ask(ApiRig::request("POST", "/api/alerts/clinic-1/x/acknowledge", rig.token(Role::operations))).status == 400);
  const HttpResponse done = rig.ask(ApiRig::request("POST", kOne + "/acknowledge", rig.token(Role::operations), R"({"note":"ward informed"})"));
  CHECK(done.status == 200);
  CHECK(done.body.find(R"("event":"acknowledged")") != std::string::npos);
  CHECK(done.body.find(R"("by":"operator")") != std::string::npos);
  CHECK(rig.ask(ApiRig::request("POST", kOne + "/acknowledge", rig.token(Role::operations))).status == 409);
  const HttpResponse later = rig.get("/api/alerts?after=" + rig.cursor(first), Role::auditor);
  CHECK(later.body.find("acknowledged") != std::string::npos);
  CHECK(later.body.find("opened") == std::string::npos);
  CHECK(rig.get(kOne, Role::viewer).body.find(R"("state":"acknowledged")") != std::string::npos);
  CHECK(rig.get("/api/alerts/waiting", Role::viewer).body.find("01000000-") == std::string::npos);
}

TEST_CASE("a cursor of before a restore is told so, and one that is none too", "[api]") {
  FeedRig rig;
  for (const char* feed : {"/api/alerts", "/api/changes"}) {
    const HttpResponse gone = rig.get(std::string(feed) + "?after=0000000000000001-0-0", Role::viewer);
    CHECK(gone.status == 410);
    CHECK(rig.get(std::string(feed) + "?after=" + rig.cursor(gone), Role::viewer).status == 200);
    for (const char* bad : {"?after=x", "?after=7", "?wait=31s", "?wait=-1", "?wait=1m", "?wait=", "?before=1", "?after=0000000000000001-0-0&after=0000000000000001-0-0"}) {
      INFO(feed << bad);
      CHECK(rig.get(std::string(feed) + bad, Role::viewer).status == 400);
    }
  }
  for (const char* bad : {"?lines=0", "?lines=10001", "?records=2"}) CHECK(rig.get(std::string("/api/changes") + bad, Role::viewer).status == 400);
  const std::string gen = rig.cursor(rig.get("/api/changes", Role::viewer)).substr(0, 16);
  CHECK(rig.get("/api/changes?after=" + gen + "-5-0", Role::viewer).status == 400);
}

TEST_CASE("who waits is answered with the news, or with none when the time is over", "[api]") {
  FeedRig rig;
  rig.commit({record_of(1)});
  const std::string here = rig.cursor(rig.get("/api/changes", Role::viewer));
  const auto changes = rig.begin("/api/changes?wait=30s&after=" + here, Role::viewer), alerts = rig.begin("/api/alerts?wait=30", Role::viewer);
  rig.region.waiting->look(&rig.opened, rig.mono);
  CHECK_FALSE(changes->has_value());
  rig.commit({record_of(2)});
  REQUIRE(changes->has_value());
  CHECK((*changes)->status == 200);
  CHECK((*changes)->body.find(R"("seq":2)") != std::string::npos);
  CHECK(rig.cursor(**changes) != here);
  CHECK_FALSE(alerts->has_value());
  rig.mono = rig.mono + 29'999;
  rig.region.waiting->look(nullptr, rig.mono);  // the store is down: it may come back
  CHECK_FALSE(alerts->has_value());
  rig.mono = rig.mono + 1;
  rig.region.waiting->look(&rig.opened, rig.mono);
  REQUIRE(alerts->has_value());
  CHECK((*alerts)->body.find(R"("alerts":[])") != std::string::npos);
  // What is there already is not waited for.
  CHECK(rig.begin("/api/changes?wait=30s", Role::viewer)->has_value());
  // Whoever comes when many wait is answered at once; when the store is down to the end, with 503.
  std::vector<std::shared_ptr<std::optional<HttpResponse>>> many;
  for (size_t i = 0; i <= kWaitersMax; i++) many.push_back(rig.begin("/api/alerts?wait=30s", Role::viewer));
  CHECK_FALSE(many[kWaitersMax - 1]->has_value());
  CHECK(many[kWaitersMax]->has_value());
  rig.region.waiting->look(nullptr, rig.mono + 30'000);
  CHECK((*many[0])->status == 503);
}

TEST_CASE("records are for clinical systems alone", "[api]") {
  FeedRig rig;
  rig.commit({result(1, 1)});
  CHECK(rig.get("/api/changes", Role::viewer).body.find("P-1") == std::string::npos);
  CHECK(rig.get("/api/changes?records=1", Role::fhir).body.find(R"("value":"P-1")") != std::string::npos);
  for (Role role : {Role::viewer, Role::operations, Role::auditor}) CHECK(rig.get("/api/changes?records=1", role).status == 403);
  HttpRequest here = ApiRig::request("GET", "/api/changes?records=1");
  here.local = true;
  CHECK(rig.ask(here).status == 403);
  CHECK(rig.get("/api/changes?lines=1", Role::fhir).body.find("P-1") == std::string::npos);
}
