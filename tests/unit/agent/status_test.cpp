#include "agent/status.h"

#include <simdjson.h>
#include <catch2/catch.hpp>

#include "tests/unit/agent/status_facts.h"

namespace egret::agent {
namespace {

std::string text(const StatusFacts& f) {
  return status_text(status_json(f)).value();
}
bool says(const StatusFacts& f, const std::string& what) {
  UNSCOPED_INFO(text(f));
  return text(f).find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("a site with nothing to do is told so", "[status]") {
  StatusFacts f = well();
  CHECK(todo_of(f).empty());
  CHECK(says(f, "linked to the cloud for 2 h 5 min"));
  CHECK(says(f, "nothing to do"));
  CHECK(says(f, "critical   nothing"));
}

TEST_CASE("what waits is shown a lane, with its age, and how long it will take", "[status]") {
  StatusFacts f = well();
  f.lanes[0] = {1, 300, 12};
  f.lanes[2] = {1'234'567, 50 << 20, 3 * 86'400};
  f.drain_eta_s = 150;
  CHECK(says(f, "critical   1 record, 300 bytes, oldest 12 s"));
  CHECK(says(f, "telemetry  1,234,567 records, 50 MiB, oldest 3 days"));
  CHECK(says(f, "all sent in about 2 min"));
  simdjson::dom::parser parser;
  simdjson::dom::element json;
  REQUIRE(parser.parse(status_json(f)).get(json) == simdjson::SUCCESS);
  CHECK(uint64_t(json["waiting"]["records"]) == 1'234'568);
  CHECK(int64_t(json["waiting"]["oldest_s"]) == 3 * 86'400);
  CHECK(int64_t(json["drain_eta_s"]) == 150);
}

TEST_CASE("each trouble comes with what to do about it", "[status]") {
  StatusFacts f = well();
  auto advises = [&](const std::string& what) {
    CHECK(todo_of(f).size() == 1);
    bool said = says(f, "  -> ") && says(f, what) && !says(f, "nothing to do");
    f = well();
    return said;
  };
  f.session.state = edge::State::down;
  f.session.why = "no route to host";
  CHECK(says(f, "NOT linked for 2 h 5 min: no route to host"));
  CHECK(advises("no link for 2 h 5 min: run egret-agent doctor"));
  f.session.state = edge::State::held;
  f.session.why = "the facility is blocked";
  CHECK(advises("the cloud holds this site back: the facility is blocked"));
  f.disk_days_left = 2.4;
  CHECK(says(f, "full in 2.4 days at this rate"));
  CHECK(advises("restore the link or raise buffer.budget_mb"));
  f.disk_free_bytes = 3 << 20;
  CHECK(advises("the disk is full (3072 KiB free): new records are refused until there is room, what was accepted is kept"));
  f.disk_used_bytes = f.disk_budget_bytes - 1;
  CHECK(advises("the disk budget is used up: new records are refused"));
  f.view.parked_blocks = 2;
  CHECK(advises("2 blocks are parked"));
  f.session.quarantined = 3;
  CHECK(advises("ask for egret-cloud quarantine ls"));
  f.lost_tail = message("disk_lost_records", StreamId::result, 9, 7);
  CHECK(advises("the disk has lost records that were synced: lane result was synced to 9 and holds 7 now"));
}

TEST_CASE("a link that was lost a moment ago needs nobody yet", "[status]") {
  StatusFacts f = well();
  f.session.state = edge::State::down;
  f.since_ms = f.now_ms - 60'000;
  CHECK(todo_of(f).empty());
  CHECK(says(f, "NOT linked for 1 min"));
}

TEST_CASE("text that is no status, or of another program, is told so and not guessed at",
          "[status]") {
  CHECK(status_text("{").error().code == Errc::bad_input);
  CHECK(status_text("{}").error().text.find("--json") != std::string::npos);
  CHECK(status_text(R"({"facility":7})").has_error());
}

TEST_CASE("whatever a notice holds, the JSON stays JSON", "[status]") {
  StatusFacts f = well();
  f.notices.push_back({1, message("link_lost", Told{"a \"quoted\" \\ line\nwith\x01"})});
  simdjson::dom::parser parser;
  simdjson::dom::element json;
  REQUIRE(parser.parse(status_json(f)).get(json) == simdjson::SUCCESS);
  CHECK(std::string_view(json["notices"].at(0)["text"]) == f.notices[0].message.text());
  CHECK(std::string_view(json["notices"].at(0)["event"]) == "link_lost");
}

TEST_CASE("times and sizes are told as a person would", "[status]") {
  CHECK(shown(Lasting{59}) == "59 s");
  CHECK(shown(Lasting{60}) == "1 min");
  CHECK(shown(Lasting{2 * 3600 + 300}) == "2 h 5 min");
  CHECK(shown(Lasting{47 * 3600}) == "47 h 0 min");
  CHECK(shown(Lasting{48 * 3600}) == "2 days");
  CHECK(shown(Size{10'239}) == "10239 bytes");
  CHECK(shown(Size{10'240}) == "10 KiB");
  CHECK(shown(Size{uint64_t{10} << 20}) == "10 MiB");
}

}  // namespace egret::agent
