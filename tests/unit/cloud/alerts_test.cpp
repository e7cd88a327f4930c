// One alert a critical result, and a log of what became of it, whatever comes in whatever order and is killed in between.
#include "cloud/alerts.h"

#include <catch2/catch.hpp>
#include <random>

#include "cloud/results.h"
#include "records.h"

using namespace egret;
using namespace egret::cloud;

namespace {

constexpr auto kFinal = v1::AiResult::STATUS_FINAL;
constexpr auto kCorrected = v1::AiResult::STATUS_CORRECTED;

struct AlertRig : ViewRig {
  std::vector<std::string> told() {
    std::vector<std::string> out;
    const auto events = alert_events(kv, 0, 1'000).value();
    for (size_t i = 0; i < events.size(); i++) {
      CHECK(events[i].number == i + 1);
      out.push_back(std::string(name_of(events[i].kind)) + " " + std::to_string(events[i].about.id[0]));
    }
    CHECK(last_alert_event(kv).value() == events.size());
    return out;
  }
  void keep() {
    while (keep_alerts(kv, now.wall).value() > 0) {
    }
  }
  void follow_and_keep() {
    follow();
    keep();
  }
};

using Told = std::vector<std::string>;

}  // namespace

TEST_CASE("a critical result opens one alert, however often it comes", "[alerts]") {
  AlertRig rig;
  rig.commit({result(1, 1, kFinal, true), result(2, 1)});
  rig.follow_and_keep();
  rig.commit({result(1, 1, kFinal, true)});
  rig.commit({result(1, 2, kCorrected, true)});
  rig.follow_and_keep();
  CHECK(rig.told() == Told{"opened 1"});
  const AlertRow row = find_alert(rig.kv, {kFac, id_of(1)}).value().value();
  CHECK(row.state == AlertState::open);
  CHECK(row.deadline_s == 600);  // as the record says
  CHECK(row.due.us == rig.now.wall.us + 600'000'000);
  CHECK_FALSE(find_alert(rig.kv, {kFac, id_of(2)}).value().has_value());
  // The same id at another site is another result.
  rig.commit({result(1, 1, kFinal, true, "clinic-2")}, "clinic-2");
  rig.follow_and_keep();
  CHECK(rig.told() == Told{"opened 1", "opened 1"});
}

TEST_CASE("what is retracted or corrected is withdrawn, and opened again when it is critical again", "[alerts]") {
  AlertRig rig;
  rig.commit({result(1, 1, kFinal, true), result(2, 1, kFinal, true)});
  rig.follow_and_keep();
  rig.commit({retraction(1, 2), result(2, 2, kCorrected, false)});
  rig.follow_and_keep();
  CHECK(rig.told() == Told{"opened 1", "opened 2", "withdrawn 1", "withdrawn 2"});
  CHECK(find_alert(rig.kv, {kFac, id_of(1)}).value()->due.us == 0);
  rig.commit({result(2, 3, kCorrected, true)});
  rig.follow_and_keep();
  CHECK(rig.told().back() == "opened_again 2");
  // One that is taken back before anybody looked is told of with both words.
  rig.commit({result(3, 1, kFinal, true)});
  rig.commit({retraction(3, 2)});
  rig.follow_and_keep();
  CHECK(rig.told().size() == 7);
  CHECK(rig.told()[5] == "opened 3");
  CHECK(rig.told()[6] == "withdrawn 3");
}

TEST_CASE("views that are made anew open nothing again", "[alerts]") {
  AlertRig rig;
  rig.commit({result(1, 1, kFinal, true), result(2, 1, kFinal, true)});
  rig.commit({retraction(2, 2)});
  rig.follow_and_keep();
  const Told before = rig.told();
  REQUIRE(Follower::ask_rebuild(rig.kv).has_value());
  rig.follow_and_keep();
  CHECK(rig.told() == before);
  // Nor while they are: in the middle of it the second is critical, and not taken back yet.
  REQUIRE(Follower::ask_rebuild(rig.kv).has_value());
  Follower follower(rig.kv);
  while (follower.step(1).value() > 0) rig.keep();
  rig.keep();
  CHECK(rig.told() == before);
}

TEST_CASE("a kill between any two writes neither loses an alert nor tells it twice", "[alerts]") {
  // Writes are let through one more each time; then everything is done again from what is there.
  for (size_t lived = 0; lived < 12; lived++) {
    AlertRig rig;
    rig.commit({result(1, 1, kFinal, true)});
    rig.commit({result(2, 1, kFinal, true), retraction(1, 2)});
    size_t steps = 0;
    const auto until_killed = [&](auto step) {
      while (steps < lived) {
        ++steps;
        if (step() == 0) break;
      }
    };
    until_killed([&] { return Follower(rig.kv).step(1).value(); });
    until_killed([&] { return keep_alerts(rig.kv, rig.now.wall).value(); });
    rig.follow_and_keep();
    std::map<std::string, int> times;
    for (const std::string& one : rig.told()) ++times[one];
    INFO(lived);
    CHECK(times["opened 2"] == 1);
    CHECK(times["opened 1"] <= 1);
    CHECK(times["withdrawn 1"] == times["opened 1"]);
    CHECK(times["opened_again 1"] == 0);
    CHECK(find_alert(rig.kv, {kFac, id_of(2)}).value()->state == AlertState::open);
  }
}

TEST_CASE("an alert is acknowledged once, by somebody, and then never escalates", "[alerts]") {
  AlertRig rig;
  rig.commit({result(1, 1, kFinal, true), result(2, 1, kFinal, true)});
  rig.follow_and_keep();
  const ResultName one{kFac, id_of(1)};
  CHECK(acknowledge_alert(rig.kv, one, "", "", rig.now.wall).error().code == Errc::bad_input);
  CHECK(acknowledge_alert(rig.kv, one, "dr-a", std::string(kAlertTextBytesMax, 'x'), rig.now.wall).error().code == Errc::bad_input);
  CHECK(acknowledge_alert(rig.kv, {kFac, id_of(9)}, "dr-a", "", rig.now.wall).error().code == Errc::not_found);
  const AlertEvent event = acknowledge_alert(rig.kv, one, "dr-a", "ward informed", rig.now.wall).value();
  CHECK(event.kind == AlertEventKind::acknowledged);
  CHECK(event.number == 3);
  const auto again = acknowledge_alert(rig.kv, one, "dr-b", "", rig.now.wall);
  CHECK(again.error().code == Errc::conflict);
  CHECK(again.error().text.find("dr-a") != std::string::npos);
  const auto waiting = waiting_alerts(rig.kv, 10).value();
  REQUIRE(waiting.size() == 1);
  CHECK(waiting[0].first == ResultName{kFac, id_of(2)});
  rig.wait(86'400'000);
  rig.keep();
  CHECK(rig.told() == Told{"opened 1", "opened 2", "acknowledged 1", "escalated 2"});
  CHECK(alert_events(rig.kv, 2, 1).value().at(0).note == "ward informed");
  rig.commit({retraction(2, 2)});
  rig.follow_and_keep();
  CHECK(acknowledge_alert(rig.kv, {kFac, id_of(2)}, "dr-a", "", rig.now.wall).error().code == Errc::conflict);
}

TEST_CASE("what nobody acknowledges escalates each time its deadline passes, three times", "[alerts]") {
  AlertRig rig;
  rig.commit({result(1, 1, kFinal, true)});
  rig.follow_and_keep();
  rig.wait(599'999);
  rig.keep();
  CHECK(rig.told() == Told{"opened 1"});
  for (size_t n = 1; n <= 3; n++) {
    rig.wait(n == 1 ? 1 : 600'000);
    rig.keep();
    CHECK(rig.told().size() == 1 + n);
    CHECK(rig.told().back() == "escalated 1");
  }
  rig.wait(86'400'000);
  rig.keep();
  CHECK(rig.told().size() == 4);
  // It still waits for somebody.
  CHECK(waiting_alerts(rig.kv, 10).value().size() == 1);
}

TEST_CASE("in whatever order and number statements come, an alert opens once and ends as the rules say", "[alerts]") {
  std::mt19937 random(11);
  for (int round = 0; round < 60; round++) {
    std::vector<Bytes> all{result(1, 1, kFinal, true), result(1, 2, kCorrected, round % 2 == 0), result(1, 3, kCorrected, true), result(2, 1, kFinal, true), retraction(2, 2)};
    for (int i = 0; i < 3; i++) all.push_back(all[random() % 5]);
    std::shuffle(all.begin(), all.end(), random);
    AlertRig rig;
    for (const Bytes& one : all) {
      rig.commit({one});
      if (random() % 2 == 0) rig.follow_and_keep();
    }
    rig.follow_and_keep();
    std::map<std::string, int> times;
    for (const std::string& one : rig.told()) ++times[one];
    CHECK(times["opened 1"] == 1);
    CHECK(times["opened 2"] <= 1);
    CHECK(find_alert(rig.kv, {kFac, id_of(1)}).value()->state == AlertState::open);
    const auto second = find_alert(rig.kv, {kFac, id_of(2)}).value();
    if (second) CHECK(second->state == AlertState::withdrawn);
  }
}

TEST_CASE("an event says who and what, and no value of a record", "[alerts]") {
  AlertRig rig;
  rig.commit({result(1, 1, kFinal, true)});
  rig.follow_and_keep();
  const std::string json = to_json(alert_events(rig.kv, 0, 1).value().at(0), 0xab);
  CHECK(json == R"({"cursor":"00000000000000ab-1-0","event":"opened","facility":"clinic-1","result":"01000000-0000-0000-0000-000000000000","at":"2023-11-14T22:13:20.000Z","ack_deadline_s":600,"by":null})");
  CHECK(delivered_to(rig.kv, "x").value() == 0);
  REQUIRE(put_delivered(rig.kv, "x", 7).has_value());
  CHECK(delivered_to(rig.kv, "x").value() == 7);
}
