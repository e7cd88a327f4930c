// The stream of how sites stand, and the pieces that it is sent in.
#include <catch2/catch.hpp>

#include <utility>

#include "api_rig.h"
#include "cloud/control.h"
#include "records.h"
#include "cloud/flow.h"

using namespace egret;
using namespace egret::cloud;

namespace {

struct LiveRig {
  CloudRig region;
  MonoTime mono{1'000'000};
  int64_t takes_ms = 0;  // to look at all sites
  Live live{"svc", [this] { return std::exchange(mono, mono + takes_ms); }};
  FacilitiesQuery query;

  LiveRig() { region.register_facility("clinic-2"); }
  // nullptr: there is no room.
  std::shared_ptr<HttpFlow> watch(const std::string& after = {}, std::function<bool()> still = {}) {
    query.now = region.now.wall;
    auto flow = std::make_shared<HttpFlow>();
    return live.watch(*region.store, flow, after, query, std::move(still)) ? flow : nullptr;
  }
  // Each second something of each of so many sites changes.
  void make_busy(size_t sites) {
    for (size_t i = 0; i < sites; i++) {
      const std::string name = "busy-" + std::to_string(i);
      region.register_facility(name);
      rates[name] = 1;
    }
    query.rates = &rates;
  }
  void busy_second() {
    for (auto& [fac, rate] : rates) rate += 1;
    pass(1'000);
  }
  std::map<Facility, double> rates;
  void pass(int64_t ms) {
    mono = mono + ms;
    region.wait(ms);
    query.now = region.now.wall;
    live.look(*region.store, query);
  }
  void say_hello() { region.hello({}, 1); }
};
std::vector<std::string> taken(HttpFlow& flow) {
  std::vector<std::string> out;
  while (const auto piece = flow.next([] {})) out.push_back(*piece);
  return out;
}
bool has(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }
std::string id_in(const std::string& event) { return event.substr(4, event.find('\n') - 4); }

}  // namespace

TEST_CASE("who watches is told everything at first, then each second what has changed", "[live]") {
  LiveRig rig;
  const auto flow = rig.watch();
  auto events = taken(*flow);
  REQUIRE(events.size() == 1);
  CHECK(events[0].starts_with("id: svc-1\nevent: all\ndata: {"));
  CHECK(events[0].ends_with("}\n\n"));
  CHECK(has(events[0], R"("facility":"clinic-1")"));
  CHECK(has(events[0], R"("facility":"clinic-2")"));
  CHECK(has(events[0], R"("history":[{"at":)"));
  rig.pass(400);  // for the first time
  REQUIRE(taken(*flow).size() == 1);
  rig.pass(400);
  CHECK(taken(*flow).empty());
  rig.say_hello();
  rig.pass(700);
  events = taken(*flow);
  REQUIRE(events.size() == 1);
  CHECK(has(events[0], "event: some"));
  CHECK(has(events[0], R"("facility":"clinic-1")"));
  CHECK_FALSE(has(events[0], R"("facility":"clinic-2")"));
  rig.pass(1'000);
  events = taken(*flow);
  REQUIRE(events.size() == 1);
  CHECK(has(events[0], R"("sites":[],"gone":[])"));
}

TEST_CASE("who comes again goes on where it stopped, or begins anew", "[live]") {
  LiveRig rig;
  const auto other = rig.watch();
  rig.pass(1'000);
  const std::string last = id_in(taken(*other).back());
  rig.say_hello();
  rig.pass(1'000);
  rig.pass(1'000);
  SECTION("nothing is missed, and nothing told twice") {
    const auto events = taken(*rig.watch(last));
    REQUIRE(events.size() == 2);
    CHECK(has(events[0], R"("facility":"clinic-1")"));
    CHECK(has(events[1], R"("sites":[])"));
  }
  SECTION("another service's id, a broken one, one that is too old or was never given") {
    for (const char* after : {"other-2", "svc-", "svc-x", "svc-99", "svc-18446744073709551615", "-", "svc"}) {
      INFO(after);
      const auto events = taken(*rig.watch(after));
      REQUIRE(events.size() == 1);
      CHECK(has(events[0], "event: all"));
    }
    for (size_t i = 0; i <= kLiveKept; i++) rig.pass(1'000);
    CHECK(has(taken(*rig.watch(last))[0], "event: all"));
  }
  SECTION("after nobody watched") {
    other->end();
    rig.pass(1'000);
    CHECK(rig.live.watched() == 0);
    CHECK(has(taken(*rig.watch(last))[0], "event: all"));
  }
}

TEST_CASE("where looking takes long it is done less often", "[live]") {
  LiveRig rig;
  const auto flow = rig.watch();
  rig.takes_ms = 100;
  rig.pass(0);
  taken(*flow);
  rig.takes_ms = 0;
  rig.pass(1'700);  // 200 ms have passed already
  CHECK(taken(*flow).empty());
  rig.pass(100);
  CHECK(taken(*flow).size() == 1);
}

TEST_CASE("who watches is told when a site's disk is full and its certificate ends", "[live]") {
  LiveRig rig;
  rig.say_hello();
  es1::Hello hello = rig.region.hello_of({});
  hello.set_disk_hours_left(61);
  hello.set_certificate_ends_s(1'800'000'000);
  rig.region.run({rig.region.frame(FrameType::hello, hello)});
  const auto events = taken(*rig.watch());
  REQUIRE(events.size() == 1);
  CHECK(has(events[0], R"("disk_days_left":2.5,"certificate_ends":"2027-01-15T08:00:00.000Z")"));
  CHECK(has(events[0], R"("disk_days_left":null,"certificate_ends":null)"));  // of the other site
}

TEST_CASE("nothing is computed while nobody watches, but for the history", "[live]") {
  LiveRig rig;
  for (int s = 0; s < 180; s++) rig.pass(1'000);
  const auto events = taken(*rig.watch());
  const std::string history = events[0].substr(events[0].find("\"history\""));
  CHECK(std::ranges::count(history, '{') == 4);
}

TEST_CASE("of a full house who is behind gives its place to the next; who keeps up never does", "[live]") {
  LiveRig rig;
  rig.make_busy(300);
  std::vector<std::shared_ptr<HttpFlow>> all;
  for (size_t i = 0; i < kLiveWatchers; i++) all.push_back(rig.watch());
  const auto take_but = [&](const std::shared_ptr<HttpFlow>& idle) {
    for (const auto& flow : all) {
      if (flow != idle) taken(*flow);
    }
  };
  take_but(nullptr);
  CHECK(rig.watch() == nullptr);
  for (int s = 0; all[7]->behind_bytes() < kLiveBehindBytes; s++) {
    REQUIRE(s < 20);
    CHECK(rig.watch() == nullptr);
    rig.busy_second();
    take_but(all[7]);
  }
  const auto next = rig.watch();
  REQUIRE(next != nullptr);
  CHECK_FALSE(all[7]->open());
  CHECK(std::ranges::count_if(all, [](const auto& flow) { return flow->open(); }) == kLiveWatchers - 1);
  CHECK(has(taken(*next)[0], "event: all"));
  CHECK(rig.watch() == nullptr);
  all[3]->end();  // its client has gone
  CHECK(rig.watch() != nullptr);
}

TEST_CASE("who may not go on is told nothing more", "[live]") {
  LiveRig rig;
  bool may = true;
  const auto flow = rig.watch({}, [&] { return may; });
  rig.pass(1'000);
  CHECK(taken(*flow).size() == 2);
  may = false;
  rig.pass(500);
  CHECK_FALSE(flow->open());
  CHECK(taken(*flow).empty());
  CHECK(rig.live.watched() == 0);
}

TEST_CASE("who has missed more than everything is long is given everything", "[live]") {
  LiveRig rig;
  rig.make_busy(300);
  const auto other = rig.watch();
  rig.busy_second();
  const std::string last = id_in(taken(*other).back());
  rig.busy_second();
  CHECK(has(taken(*rig.watch(last))[0], "event: some"));
  for (size_t bytes = 0; bytes <= kLiveGoOnBytes;) {
    rig.busy_second();
    for (const std::string& event : taken(*other)) bytes += event.size();
  }
  const auto events = taken(*rig.watch(last));
  REQUIRE(events.size() == 1);
  CHECK(has(events[0], "event: all"));
}

TEST_CASE("whoever does not take what comes is let go, and costs no more than its limit", "[live]") {
  HttpFlow flow;
  const auto piece = std::make_shared<const std::string>(1024 * 1024, 'x');
  int woken = 0;
  CHECK(flow.next([&] { ++woken; }) == nullptr);
  size_t taken_in = 0;
  while (flow.put(piece)) ++taken_in;
  CHECK(taken_in == kFlowBytesMax / piece->size());
  CHECK_FALSE(flow.open());
  CHECK(woken == static_cast<int>(taken_in) + 1);
  CHECK(flow.next([] {}) == nullptr);
  CHECK(piece.use_count() == 1);
}

TEST_CASE("a site's day is told in the minutes in which something of it changed, and when nobody looked", "[live][timeline][api]") {
  ApiRig rig;
  REQUIRE(run_control("facility.add", {{"fac", kFac}, {"key", std::string(64, 'a')}, {"by", "ops"}}, rig.opened, rig.folder.path(), rig.now).code == 0);
  const auto pass = [&](int64_t minutes) {
    rig.now.us += minutes * 60'000'000;
    rig.mono = rig.mono + minutes * 60'000;
    rig.region.live->look(*rig.opened.store, rig.region.facilities_now());
  };
  pass(0);
  rig.commit({result(1, 1), result(2, 1)});
  pass(1);
  pass(1);
  pass(30);  // the service was away
  const std::string told = rig.get("/api/timeline/clinic-1", Role::viewer).body;
  CHECK(has(told, R"({"at":"2027-01-15T08:00:00.000Z","state":"never seen","linked":false,"records":0,"behind":0,"gap_records":0,"last_seen":null},{"at":"2027-01-15T08:01:00.000Z")"));
  CHECK(has(told, R"("records":2)"));
  CHECK(has(told, R"("watched":[{"from":"2027-01-15T08:00:00.000Z","to":"2027-01-15T08:02:00.000Z"},{"from":"2027-01-15T08:32:00.000Z","to":"2027-01-15T08:32:00.000Z"}])"));
  CHECK(std::ranges::count(told, '{') == 1 + 2 + 2);
  CHECK(rig.get("/api/timeline/clinic-2", Role::viewer).status == 404);
  CHECK(rig.get("/api/timeline/Clinic", Role::viewer).status == 400);
}

TEST_CASE("a site is silent when it has not spoken for as long as the region's setting says", "[live]") {
  LiveRig rig;
  rig.query.silent_after_ms = 30'000;
  rig.say_hello();
  const auto flow = rig.watch();
  taken(*flow);
  rig.pass(30'000);
  CHECK_FALSE(has(taken(*flow).back(), R"("attention":"silent")"));
  rig.pass(1'000);
  CHECK(has(taken(*flow).back(), R"("attention":"silent")"));
  rig.say_hello();
  rig.pass(1'000);
  CHECK(has(taken(*flow).back(), R"("facility":"clinic-1","name":"","district":"","keys":1,"blocked":false,"attention":"ok")"));
}
